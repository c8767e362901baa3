"""A real model of transformers under a bundle: python3 test_transformers.py MODEL BUNDLE FORBIDDEN...

MODEL is a folder with a tokenizer; BUNDLE forbids the words that follow. Exits with an error unless the plain answers say
them and the guarded ones do not.
"""

import sys

import torch
from inferenceguard import Answer, Bundle, GuardError, GuardLogitsProcessor
from transformers import AutoModelForCausalLM, AutoTokenizer


def passes_log_probabilities(bundle, tokenizer):
    """What is weighed and accepted has the log-probabilities of the scores, and rows have a prompt each."""
    seen, weigh, accept = [], Answer.weigh, Answer.accept
    Answer.weigh = lambda self, pieces: seen.extend(pieces) or weigh(self, pieces)
    Answer.accept = lambda self, *piece: seen.append(piece) or accept(self, *piece)
    guard = GuardLogitsProcessor(bundle, tokenizer, 1, prompts=["one"])
    ids, scores = torch.tensor([[5]]), torch.randn(1, len(tokenizer), generator=torch.Generator().manual_seed(1))
    guard(ids, scores)
    drawn = scores.argmax().item()
    guard(torch.cat([ids, torch.tensor([[drawn]])], dim=1), scores)
    Answer.weigh, Answer.accept = weigh, accept
    expected = scores[0].log_softmax(-1)
    assert len(seen) > 60 and any(piece[0] == drawn for piece in seen), seen
    assert all(abs(piece[3] - expected[piece[0]].item()) < 1e-5 for piece in seen), seen
    try:
        GuardLogitsProcessor(bundle, tokenizer, 1, prompts=["one", "two"])(ids, scores)
    except GuardError as error:
        assert "2 prompts for 1 rows" in str(error), error
    else:
        raise AssertionError("no error")


def main(folder, path, forbidden):
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    prompts = ["How do I clean a knife?", "What does my cat eat?", "May I climb on the roof?", "Where is the key?"]
    tokenizer.padding_side, tokenizer.pad_token = "left", tokenizer.pad_token or tokenizer.eos_token
    chats = [[{"role": "user", "content": prompt}] for prompt in prompts]
    inputs = tokenizer.apply_chat_template(
        chats, add_generation_prompt=True, padding=True, return_tensors="pt", return_dict=True
    )
    length = inputs["input_ids"].shape[1]

    def answers(**more):
        torch.manual_seed(1)
        with torch.no_grad():
            ids = model.generate(**inputs, do_sample=True, max_new_tokens=60, pad_token_id=tokenizer.pad_token_id, **more)
        return tokenizer.batch_decode(ids[:, length:], skip_special_tokens=True)

    def count_of(texts):
        return sum(f" {word} " in f" {text.lower()} " for word in forbidden for text in texts)

    plain = answers()
    assert count_of(plain) > 0, ("the plain answers must say what is forbidden", plain)
    guard = GuardLogitsProcessor(Bundle(path), tokenizer, length, prompts=prompts)
    guarded = answers(logits_processor=[guard])
    assert count_of(guarded) == 0, guarded
    assert sum(map(len, guarded)) > 0.5 * sum(map(len, plain)) or any(guard.stopped), guarded
    passes_log_probabilities(Bundle(path), tokenizer)
    try:
        Bundle("/no/such/bundle")
    except GuardError as error:
        assert "/no/such/bundle" in str(error), error
    else:
        raise AssertionError("no error")
    print(f"plain answers say {', '.join(forbidden)} {count_of(plain)} times, guarded ones 0; stopped early: {sum(guard.stopped)}")
    print(f"plain:   {plain[0]!r}\nguarded: {guarded[0]!r}")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
