//! GGUF files made from golden folders, as llama.cpp's converter would make them.
#![allow(dead_code, reason = "each test file uses a part of it")]

use candle_core::{
    DType, Device, Tensor,
    quantized::{
        GgmlDType, QTensor,
        gguf_file::{self, Value},
    },
};
use inferenceguard_candle::{DecoderConfig, Family, ModelFiles, RopeScaling};
use serde_json::json;
use std::{
    collections::{BTreeMap, HashMap},
    io::Cursor,
    path::Path,
};

/// What a converter makes of a folder, before it is written.
pub(crate) struct Parts {
    pub(crate) metadata: BTreeMap<String, Value>,
    pub(crate) tensors: BTreeMap<String, Tensor>,
}

/// A tensor's name to its format.
pub(crate) type Kind = fn(&str) -> GgmlDType;

/// What a Q4_K_M file holds.
pub(crate) fn mixed(name: &str) -> GgmlDType {
    let finer = ["attn_v", "ffn_down", "output.weight"].iter().any(|part| name.contains(part));
    if finer { GgmlDType::Q6K } else { GgmlDType::Q4K }
}

const NAMES: [(&str, &str); 14] = [
    ("model.embed_tokens.", "token_embd."),
    ("model.norm.", "output_norm."),
    ("lm_head.", "output."),
    ("model.layers.", "blk."),
    ("input_layernorm.", "attn_norm."),
    ("self_attn.q_proj.", "attn_q."),
    ("self_attn.k_proj.", "attn_k."),
    ("self_attn.v_proj.", "attn_v."),
    ("self_attn.o_proj.", "attn_output."),
    ("self_attn.q_norm.", "attn_q_norm."),
    ("self_attn.k_norm.", "attn_k_norm."),
    ("post_attention_layernorm.", "ffn_norm."),
    ("mlp.gate_proj.", "ffn_gate."),
    ("mlp.up_proj.", "ffn_up."),
];

/// What Gemma calls the norms around its parts.
const GEMMA: [(&str, &str); 3] = [
    ("post_attention_layernorm.", "post_attention_norm."),
    ("pre_feedforward_layernorm.", "ffn_norm."),
    ("post_feedforward_layernorm.", "post_ffw_norm."),
];

fn renamed(name: &str, family: Family) -> String {
    let own: &[_] = if family == Family::Gemma3 { &GEMMA } else { &[] };
    let name = own.iter().chain(&NAMES).fold(name.to_owned(), |name, (from, to)| name.replace(from, to));
    let name = name.replace("mlp.down_proj.", "ffn_down.");
    if name == "score.weight" { "cls.output.weight".into() } else { name }
}

/// The converter's `permute`, in its own words: `reshape(heads, 2, dim / 2, ...).swapaxes(1, 2)`.
fn permuted(tensor: &Tensor, heads: usize) -> Tensor {
    let rows = tensor.dim(0).unwrap();
    let split = tensor.reshape((heads, 2, rows / heads / 2, tensor.elem_count() / rows)).unwrap();
    split.transpose(1, 2).unwrap().contiguous().unwrap().reshape(tensor.shape()).unwrap()
}

fn architecture(family: Family) -> &'static str {
    match family {
        Family::Llama | Family::Mistral => "llama",
        Family::Qwen2 => "qwen2",
        Family::Qwen3 => "qwen3",
        Family::Gemma3 => "gemma3",
    }
}

/// All tensors of a folder, f32.
fn stored(folder: &Path) -> HashMap<String, Tensor> {
    let names = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    let shards = names.filter(|name| name.starts_with("model") && name.ends_with(".safetensors"));
    let read = |name: String| candle_core::safetensors::load(folder.join(name), &Device::Cpu).unwrap();
    let all = shards.flat_map(read);
    all.map(|(name, tensor)| (name, tensor.to_dtype(DType::F32).unwrap())).collect()
}

fn metadata(config: &DecoderConfig, max_positions: usize) -> BTreeMap<String, Value> {
    let arch = architecture(config.family);
    let size = |n: usize| Value::U32(n as u32);
    let own = [
        ("block_count", size(config.layers)),
        ("embedding_length", size(config.hidden)),
        ("feed_forward_length", size(config.intermediate)),
        ("context_length", size(max_positions)),
        ("attention.head_count", size(config.heads)),
        ("attention.head_count_kv", size(config.kv_heads)),
        ("attention.key_length", size(config.head_dim)),
        ("attention.value_length", size(config.head_dim)),
        ("rope.dimension_count", size(config.head_dim)),
        ("vocab_size", size(config.vocab)),
        ("attention.layer_norm_rms_epsilon", Value::F32(config.norm_eps as f32)),
        ("rope.freq_base", Value::F32(config.rope.theta as f32)),
    ];
    let mut all: BTreeMap<_, _> = own.into_iter().map(|(key, value)| (format!("{arch}.{key}"), value)).collect();
    all.insert("general.architecture".into(), Value::String(arch.into()));
    if let Some(end) = config.eos.first() {
        all.insert("tokenizer.ggml.eos_token_id".into(), Value::U32(*end));
    }
    if let RopeScaling::Linear { factor } = config.rope.scaling {
        all.insert(format!("{arch}.rope.scaling.type"), Value::String("linear".into()));
        all.insert(format!("{arch}.rope.scaling.factor"), Value::F32(factor as f32));
    }
    if let Some(gemma) = &config.gemma {
        let window = config.windows.iter().flatten().next().copied().unwrap_or_default();
        all.insert(format!("{arch}.attention.sliding_window"), Value::U32(window as u32));
        all.insert(format!("{arch}.rope.freq_base_swa"), Value::F32(gemma.local.theta as f32));
    }
    all
}

/// The divisors of Llama 3's scaling, as the converter computes them.
fn factors(config: &DecoderConfig) -> Option<Tensor> {
    let RopeScaling::Llama3 { factor, low, high, original } = config.rope.scaling else { return None };
    let (dim, original) = (config.head_dim, original as f64);
    let one = |i: usize| {
        let wave = std::f64::consts::TAU * config.rope.theta.powf(2.0 * i as f64 / dim as f64);
        let smooth = (original / wave - low) / (high - low);
        if wave < original / high {
            1.0
        } else if wave > original / low {
            factor as f32
        } else {
            (1.0 / ((1.0 - smooth) / factor + smooth)) as f32
        }
    };
    Some(Tensor::from_iter((0..dim / 2).map(one), &Device::Cpu).unwrap())
}

impl Parts {
    pub(crate) fn of(folder: &Path) -> Self {
        let value = serde_json::from_slice(&std::fs::read(folder.join("config.json")).unwrap()).unwrap();
        let config = DecoderConfig::parse(folder, &value).unwrap();
        Self::new(&config, value["max_position_embeddings"].as_u64().unwrap() as usize, stored(folder))
    }

    /// From tensors under their Hugging Face names.
    pub(crate) fn new(config: &DecoderConfig, max_positions: usize, stored: HashMap<String, Tensor>) -> Self {
        let order = |name: &str, tensor: Tensor| match architecture(config.family) {
            "llama" if name.contains(".q_proj.") => permuted(&tensor, config.heads),
            "llama" if name.contains(".k_proj.") => permuted(&tensor, config.kv_heads),
            // The converter adds 1, which the folder leaves out.
            "gemma3" if name.contains("norm") => (tensor + 1.0).unwrap(),
            _ => tensor,
        };
        let mut tensors: BTreeMap<_, _> =
            stored.into_iter().map(|(name, tensor)| (renamed(&name, config.family), order(&name, tensor))).collect();
        tensors.extend(factors(config).map(|factors| ("rope_freqs.weight".to_owned(), factors)));
        Self { metadata: metadata(config, max_positions), tensors }
    }

    /// The file; matrices are quantised by `kind` where it fits their rows, else f32.
    pub(crate) fn bytes(&self, kind: impl Fn(&str) -> GgmlDType) -> Vec<u8> {
        let quantized = |name: &String, tensor: &Tensor| {
            let kind = kind(name);
            let fits = tensor.rank() == 2 && tensor.dim(1).unwrap().is_multiple_of(kind.block_size());
            QTensor::quantize(tensor, if fits { kind } else { GgmlDType::F32 }).unwrap()
        };
        let tensors: Vec<_> =
            self.tensors.iter().map(|(name, tensor)| (name.as_str(), quantized(name, tensor))).collect();
        let tensors: Vec<_> = tensors.iter().map(|(name, tensor)| (*name, tensor)).collect();
        let metadata: Vec<_> = self.metadata.iter().map(|(key, value)| (key.as_str(), value)).collect();
        let mut file = Cursor::new(Vec::new());
        gguf_file::write(&mut file, &metadata, &tensors).unwrap();
        file.into_inner()
    }
}

/// The small files of a folder, and these weights instead of its own.
pub(crate) fn with_weights(folder: &Path, gguf: Vec<u8>, config: bool) -> ModelFiles {
    let names = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    let kept = names.filter(|name| !name.contains("safetensors") && (config || name != "config.json"));
    let read = |name: String| (name.clone(), std::fs::read(folder.join(name)).unwrap().into());
    let mut files: BTreeMap<String, std::borrow::Cow<'static, [u8]>> = kept.map(read).collect();
    files.insert("model.gguf".into(), gguf.into());
    ModelFiles::memory("carried", files)
}

/// The sizes of a random Llama.
pub(crate) struct Sizes {
    pub(crate) vocab: usize,
    pub(crate) layers: usize,
    pub(crate) hidden: usize,
    pub(crate) intermediate: usize,
    pub(crate) heads: usize,
    pub(crate) kv_heads: usize,
}

/// As small as blocks of 256 allow; the vocabulary is that of a golden folder.
pub(crate) const SMALL: Sizes = Sizes { vocab: 325, layers: 2, hidden: 256, intermediate: 512, heads: 8, kv_heads: 4 };

/// A random Llama, under Hugging Face's names.
pub(crate) fn random(sizes: &Sizes) -> (DecoderConfig, HashMap<String, Tensor>) {
    let Sizes { vocab, layers, hidden, intermediate, heads, kv_heads } = *sizes;
    let value = json!({
        "architectures": ["LlamaForCausalLM"], "hidden_size": hidden, "intermediate_size": intermediate,
        "num_hidden_layers": layers, "num_attention_heads": heads, "num_key_value_heads": kv_heads,
        "vocab_size": vocab, "max_position_embeddings": 512, "rms_norm_eps": 1e-5, "eos_token_id": 2,
    });
    let config = DecoderConfig::parse(Path::new("random"), &value).unwrap();
    let mut state = 1u64;
    let mut matrix = |rows: usize, inputs: usize| {
        let mut number = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1u64 << 24) as f32 - 0.5
        };
        let numbers: Vec<f32> = (0..rows * inputs).map(|_| number() * (12.0 / inputs as f32).sqrt()).collect();
        Tensor::from_vec(numbers, (rows, inputs), &Device::Cpu).unwrap()
    };
    let ones = || Tensor::ones(hidden, DType::F32, &Device::Cpu).unwrap();
    let mut all = HashMap::from([("model.norm.weight".to_owned(), ones())]);
    all.insert("model.embed_tokens.weight".into(), matrix(vocab, hidden));
    all.insert("lm_head.weight".into(), matrix(vocab, hidden));
    for layer in 0..layers {
        let narrow = hidden / heads * kv_heads;
        let mut put = |part: &str, tensor| all.insert(format!("model.layers.{layer}.{part}.weight"), tensor);
        put("input_layernorm", ones());
        put("post_attention_layernorm", ones());
        put("self_attn.q_proj", matrix(hidden, hidden));
        put("self_attn.k_proj", matrix(narrow, hidden));
        put("self_attn.v_proj", matrix(narrow, hidden));
        put("self_attn.o_proj", matrix(hidden, hidden));
        put("mlp.gate_proj", matrix(intermediate, hidden));
        put("mlp.up_proj", matrix(intermediate, hidden));
        put("mlp.down_proj", matrix(hidden, intermediate));
    }
    (config, all)
}
