#!/usr/bin/env python3
"""A peer of `inferguard bench`: the same decoding with PyTorch and Hugging Face transformers, as fast as they allow.

    pip install torch transformers safetensors
    transformers_peer.py --model DIR --reward DIR --cost DIR --method beam --n 32 --k 8 --depth 128

Methods, all at temperature 1 over the whole vocabulary, with EOS treated as any other token:
  base       one answer
  best-of-n  N answers in one batch, each scored once it is whole; the best is the answer
  beam       blockwise beam search: N candidates a chunk, scored after each chunk; the best K go on, N / K times each
The value of a candidate is reward - cost, from score models that read prompt and answer as token ids.

Prints one JSON object to stdout, anything else to stderr. Times include the prompt; loading and a warm-up do not count.
`cpu_seconds_per_prompt` is the CPU time of all threads: with `--threads 1`, far less than `seconds_per_prompt` means
that other programs had the CPU.

What makes it fast: the prompt runs once, in a batch of one, and its KV cache is then expanded to N rows; one forward
pass a token for all rows; logits of the last position only; the last token of a chunk runs for the K kept rows only
(its cache and logits are expanded afterwards); score models keep a KV cache of their own, so they read each token
once; SDPA attention; and keys and values are written in place, where transformers' own DynamicCache would copy the
whole cache for each token (`--cache dynamic` measures that one).
"""

import argparse
import contextlib
import inspect
import json
import pathlib
import resource
import statistics
import sys
import time

import safetensors
import torch
import transformers
from transformers import AutoModel, AutoModelForCausalLM, DynamicCache
from transformers.cache_utils import DynamicLayer


class InPlaceLayer(DynamicLayer):
    """Keys and values of one block in a buffer that is allocated once for `room` positions and written in place."""

    def __init__(self, room):
        super().__init__()
        self.room = room
        self.buffers = None

    def update(self, key_states, value_states, *args, **kwargs):
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            self.buffers = [self._buffer(new) for new in (key_states, value_states)]
            self.keys, self.values = (buffer[:, :, :0] for buffer in self.buffers)
        start = self.get_seq_length()
        stop = start + key_states.shape[-2]
        for buffer, new in zip(self.buffers, (key_states, value_states)):
            buffer[:, :, start:stop] = new
        self.keys, self.values = (buffer[:, :, :stop] for buffer in self.buffers)
        return self.keys, self.values

    def batch_select_indices(self, indices):
        old, length = (self.keys, self.values), self.get_seq_length()
        self.buffers = [self._buffer(old[0], len(indices)), self._buffer(old[1], len(indices))]
        self.keys, self.values = (buffer[:, :, :length] for buffer in self.buffers)
        for new, source in zip((self.keys, self.values), old):
            new.copy_(source) if len(source) == 1 else torch.index_select(source, 0, indices, out=new)

    def _buffer(self, like, rows=None):
        rows, heads, _, size = rows or like.shape[0], *like.shape[1:]
        return like.new_empty(rows, heads, self.room, size)


class Decoder:
    """A language model, or the body of a score model, with the KV cache of the rows that it is reading."""

    def __init__(self, model, args, head=None):
        self.model, self.head = model.eval().to(args.device), head
        self.room = args.prompt_tokens + args.depth if args.cache == "in-place" else None
        # Its name changed in transformers 5; the object is updated in place under both
        self.cache_argument = "cache" if "cache" in inspect.signature(model.forward).parameters else "past_key_values"
        self.options = {"logits_to_keep": 1} if head is None else {}

    @classmethod
    def language_model(cls, path, args):
        options = {"dtype": args.torch_dtype, "attn_implementation": args.attention}
        return cls(AutoModelForCausalLM.from_pretrained(path, **options), args)

    @classmethod
    def score_model(cls, path, args):
        options = {"dtype": args.torch_dtype, "attn_implementation": args.attention}
        head = {}
        for file in sorted(pathlib.Path(path).glob("*.safetensors")):
            with safetensors.safe_open(file, "pt") as tensors:
                for name in tensors.keys():
                    if name in ("score.weight", "score.bias", "score_head.weight", "score_head.bias"):
                        head[name.split(".")[1]] = tensors.get_tensor(name).to(args.device, args.torch_dtype)
        if "weight" not in head or head["weight"].shape[0] != 1:
            raise SystemExit(f"{path}: no score.weight or score_head.weight with one row")
        return cls(AutoModel.from_pretrained(path, **options), args, head)

    def start(self, prompt):
        """Reads the prompt, [1, P], and forgets all rows before it; returns as `read`."""
        self.cache = DynamicCache(config=self.model.config)
        if self.room:
            self.cache.layers = [InPlaceLayer(self.room) for _ in range(self.model.config.num_hidden_layers)]
        return self.read(prompt)

    def read(self, tokens):
        """Reads [rows, length] further tokens; returns the logits, [rows, vocabulary], or the scores, [rows]."""
        output = self.model(tokens, use_cache=True, **{self.cache_argument: self.cache}, **self.options)
        if self.head is None:
            return output.logits[:, -1]
        last = output.last_hidden_state[:, -1]
        return torch.nn.functional.linear(last, self.head["weight"], self.head.get("bias")).squeeze(1).float()

    def select(self, rows):
        """Goes on with these rows of the cache, some of them maybe several times."""
        self.cache.batch_select_indices(rows)


class Search:
    def __init__(self, args):
        self.args = args
        self.prompt = torch.tensor([[3 + i * 7 % 300 for i in range(args.prompt_tokens)]], device=args.device)
        self.model = Decoder.language_model(args.model, args)
        self.scores = [(1.0, Decoder.score_model(args.reward, args))] if args.reward else []
        self.scores += [(-1.0, Decoder.score_model(args.cost, args))] if args.cost else []

    def sample(self, logits):
        """One token a row, [rows, 1], at temperature 1: the first whose cumulated probability passes a random number."""
        mass = torch.softmax(logits.float(), -1).cumsum(-1)
        drawn = torch.rand(len(logits), 1, device=logits.device) * mass[:, -1:]
        return torch.searchsorted(mass, drawn, right=True).clamp_(max=logits.shape[1] - 1)

    def rows(self, kept, wanted):
        """Indices that spread `kept` rows over `wanted` rows as evenly as possible."""
        return torch.arange(wanted, device=self.args.device) * kept // wanted

    def run(self):
        """Answers the prompt once; returns the token ids."""
        args = self.args
        beam = args.method == "beam"
        chunk = args.chunk if beam else args.depth
        logits = self.model.start(self.prompt)
        for _, score in self.scores:
            score.start(self.prompt)
        answers = self.prompt.new_empty(1, 0)
        while answers.shape[1] < args.depth:
            # Here a row is a kept answer, and `logits` are those after it
            spread = self.rows(len(answers), args.n)
            if args.n > len(answers):
                for decoder in [self.model] + [score for _, score in self.scores]:
                    decoder.select(spread)
            answers, logits = answers[spread], logits[spread]
            length = min(chunk, args.depth - answers.shape[1])
            tokens = [self.sample(logits)]
            while len(tokens) < length:
                tokens.append(self.sample(self.model.read(tokens[-1])))
            tokens = torch.cat(tokens, 1)
            answers = torch.cat([answers, tokens], 1)
            value = sum(sign * score.read(tokens) for sign, score in self.scores)
            if not self.scores:
                continue
            done = answers.shape[1] == args.depth
            best = value.topk(1 if done or not beam else args.k).indices
            answers = answers[best]
            if not done:
                for decoder in [self.model] + [score for _, score in self.scores]:
                    decoder.select(best)
                logits = self.model.read(tokens[best, -1:])
        return answers[0].tolist()


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, metavar="DIR", help="language model, a Hugging Face folder")
    parser.add_argument("--reward", metavar="DIR", help="score model to maximise")
    parser.add_argument("--cost", metavar="DIR", help="score model to minimise")
    parser.add_argument("--method", choices=("base", "best-of-n", "beam"), default="base")
    parser.add_argument("--n", type=int, default=1, help="candidates")
    parser.add_argument("--k", type=int, help="kept after each chunk (beam); N / 4 by default")
    parser.add_argument("--chunk", type=int, default=32, help="tokens of a chunk (beam)")
    parser.add_argument("--prompt-tokens", type=int, default=64)
    parser.add_argument("--depth", type=int, default=128, help="tokens of an answer")
    parser.add_argument("--dtype", choices=("f32", "bf16"), default="f32")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, help="of the CPU; by default as many as PyTorch takes")
    parser.add_argument("--seconds", type=float, default=10.0, help="time to measure for, with two repetitions at least")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cache", choices=("in-place", "dynamic"), default="in-place")
    parser.add_argument("--attention", choices=("sdpa", "eager"), default="sdpa")
    args = parser.parse_args()
    if args.method == "base":
        args.n, args.reward, args.cost = 1, None, None
    elif not args.reward:
        parser.error(f"--method {args.method} needs --reward")
    args.k = min(args.k or max(args.n // 4, 1), args.n)
    args.torch_dtype = {"f32": torch.float32, "bf16": torch.bfloat16}[args.dtype]
    return args


def measure(args):
    if args.threads:
        torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    transformers.utils.logging.disable_progress_bar()
    search = Search(args)
    times, busy = [], []
    with torch.inference_mode():
        search.run()
        while len(times) < 2 or sum(times) < args.seconds:
            start, cpu = time.perf_counter(), time.process_time()
            answer = search.run()  # Ends with a copy to the CPU, which waits for the device
            times.append(time.perf_counter() - start)
            busy.append(time.process_time() - cpu)
            assert len(answer) == args.depth
            print(f"{times[-1]:.3f} s: {answer[:8]}...", file=sys.stderr)
    seconds = statistics.median(times)
    result = {
        "name": "transformers",
        "version": f"{transformers.__version__}, torch {torch.__version__}",
        "method": args.method,
        "n": args.n,
        "k": args.k if args.method == "beam" else None,
        "chunk": args.chunk if args.method == "beam" else None,
        "prompt_tokens": args.prompt_tokens,
        "depth": args.depth,
        "dtype": args.dtype,
        "device": args.device,
        "threads": torch.get_num_threads(),
        "cache": args.cache,
        "seconds_per_prompt": seconds,
        "tokens_per_second": args.depth / seconds,
        "cpu_seconds_per_prompt": statistics.median(busy),
        "repetitions": len(times),
        "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }
    if args.device == "cuda":
        result["peak_device_bytes"] = torch.cuda.max_memory_allocated()
    return result


if __name__ == "__main__":
    with contextlib.redirect_stdout(sys.stderr):
        outcome = measure(arguments())
    print(json.dumps(outcome))
