#!/usr/bin/env python3
"""A peer of `inferguard bench`: plain decoding of one answer with llama.cpp, through the C API that llama-cpp-python binds.

    CMAKE_ARGS=-DLLAVA_BUILD=OFF pip install llama-cpp-python gguf safetensors
    llamacpp_peer.py --model DIR --dtype q8_0 --prompt-tokens 64 --depth 128

A Hugging Face folder of a Llama is written as DIR-DTYPE.gguf first, unless that is there; `--gguf` names another file.

Each repetition empties the KV cache, reads the prompt in one batch and decodes token by token, with llama.cpp's own
sampler at temperature 1 over the whole vocabulary (`--sampler none` takes made-up tokens in its place). EOS is treated
as any other token. Nothing is tokenised. Per token, Python makes a few C calls: some microseconds.

Prints one JSON object to stdout, anything else to stderr. Times include the prompt; loading and a warm-up do not count.
`cpu_seconds_per_prompt` is the CPU time of all threads: with `--threads 1`, far less than `seconds_per_prompt` means
that other programs had the CPU.
`decode_tokens_per_second` is without the prompt, as llama-bench's `tg` counts, here after a prompt of P tokens.
"""

import argparse
import ctypes
import json
import os
import pathlib
import resource
import statistics
import sys
import time

import llama_cpp as llama


class Decoder:
    """A model with a context for one sequence of at most `positions` tokens."""

    def __init__(self, path, positions, args):
        llama.llama_backend_init()
        params = llama.llama_model_default_params()
        params.n_gpu_layers = 0 if args.device == "cpu" else -1
        self.model = llama.llama_model_load_from_file(os.fsencode(path), params)
        if not self.model:
            raise SystemExit(f"{path}: llama.cpp cannot load it")
        params = llama.llama_context_default_params()
        params.n_ctx = positions
        params.n_batch = max(params.n_batch, args.prompt_tokens)
        params.n_threads = params.n_threads_batch = args.threads
        self.context = llama.llama_init_from_model(self.model, params)
        if not self.context:
            raise SystemExit(f"{path}: llama.cpp cannot make a context of {positions} tokens")
        self.vocabulary = llama.llama_vocab_n_tokens(llama.llama_model_get_vocab(self.model))
        self.sampler = None if args.sampler == "none" else llama.llama_sampler_init_dist(args.seed)

    def answer(self, prompt, depth):
        """Decodes `depth` tokens after the prompt; returns them and the seconds that the prompt and all of it took."""
        tokens = []
        start = time.perf_counter()
        llama.llama_memory_clear(llama.llama_get_memory(self.context), False)
        self._read(prompt)
        llama.llama_synchronize(self.context)
        prompt_seconds = time.perf_counter() - start
        while True:
            if self.sampler:
                tokens.append(llama.llama_sampler_sample(self.sampler, self.context, -1))
            else:
                tokens.append((3 + 7 * len(tokens)) % self.vocabulary)
            if len(tokens) == depth:
                break
            self._read(tokens[-1:])
        llama.llama_synchronize(self.context)
        return tokens, prompt_seconds, time.perf_counter() - start

    def _read(self, tokens):
        array = (llama.llama_token * len(tokens))(*tokens)
        status = llama.llama_decode(self.context, llama.llama_batch_get_one(array, len(tokens)))
        if status != 0:
            raise SystemExit(f"llama_decode failed: {status}")

    def meta(self, key):
        buffer = ctypes.create_string_buffer(256)
        found = llama.llama_model_meta_val_str(self.model, key.encode(), buffer, len(buffer)) >= 0
        return buffer.value.decode() if found else None

    def description(self):
        """Like 'llama ?B Q8_0': architecture, size and type of the weights."""
        buffer = ctypes.create_string_buffer(256)
        llama.llama_model_desc(self.model, buffer, len(buffer))
        return buffer.value.decode()


# Names of the tensors of one block: Hugging Face, GGUF
BLOCK = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}


def permuted(weight, heads):
    """Rows of queries or keys in llama.cpp's order: the two halves of each head take turns."""
    return weight.reshape(heads, 2, weight.shape[0] // heads // 2, *weight.shape[1:]).swapaxes(1, 2).reshape(weight.shape)


def written(folder, dtype):
    """The GGUF file of a folder; its vocabulary is made up, since nothing is tokenised."""
    import gguf
    from safetensors.numpy import load_file

    path = folder.with_name(f"{folder.name}-{dtype}.gguf")
    if path.exists():
        return path
    config = json.loads((folder / "config.json").read_text())
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_vocab_size(config["vocab_size"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_rope_dimension_count(config["hidden_size"] // config["num_attention_heads"])
    writer.add_rope_freq_base(config["rope_theta"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    # llama.cpp wants the three special tokens and 256 bytes
    words = ["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(256)]
    words += [f"\u2581w{i}" for i in range(len(words), config["vocab_size"])]
    kinds = [gguf.TokenType.UNKNOWN] + [gguf.TokenType.CONTROL] * 2 + [gguf.TokenType.BYTE] * 256
    writer.add_tokenizer_model("llama")
    writer.add_token_list(words)
    writer.add_token_scores([-float(i) for i in range(len(words))])
    writer.add_token_types(kinds + [gguf.TokenType.NORMAL] * (len(words) - len(kinds)))
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    names = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}
    for layer in range(config["num_hidden_layers"]):
        names |= {f"model.layers.{layer}.{theirs}": f"blk.{layer}.{ours}" for theirs, ours in BLOCK.items()}
    for name, weight in load_file(folder / "model.safetensors").items():
        name = name.removesuffix(".weight")
        if name not in names:
            continue
        if name.endswith("q_proj"):
            weight = permuted(weight, config["num_attention_heads"])
        if name.endswith("k_proj"):
            weight = permuted(weight, config["num_key_value_heads"])
        quantised = dtype == "q8_0" and weight.ndim == 2
        kind = gguf.GGMLQuantizationType.Q8_0 if quantised else gguf.GGMLQuantizationType.F32
        writer.add_tensor(names[name] + ".weight", gguf.quants.quantize(weight, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def version():
    """Of the binding, and of the llama.cpp and ggml that it was built with where they can tell."""
    parts = [f"llama-cpp-python {llama.__version__}"]
    if hasattr(llama, "llama_version"):
        parts.append(f"llama.cpp {llama.llama_version().decode()}")
    try:
        import llama_cpp._ggml as ggml

        library = ggml.libggml
        library.ggml_version.restype = library.ggml_commit.restype = ctypes.c_char_p
        parts.append(f"ggml {library.ggml_version().decode()} ({library.ggml_commit().decode()})")
    except (ImportError, AttributeError):
        pass
    return ", ".join(parts)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", metavar="DIR", help="language model, a Hugging Face folder of a Llama")
    parser.add_argument("--dtype", choices=("f32", "q8_0"), default="f32", help="of the file that is written for it")
    parser.add_argument("--gguf", metavar="FILE", help="language model; its weights' type is the dtype")
    parser.add_argument("--method", choices=("base",), default="base")
    parser.add_argument("--n", type=int, choices=(1,), default=1)
    parser.add_argument("--prompt-tokens", type=int, default=64)
    parser.add_argument("--depth", type=int, default=128, help="tokens of an answer")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="cuda needs a build for it")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--seconds", type=float, default=10.0, help="time to measure for, with two repetitions at least")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sampler", choices=("dist", "none"), default="dist")
    args, _ = parser.parse_known_args()  # Score models are given too, and not used
    if not args.gguf and not args.model:
        parser.error("name a model with --model DIR or --gguf FILE")
    args.gguf = args.gguf or str(written(pathlib.Path(args.model), args.dtype))
    return args


def measure(args):
    prompt = [3 + i * 7 % 300 for i in range(args.prompt_tokens)]
    decoder = Decoder(args.gguf, args.prompt_tokens + args.depth, args)
    decoder.answer(prompt, args.depth)
    times, busy = [], []
    while len(times) < 2 or sum(total for _, total in times) < args.seconds:
        cpu = time.process_time()
        tokens, *seconds = decoder.answer(prompt, args.depth)
        busy.append(time.process_time() - cpu)
        times.append(seconds)
        print(f"{seconds[1]:.3f} s: {tokens[:8]}...", file=sys.stderr)
    seconds = statistics.median(total for _, total in times)
    decode = statistics.median((total - first) / max(args.depth - 1, 1) for first, total in times)
    return {
        "name": "llama.cpp",
        "version": version(),
        "method": args.method,
        "n": args.n,
        "prompt_tokens": args.prompt_tokens,
        "depth": args.depth,
        "dtype": decoder.description().split()[-1].lower(),
        "device": args.device,
        "threads": args.threads,
        "seconds_per_prompt": seconds,
        "tokens_per_second": args.depth / seconds,
        "prompt_seconds": statistics.median(first for first, _ in times),
        "decode_tokens_per_second": 1 / decode,
        "cpu_seconds_per_prompt": statistics.median(busy),
        "repetitions": len(times),
        "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "system": llama.llama_print_system_info().decode(),
    }


def main():
    args = arguments()
    # The C library logs too: give it stderr for stdout, and keep stdout for the result
    stdout = os.dup(1)
    os.dup2(2, 1)
    result = measure(args)
    with os.fdopen(stdout, "w") as out:
        print(json.dumps(result), file=out)


if __name__ == "__main__":
    main()
