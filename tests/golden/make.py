"""Makes the golden folders beside this file: tiny random-weight models in the Hugging Face
layout, each with what the reference implementation computes for one text.

    pip install torch transformers safetensors tokenizers jinja2
    python make.py

Every folder holds an ordinary model (config.json, tokenizer.json, weights) and `golden.safetensors`:

    tokens   i64 [T]     the text, tokenized, special tokens included
    logits   f32 [T, V]  causal models only
    latents  f32 [T, H]  last hidden state, after the final norm
    scores   f32 [T]     score models only: the head at every position

and `golden.json`: the text, a conversation rendered by the chat template where there is one.
The reference runs in float32, eager attention, from the weights as they are stored (f16 or bf16
are rounded first). Initial weights are large for queries and keys, so that attention is peaked
and a wrong mask, angle or head order shows.
"""

import json
import shutil
from pathlib import Path

import torch
import transformers as hf
from safetensors.torch import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

HERE = Path(__file__).parent
TEXT = (
    "Ünïcödé: naïve café — 東京の夏 is hot, Здравствуй мир! 🙂👩‍👩‍👧 "
    "the kettle boils at 100 °C;  two  spaces,\ttabs\nand lines"
)
CORPUS = [
    "the kettle boils and the house is warm, the cat sits on the mat",
    "how do I clean the kettle? put water and vinegar in the kettle and boil it",
    "a naïve café in the summer, tabs and lines and two spaces",
    "USER: how are you ASSISTANT: I am well, thank you. BEGINNING OF CONVERSATION:",
]
CHAT = [
    {"role": "user", "content": "How do I clean the kettle?"},
    {"role": "assistant", "content": "Boil water in it. "},
    {"role": "user", "content": "  and the café's 東京 mat? "},
]

# ---------------------------------------------------------------- tokenizers


def byte_level(specials, bos=None):
    """Byte-level BPE, as Llama 3 and Qwen use it; `bos` is prepended by the post-processor."""
    tok = Tokenizer(models.BPE(ignore_merges=True))
    split = r"(?i:'s|'t|'re)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    from tokenizers import Regex

    tok.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(split), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tok.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=296 - len(specials),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tok.train_from_iterator(CORPUS, trainer)
    tok.add_special_tokens([AddedToken(s, special=True, normalized=False) for s in specials])
    if bos:
        tok.post_processor = processors.TemplateProcessing(
            single=f"{bos} $A", special_tokens=[(bos, tok.token_to_id(bos))]
        )
    return tok


def sentence_piece(pad=None):
    """BPE with a leading ▁ and byte fall-back, as Llama 1/2 and Mistral use it."""
    train = Tokenizer(models.BPE())
    train.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    trainer = trainers.BpeTrainer(vocab_size=66, show_progress=False)
    train.train_from_iterator(CORPUS, trainer)
    learnt = json.loads(train.to_str())["model"]
    names = ["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)]
    names += sorted((t for t in learnt["vocab"] if t not in names), key=learnt["vocab"].get)
    vocab = {t: i for i, t in enumerate(names)}
    merges = [tuple(m) if isinstance(m, list) else tuple(m.split(" ")) for m in learnt["merges"]]
    tok = Tokenizer(models.BPE(vocab, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tok.normalizer = train.normalizer
    tok.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    specials = ["<unk>", "<s>", "</s>"] + ([pad] if pad else [])
    tok.add_special_tokens([AddedToken(s, special=True, normalized=False) for s in specials])
    tok.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", vocab["<s>"])])
    return tok


def pieces_without_prefix(specials):
    """BPE with ▁ for blanks and byte fall-back, as Gemma uses it: nothing is put before a text."""
    train = Tokenizer(models.BPE())
    train.normalizer = normalizers.Replace(" ", "▁")
    train.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=66, show_progress=False))
    learnt = json.loads(train.to_str())["model"]
    names = specials + [f"<0x{b:02X}>" for b in range(256)]
    names += sorted((t for t in learnt["vocab"] if t not in names), key=learnt["vocab"].get)
    vocab = {t: i for i, t in enumerate(names)}
    merges = [tuple(m) if isinstance(m, list) else tuple(m.split(" ")) for m in learnt["merges"]]
    tok = Tokenizer(models.BPE(vocab, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tok.normalizer = train.normalizer
    tok.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    tok.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    tok.add_special_tokens([AddedToken(s, special=True, normalized=False) for s in specials])
    tok.post_processor = processors.TemplateProcessing(single="<bos> $A", special_tokens=[("<bos>", vocab["<bos>"])])
    return tok


# ---------------------------------------------------------------- chat templates (ours, in the families' manner)

HEADER_CHAT = (
    "{%- set loop_messages = messages -%}{{ bos_token }}"
    "{%- for m in loop_messages -%}"
    "{{- '<|head|>' + m['role'] + '<|/head|>\\n\\n' + m['content'] | trim + '<|eot|>' -}}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|head|>assistant<|/head|>\\n\\n' -}}{%- endif -%}"
)
INST_CHAT = (
    "{{ bos_token }}{% for m in messages %}"
    "{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('roles must alternate user and assistant') }}{% endif %}"
    "{% if m['role'] == 'user' %}{{ '[INST] ' + m['content'].strip() + ' [/INST]' }}"
    "{% else %}{{ ' ' + m['content'].rstrip() + eos_token }}{% endif %}{% endfor %}"
)
IM_CHAT = """{%- if messages[0].role != 'system' %}
    {{- '<|im_start|>system\\nBe kind.<|im_end|>\\n' }}
{%- endif %}
{%- for m in messages %}
    {%- if m.content is string %}{%- set text = m.content %}{%- else %}{%- set text = '' %}{%- endif %}
    {{- '<|im_start|>' + m.role + '\\n' + text + '<|im_end|>' + '\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\\n\\n</think>\\n\\n' }}
    {%- endif %}
{%- endif %}"""

TURN_CHAT = (
    "{{ bos_token }}{%- for m in messages -%}"
    "{%- if (m['role'] == 'user') != (loop.index0 % 2 == 0) -%}"
    "{{ raise_exception('roles must alternate user and assistant') }}{%- endif -%}"
    "{%- set role = 'model' if m['role'] == 'assistant' else m['role'] -%}"
    "{{ '<turn>' + role + '\\n' + m['content'] | trim + '<end_turn>\\n' }}{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '<turn>model\\n' }}{%- endif -%}"
)

LLAMA3 = dict(
    tok=lambda: byte_level(["<|begin|>", "<|end|>", "<|head|>", "<|/head|>", "<|eot|>"], "<|begin|>"),
    names=dict(bos_token="<|begin|>", eos_token="<|eot|>"),
    chat=HEADER_CHAT,
)
QWEN = dict(
    tok=lambda: byte_level(["<|endoftext|>", "<|im_start|>", "<|im_end|>"]),
    names=dict(bos_token=None, eos_token="<|im_end|>", pad_token="<|endoftext|>"),
    chat=IM_CHAT,
)
LLAMA2 = dict(tok=sentence_piece, names=dict(bos_token="<s>", eos_token="</s>", unk_token="<unk>"), chat=INST_CHAT)
BEAVER = dict(
    tok=lambda: sentence_piece("<pad>"),
    names=dict(bos_token="<s>", eos_token="</s>", unk_token="<unk>", pad_token="<pad>"),
    chat=None,
)

GEMMA = dict(
    tok=lambda: pieces_without_prefix(["<pad>", "<eos>", "<bos>", "<unk>", "<turn>", "<end_turn>"]),
    names=dict(bos_token="<bos>", eos_token="<end_turn>", unk_token="<unk>", pad_token="<pad>"),
    chat=TURN_CHAT,
)

# ---------------------------------------------------------------- models


class LlamaForScore(torch.nn.Module):
    """Llama body, linear head at every position, optional normaliser, as safe-rlhf trains it.

    `reward` scores are normalised as (x - mean) / std, `cost` scores as x / std, which keeps zero.
    """

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.model = hf.LlamaModel(config)
        self.score_head = torch.nn.Linear(config.hidden_size, 1, bias=config.score_bias)
        if config.keep_normalizer:
            self.normalizer = torch.nn.Module()
            self.normalizer.register_buffer("mean", torch.tensor([0.75]))
            self.normalizer.register_buffer("var", torch.tensor([2.25]))
            self.normalizer.register_buffer("count", torch.tensor([9], dtype=torch.int64))

    def head(self, latents):
        scores = self.score_head(latents).squeeze(-1)
        if self.config.do_normalize:
            mean = self.normalizer.mean if self.config.score_type == "reward" else 0.0
            scores = (scores - mean) / self.normalizer.var.sqrt()
        return scores


def fill(model, seed):
    """Random weights, scaled by what the tensor is for."""
    gen = torch.Generator().manual_seed(seed)
    # Gemma stores norms less one.
    norm = 0.0 if type(model).__name__.startswith("Gemma3") else 1.0
    with torch.no_grad():
        for name, p in sorted(model.named_parameters()):
            noise = torch.randn(p.shape, generator=gen)
            if "norm" in name:
                p.copy_(norm + 0.15 * noise)
            elif name.endswith("bias"):
                p.copy_(0.3 * noise)
            elif "q_proj" in name or "k_proj" in name:
                p.copy_(0.35 * noise)
            elif "embed_tokens" in name:
                p.copy_(0.6 * noise)
            else:
                p.copy_(0.2 * noise)


def rounded(model, dtype):
    """The stored state, with the model itself rounded to it."""
    state = {}
    for name, t in model.state_dict().items():
        stored = t.to(dtype) if t.is_floating_point() else t
        t.copy_(stored.to(t.dtype))
        state[name] = stored.clone().contiguous()
    if getattr(model.config, "tie_word_embeddings", False):
        state.pop("lm_head.weight", None)
    return state


def write_weights(folder, state, shards):
    if shards == 1:
        save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
        return
    names = sorted(state)
    parts = [names[i::shards] for i in range(shards)]
    index = {"metadata": {"total_size": sum(t.numel() * t.element_size() for t in state.values())}, "weight_map": {}}
    for i, part in enumerate(parts):
        file = f"model-{i + 1:05}-of-{shards:05}.safetensors"
        save_file({n: state[n] for n in part}, folder / file, metadata={"format": "pt"})
        index["weight_map"] |= {n: file for n in part}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=1) + "\n")


def write_config(folder, model, arch, dtype, old_rope, drop):
    """config.json; `old_rope` writes what checkpoints made before transformers 5 hold."""
    config = model.config.to_dict()
    for key in ["keep_normalizer", "_name_or_path", "transformers_version", "attn_implementation", *drop]:
        config.pop(key, None)
    config = {k: v for k, v in config.items() if not k.startswith("_")}
    config["architectures"] = [arch]
    name = str(dtype).removeprefix("torch.")
    if old_rope:
        rope = dict(config.pop("rope_parameters"))
        if "full_attention" in rope:
            config["rope_local_base_freq"] = rope["sliding_attention"]["rope_theta"]
            rope = dict(rope["full_attention"])
        config["rope_theta"] = rope.pop("rope_theta")
        kind = rope.pop("rope_type", "default")
        config["rope_scaling"] = None if kind == "default" else {old_rope: kind, **rope}
        config["torch_dtype"] = name
        config.pop("dtype", None)
    else:
        config["dtype"] = name
    (folder / "config.json").write_text(json.dumps(config, indent=1, sort_keys=True) + "\n")


def write_tokenizer(folder, kind, chat_file):
    kind["tok"]().save(str(folder / "tokenizer.json"))
    about = {k: v for k, v in kind["names"].items() if v is not None}
    about["tokenizer_class"] = "PreTrainedTokenizerFast"
    if kind["chat"] and chat_file:
        (folder / "chat_template.jinja").write_text(kind["chat"])
    elif kind["chat"]:
        about["chat_template"] = kind["chat"]
    (folder / "tokenizer_config.json").write_text(json.dumps(about, indent=1, ensure_ascii=False) + "\n")


@torch.no_grad()
def reference(model, ids):
    body = model.model
    latents = body(input_ids=ids[None], use_cache=False).last_hidden_state[0]
    out = {"tokens": ids, "latents": latents}
    if isinstance(model, LlamaForScore):
        out["scores"] = model.head(latents)
    elif hasattr(model, "score"):
        out["scores"] = model.score(latents).squeeze(-1)
    else:
        out["logits"] = model.lm_head(latents)
    return {k: v.contiguous() for k, v in out.items()}


def make(name, cls, kind, seed, dtype=torch.float32, shards=1, old_rope=None, chat_file=False, text=TEXT, drop=(), **cfg):
    folder = HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    write_tokenizer(folder, kind, chat_file)
    tok = hf.AutoTokenizer.from_pretrained(folder)
    config_class = {"LlamaForScore": hf.LlamaConfig}.get(cls.__name__) or cls.config_class
    base = dict(
        vocab_size=tok.backend_tokenizer.get_vocab_size(),
        hidden_size=32,
        intermediate_size=56,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=512,
        tie_word_embeddings=False,
        bos_token_id=tok.bos_token_id,
        eos_token_id=tok.eos_token_id,
        pad_token_id=tok.pad_token_id,
        attn_implementation="eager",
    )
    config = config_class(**{**base, **cfg})
    model = cls(config).to(torch.float32).eval()
    fill(model, seed)
    state = rounded(model, dtype)
    ids = torch.tensor(tok(text)["input_ids"], dtype=torch.int64)
    assert ids.tolist() == tok.backend_tokenizer.encode(text).ids
    golden = reference(model, ids)
    assert all(torch.isfinite(v).all() for v in golden.values())
    save_file(golden, folder / "golden.safetensors")
    write_weights(folder, state, shards)
    arch = cls.__name__
    write_config(folder, model, arch, dtype, old_rope, drop)
    about = {"text": text, "decoded": tok.backend_tokenizer.decode(ids.tolist(), skip_special_tokens=True)}
    if kind["chat"]:
        about["messages"] = CHAT
        about["chat"] = tok.apply_chat_template(CHAT, tokenize=False, add_generation_prompt=True)
        about["chat_tokens"] = tok(about["chat"], add_special_tokens=False)["input_ids"]
    (folder / "golden.json").write_text(json.dumps(about, indent=1, ensure_ascii=False) + "\n")
    eos = [tok.eos_token_id] if seed % 2 else tok.eos_token_id
    generation = dict(bos_token_id=tok.bos_token_id, eos_token_id=eos, do_sample=True, temperature=0.7, top_p=0.9, top_k=20)
    if "scores" not in golden:
        (folder / "generation_config.json").write_text(json.dumps(generation, indent=1) + "\n")
    size = sum(f.stat().st_size for f in folder.iterdir()) // 1024
    print(f"{name}: T={len(ids)} V={base['vocab_size']} {size} KiB")


F16, BF16 = torch.float16, torch.bfloat16
LLAMA3_ROPE = dict(
    rope_type="llama3",
    rope_theta=10000.0,
    factor=8.0,
    low_freq_factor=1.0,
    high_freq_factor=4.0,
    original_max_position_embeddings=32,
)

make("llama1", hf.LlamaForCausalLM, LLAMA2, 1, old_rope="rope_type", drop=["head_dim", "num_key_value_heads", "rope_scaling"])
make("llama2-gqa", hf.LlamaForCausalLM, LLAMA2, 2, F16, shards=3, old_rope="type",
     hidden_size=48, num_attention_heads=6, num_key_value_heads=2, num_hidden_layers=3)
make("llama-biases", hf.LlamaForCausalLM, LLAMA3, 3, F16, attention_bias=True, mlp_bias=True, head_dim=12)
make("llama3-rope", hf.LlamaForCausalLM, LLAMA3, 4, BF16, old_rope="rope_type", rope_parameters=LLAMA3_ROPE,
     num_key_value_heads=2, hidden_size=64, intermediate_size=80)
make("llama3-tied", hf.LlamaForCausalLM, LLAMA3, 5, BF16, rope_parameters=LLAMA3_ROPE, num_key_value_heads=1,
     head_dim=16, tie_word_embeddings=True, chat_file=True, shards=2)
make("llama-linear", hf.LlamaForCausalLM, LLAMA2, 6, F16, old_rope="type",
     rope_parameters=dict(rope_type="linear", rope_theta=10000.0, factor=4.0))
make("llama-dynamic", hf.LlamaForCausalLM, LLAMA2, 7, F16, old_rope="type", max_position_embeddings=32,
     rope_parameters=dict(rope_type="dynamic", rope_theta=10000.0, factor=8.0))
make("mistral-window", hf.MistralForCausalLM, LLAMA2, 8, BF16, sliding_window=16, num_key_value_heads=2, head_dim=12,
     num_hidden_layers=3)
make("qwen2", hf.Qwen2ForCausalLM, QWEN, 9, BF16, old_rope="rope_type", num_key_value_heads=2, tie_word_embeddings=True,
     drop=["layer_types"])
make("qwen2-window", hf.Qwen2ForCausalLM, QWEN, 10, F16, use_sliding_window=True, sliding_window=12, max_window_layers=1,
     num_hidden_layers=3, num_key_value_heads=2, drop=["layer_types"])
make("qwen3", hf.Qwen3ForCausalLM, QWEN, 11, BF16, head_dim=16, num_key_value_heads=2, chat_file=True)
make("qwen3-tied-window", hf.Qwen3ForCausalLM, QWEN, 12, F16, head_dim=12, num_key_value_heads=1, tie_word_embeddings=True,
     use_sliding_window=True, sliding_window=20, layer_types=["sliding_attention", "full_attention"])

make("score-llama-reward", LlamaForScore, BEAVER, 21, BF16, score_bias=False, score_type="reward", score_dim=1,
     do_normalize=False, keep_normalizer=True, old_rope="rope_type")
make("score-llama-reward-normalized", LlamaForScore, BEAVER, 22, score_bias=True, score_type="reward", score_dim=1,
     do_normalize=True, keep_normalizer=True)
make("score-llama-cost", LlamaForScore, BEAVER, 23, F16, score_bias=False, score_type="cost", score_dim=1,
     do_normalize=True, keep_normalizer=True, shards=2)
make("score-llama-plain", LlamaForScore, LLAMA3, 24, F16, score_bias=False, score_type="cost", score_dim=1,
     do_normalize=False, keep_normalizer=False, rope_parameters=LLAMA3_ROPE, num_key_value_heads=2)
make("score-llama-class", hf.LlamaForSequenceClassification, LLAMA3, 25, BF16, num_labels=1, num_key_value_heads=2)
make("score-mistral-class", hf.MistralForSequenceClassification, LLAMA2, 26, F16, num_labels=1, sliding_window=16)
make("score-qwen2-class", hf.Qwen2ForSequenceClassification, QWEN, 27, BF16, num_labels=1, num_key_value_heads=2)
make("score-qwen3-class", hf.Qwen3ForSequenceClassification, QWEN, 28, F16, num_labels=1, head_dim=16)

GEMMA3_ROPE = dict(
    full_attention=dict(rope_type="default", rope_theta=10000.0),
    sliding_attention=dict(rope_type="default", rope_theta=100.0),
)
GEMMA3_STRETCHED = GEMMA3_ROPE | dict(full_attention=dict(rope_type="linear", rope_theta=10000.0, factor=8.0))
GEMMA3_SIZES = dict(head_dim=12, num_key_value_heads=1, sliding_window=12, tie_word_embeddings=True, rms_norm_eps=1e-6)
make("gemma3", hf.Gemma3ForCausalLM, GEMMA, 13, BF16, rope_parameters=GEMMA3_ROPE, query_pre_attn_scalar=20, chat_file=True,
     num_hidden_layers=3, layer_types=["sliding_attention", "full_attention", "sliding_attention"], **GEMMA3_SIZES)
make("gemma3-linear", hf.Gemma3ForCausalLM, GEMMA, 14, F16, old_rope="rope_type", rope_parameters=GEMMA3_STRETCHED,
     query_pre_attn_scalar=12, num_hidden_layers=6, drop=["layer_types", "tie_word_embeddings"], text=TEXT[:60], **GEMMA3_SIZES)
make("score-gemma3-class", hf.Gemma3TextForSequenceClassification, GEMMA, 29, BF16, num_labels=1, num_hidden_layers=2,
     rope_parameters=GEMMA3_ROPE, layer_types=["full_attention", "sliding_attention"], **GEMMA3_SIZES)
