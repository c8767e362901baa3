"""Makes the golden GGUF file beside this script: a tiny random Llama in one file, with its tokenizer and its chat
template inside, every matrix in another format, and what the reference makes of it.

    pip install numpy gguf safetensors tokenizers
    python make.py

mixed.gguf           written by llama.cpp's own Python package
beside.json          the tokenizer as tokenizer.json, for those that want it beside the file
golden.json          texts, and their tokens by the library that reads tokenizer.json
golden.safetensors   tokens, logits f32 [T, V]; and of every format `NAME.bytes`, `NAME.values`: blocks, and what
                     llama.cpp's Python package reads from them

The reference runs in float64, from the weights as that package unpacks them, in llama.cpp's order of rows.
"""

import json
import pathlib

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType as T, GGUFWriter, TokenType, quants
from safetensors.numpy import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

HERE = pathlib.Path(__file__).parent
H, HEADS, KV, I = 256, 8, 4, 256
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
CORPUS = [
    "the kettle boils and the house is warm, the cat sits on the mat",
    "how do I clean the kettle? put water and vinegar in the kettle and boil it in 2024",
]
TEXTS = [
    "", " ", "the kettle boils", "The  kettle\n\n boils\t", "it's 1984, isn't it? WE'LL see", "naïve café — 東京の夏", "🙂👩‍👩‍👧",
    "x = y[1234567] + 3.14;", "<|im_start|>user\nhi<|im_end|>\n", "   leading and trailing   ", "\u0301\u00a0e\u0301",
]
TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
rng = np.random.default_rng(11)

# Where the half floats of a block are, and how large they are, so that weights are of a usual size.
HALVES = {
    T.Q4_0: [(0, 0.01)], T.Q4_1: [(0, 0.01), (2, -0.08)], T.Q5_0: [(0, 0.005)], T.Q5_1: [(0, 0.005), (2, -0.08)],
    T.Q8_0: [(0, 0.0008)], T.Q2_K: [(80, 0.006), (82, 0.009)], T.Q3_K: [(108, 0.0015)],
    T.Q4_K: [(0, 0.0003), (2, 0.0024)], T.Q5_K: [(0, 0.00015), (2, 0.0024)], T.Q6_K: [(208, 0.00003)],
    T.IQ4_NL: [(0, 0.001)], T.IQ4_XS: [(0, 0.00005)], T.Q8_K: [],
}


def blocks(kind, rows, columns):
    """Random blocks, whose scales are those above, times something up to 2."""
    span, size = GGML_QUANT_SIZES[kind]
    data = rng.integers(0, 256, (rows, columns // span, size), dtype=np.uint8)
    for at, scale in HALVES[kind]:
        scales = (scale * rng.uniform(0.5, 2, data.shape[:2])).astype(np.float16)
        data[:, :, at : at + 2] = scales[..., None].view(np.uint8)
    if kind == T.Q8_K:
        scales = (0.0008 * rng.uniform(0.5, 2, data.shape[:2])).astype(np.float32)
        data[:, :, :4] = scales[..., None].view(np.uint8)
    if kind == T.Q6_K:
        # Scales of both signs, none huge.
        data[:, :, 192:208] = rng.integers(-64, 64, data[:, :, 192:208].shape, dtype=np.int8).view(np.uint8)
    return data.reshape(rows, -1)


def unpacked(data, kind):
    if kind == T.Q8_K:  # the package does not unpack it: f32 scale, 256 bytes, sums
        b = data.reshape(-1, 292)
        scales = b[:, :4].copy().view(np.float32)
        return (scales * b[:, 4:260].view(np.int8).astype(np.float32)).reshape(data.shape[0], -1)
    return quants.dequantize(data, kind).astype(np.float32)


def tokenizer():
    tok = Tokenizer(models.BPE())
    tok.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)]
    )
    tok.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    special = [AddedToken(s, normalized=False, special=True) for s in SPECIAL]
    tok.train_from_iterator(
        CORPUS, trainers.BpeTrainer(vocab_size=300, initial_alphabet=sorted(alphabet), special_tokens=special, show_progress=False)
    )
    return tok


tok = tokenizer()
V = tok.get_vocab_size()
KINDS = {
    "token_embd.weight": T.Q4_1, "output.weight": T.Q5_1, "blk.0.attn_q.weight": T.Q2_K, "blk.0.attn_k.weight": T.Q3_K,
    "blk.0.attn_v.weight": T.Q8_K, "blk.0.attn_output.weight": T.Q6_K, "blk.0.ffn_gate.weight": T.IQ4_NL,
    "blk.0.ffn_up.weight": T.IQ4_XS, "blk.0.ffn_down.weight": T.Q5_K,
}
ROWS = {"token_embd.weight": V, "output.weight": V, "blk.0.attn_k.weight": H // HEADS * KV, "blk.0.attn_v.weight": H // HEADS * KV}
data = {name: blocks(kind, ROWS.get(name, H), H) for name, kind in KINDS.items()}
weights = {name: unpacked(data[name], kind).astype(np.float64) for name, kind in KINDS.items()}
norms = {name: rng.uniform(0.5, 1.5, H).astype(np.float32) for name in ("output_norm.weight", "blk.0.attn_norm.weight", "blk.0.ffn_norm.weight")}


def write():
    w = GGUFWriter(HERE / "mixed.gguf", "llama")
    w.add_context_length(128)
    w.add_embedding_length(H)
    w.add_block_count(1)
    w.add_feed_forward_length(I)
    w.add_head_count(HEADS)
    w.add_head_count_kv(KV)
    w.add_layer_norm_rms_eps(1e-5)
    w.add_rope_freq_base(10000.0)
    w.add_rope_dimension_count(H // HEADS)
    w.add_vocab_size(V)
    vocab = sorted(tok.get_vocab().items(), key=lambda item: item[1])
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre("smollm")
    w.add_token_list([token for token, _ in vocab])
    w.add_token_types([TokenType.CONTROL if token in SPECIAL else TokenType.NORMAL for token, _ in vocab])
    w.add_token_merges([" ".join(pair) for pair in json.loads(tok.to_str())["model"]["merges"]])
    w.add_bos_token_id(1)
    w.add_eos_token_id(2)
    w.add_add_bos_token(False)
    w.add_chat_template(TEMPLATE)
    for name, kind in KINDS.items():
        w.add_tensor(name, data[name], raw_dtype=kind)
    for name, values in norms.items():
        w.add_tensor(name, values)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def normed(x, name):
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-5) * norms[name]


def turned(x):
    """Rotary positions of llama.cpp's Llama: neighbours are pairs. x [T, heads, dim]."""
    t, _, dim = x.shape
    angles = np.arange(t)[:, None] / 10000.0 ** (np.arange(0, dim, 2) / dim)
    cos, sin = np.cos(angles)[:, None], np.sin(angles)[:, None]
    a, b = x[..., ::2], x[..., 1::2]
    return np.stack([a * cos - b * sin, a * sin + b * cos], -1).reshape(x.shape)


def logits(tokens):
    t, dim = len(tokens), H // HEADS
    x = weights["token_embd.weight"][tokens]
    h = normed(x, "blk.0.attn_norm.weight")
    heads = lambda name, n: (h @ weights[f"blk.0.{name}.weight"].T).reshape(t, n, dim)
    q, k, v = turned(heads("attn_q", HEADS)), turned(heads("attn_k", KV)), heads("attn_v", KV)
    k, v = (np.repeat(one, HEADS // KV, 1) for one in (k, v))
    scores = np.einsum("thd,shd->hts", q, k) / np.sqrt(dim) + np.triu(np.full((t, t), -np.inf), 1)
    shares = np.exp(scores - scores.max(-1, keepdims=True))
    shares /= shares.sum(-1, keepdims=True)
    x = x + np.einsum("hts,shd->thd", shares, v).reshape(t, H) @ weights["blk.0.attn_output.weight"].T
    h = normed(x, "blk.0.ffn_norm.weight")
    gate, up = h @ weights["blk.0.ffn_gate.weight"].T, h @ weights["blk.0.ffn_up.weight"].T
    x = x + (gate / (1 + np.exp(-gate)) * up) @ weights["blk.0.ffn_down.weight"].T
    return normed(x, "output_norm.weight") @ weights["output.weight"].T


write()
tokens = tok.encode("how do I clean the kettle? 42 times").ids
found = {"tokens": np.array(tokens, np.int64), "logits": logits(tokens).astype(np.float32)}
for kind in HALVES:
    sample = blocks(kind, 2, 256)
    found |= {f"{kind.name}.bytes": sample, f"{kind.name}.values": unpacked(sample, kind)}
save_file(found, HERE / "golden.safetensors")
tok.save(str(HERE / "beside.json"))
prompt = "<|im_start|>user\nHow is the kettle?<|im_end|>\n<|im_start|>assistant\n"
about = {
    "texts": [{"text": text, "tokens": tok.encode(text).ids} for text in TEXTS],
    "prompt": {"user": "How is the kettle?", "tokens": tok.encode(prompt).ids},
}
(HERE / "golden.json").write_text(json.dumps(about, ensure_ascii=False, indent=1) + "\n")
