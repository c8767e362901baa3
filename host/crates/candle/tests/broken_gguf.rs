//! Damaged GGUF files: each is refused with an error that names what is wrong; none panics or fills the memory.

mod common;
#[path = "common/gguf.rs"]
mod made;

use candle_core::{
    Device, Tensor,
    quantized::{GgmlDType, gguf_file::Value},
};
use common::{field, golden};
use inferenceguard_candle::{CandleError, CandleModel, DeviceChoice, LoadOptions, ModelFiles, Prober};
use made::{Parts, with_weights};
use std::collections::BTreeMap;

fn load(gguf: Vec<u8>, config: bool) -> Result<Prober, CandleError> {
    Prober::load_files(&with_weights(&golden("llama1"), gguf, config), &LoadOptions::default())
}

fn refused(gguf: Vec<u8>, config: bool) -> CandleError {
    load(gguf, config).err().expect("a damaged file was loaded")
}

/// Of llama1, changed before it is written, 8 bits.
fn changed(config: bool, change: impl FnOnce(&mut Parts)) -> CandleError {
    let mut parts = Parts::of(&golden("llama1"));
    change(&mut parts);
    refused(parts.bytes(|_| GgmlDType::Q8_0), config)
}

fn set(key: &str, value: Value) -> CandleError {
    changed(false, |parts| drop(parts.metadata.insert(key.into(), value)))
}

#[test]
fn metadata_that_make_no_model() {
    let keys = ["block_count", "embedding_length", "feed_forward_length", "context_length", "attention.head_count"];
    for key in keys.map(|key| format!("llama.{key}")) {
        assert_eq!(field(&changed(false, |parts| drop(parts.metadata.remove(&key)))), key);
        for nonsense in [Value::U32(0), Value::I32(-4), Value::U64(u64::MAX), Value::String("x".into())] {
            assert_eq!(field(&set(&key, nonsense)), key);
        }
    }
    for (key, value) in [
        ("llama.attention.layer_norm_rms_epsilon", Value::F32(f32::NAN)),
        ("llama.rope.freq_base", Value::F32(-1.0)),
        ("llama.rope.scaling.type", Value::String("yarn".into())),
        ("llama.rope.dimension_count", Value::U32(4)),
        ("llama.attention.value_length", Value::U32(4)),
        ("llama.attention.head_count_kv", Value::Array(vec![Value::U32(4); 2])),
        ("llama.expert_count", Value::U32(8)),
    ] {
        assert_eq!(field(&set(key, value)), key);
    }
    assert_eq!(field(&set("llama.block_count", Value::U32(u32::MAX))), "num_hidden_layers");
    assert!(matches!(set("llama.block_count", Value::U32(4000)), CandleError::MissingTensor { .. }));
    let error = set("general.architecture", Value::String("mamba".into()));
    assert!(matches!(&error, CandleError::Architecture { found, .. } if found == "`mamba`"), "{error}");
    assert!(error.to_string().contains("llama, qwen2, qwen3, gemma3"), "{error}");
}

#[test]
fn config_json_and_metadata_must_agree() {
    for (key, value) in [
        ("llama.block_count", Value::U32(3)),
        ("llama.embedding_length", Value::U32(64)),
        ("llama.attention.head_count_kv", Value::U32(2)),
        ("llama.vocab_size", Value::U32(326)),
        ("llama.rope.freq_base", Value::F32(500_000.0)),
    ] {
        let error = changed(true, |parts| drop(parts.metadata.insert(key.into(), value)));
        let named = matches!(&error, CandleError::Disagreement { key: found, .. } if found == key);
        let text = error.to_string();
        assert!(named && text.contains("model.gguf") && text.contains("config.json"), "{error}");
    }
    let qwen = Parts::of(&golden("qwen3")).bytes(|_| GgmlDType::F32);
    assert!(matches!(refused(qwen, true), CandleError::Disagreement { .. }));
}

#[test]
fn tensors_that_do_not_fit() {
    let error = changed(false, |parts| drop(parts.tensors.remove("blk.1.ffn_up.weight")));
    assert!(matches!(&error, CandleError::MissingTensor { tensor, .. } if tensor == "blk.1.ffn_up.weight"), "{error}");
    let small = Tensor::zeros((8, 32), candle_core::DType::F32, &Device::Cpu).unwrap();
    let error = changed(false, |parts| drop(parts.tensors.insert("blk.1.attn_k.weight".into(), small)));
    assert!(matches!(&error, CandleError::TensorShape { tensor, .. } if tensor == "blk.1.attn_k.weight"), "{error}");
}

/// Where the first bytes of a pattern are.
fn find(bytes: &[u8], pattern: &[u8]) -> usize {
    bytes.windows(pattern.len()).position(|window| window == pattern).unwrap()
}

#[test]
fn formats_without_a_name_here() {
    let mut bytes = Parts::of(&golden("llama1")).bytes(|_| GgmlDType::Q8_0);
    // Behind a name: the number of dimensions, two of them, then the format.
    let at = find(&bytes, b"blk.0.attn_q.weight") + 19 + 4 + 16;
    assert_eq!(bytes[at..at + 4], [8, 0, 0, 0]);
    for (number, name) in [(16, "IQ2_XXS"), (39, "MXFP4"), (9, "Q8_1"), (99, "of type 99")] {
        bytes[at] = number;
        let error = refused(bytes.clone(), true);
        let named = matches!(&error, CandleError::GgufFormat { tensor, found, .. }
            if found == name && tensor == "blk.0.attn_q.weight");
        assert!(named && error.to_string().contains("Q4_K"), "the message lists what is read: {error}");
    }
}

#[test]
fn scales_that_are_no_numbers() {
    let tensor = "blk.1.ffn_up.weight";
    for kind in [GgmlDType::F32, GgmlDType::F16, GgmlDType::Q8_0, GgmlDType::Q4_0] {
        let mut parts = Parts::of(&golden("llama1"));
        let mut numbers = parts.tensors[tensor].flatten_all().unwrap().to_vec1::<f32>().unwrap();
        // A scale of infinity: half floats end at 65504.
        numbers[33] = 1e9;
        let shape = parts.tensors[tensor].shape().clone();
        let inf = if kind == GgmlDType::F32 { f32::INFINITY } else { 1e9 };
        numbers[33] = inf;
        parts.tensors.insert(tensor.into(), Tensor::from_vec(numbers, shape, &Device::Cpu).unwrap());
        let error = refused(parts.bytes(|_| kind), false);
        let named =
            matches!(&error, CandleError::TensorNotFinite { tensor: t, index, .. } if t == tensor && *index > 0);
        assert!(named, "{kind:?}: {error}");
    }
}

#[test]
fn what_must_lie_beside_the_file() {
    let gguf = || Parts::of(&golden("llama1")).bytes(|_| GgmlDType::Q8_0);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("small.gguf");
    std::fs::write(&file, gguf()).unwrap();
    let load = |path| Prober::load(path, &LoadOptions::default()).err().unwrap();
    for path in [file.as_path(), dir.path()] {
        let error = load(path);
        assert!(matches!(&error, CandleError::MissingFile { path, .. } if path.ends_with("tokenizer.json")), "{error}");
        assert!(error.to_string().contains("beside its GGUF file"), "{error}");
    }
    std::fs::write(dir.path().join("other.gguf"), gguf()).unwrap();
    let error = load(dir.path());
    assert!(matches!(&error, CandleError::ManyGguf { found, .. } if found == "other.gguf, small.gguf"), "{error}");
    assert!(matches!(load(&dir.path().join("gone.gguf")), CandleError::Read { .. }));
    let files = ModelFiles::memory("carried", BTreeMap::from([("model.gguf".into(), gguf().into())]));
    let error = CandleModel::load_files(&files, &LoadOptions::default()).err().unwrap();
    assert!(matches!(error, CandleError::MissingFile { .. }), "{error}");
    if !cfg!(feature = "cuda") {
        let options = LoadOptions { device: DeviceChoice::Cuda(0), ..LoadOptions::default() };
        let found = Prober::load_files(&with_weights(&golden("llama1"), gguf(), true), &options);
        assert!(matches!(found, Err(CandleError::Device { .. })));
    }
}

#[test]
fn absurd_counts_are_refused_before_memory_is_asked_for() {
    let bytes = Parts::of(&golden("llama1")).bytes(|_| GgmlDType::Q8_0);
    // The counts of tensors and of metadata; then the length of the first key.
    for at in [8, 16, 24] {
        for count in [u64::MAX, 1 << 40, 1 << 29] {
            let mut bytes = bytes.clone();
            bytes[at..at + 8].copy_from_slice(&count.to_le_bytes());
            assert!(matches!(refused(bytes, true), CandleError::BrokenGguf { .. }));
        }
    }
    let error = set("general.alignment", Value::U32(0));
    assert!(matches!(error, CandleError::BrokenGguf { .. }), "{error}");
    // A dimension of 2^60, behind the name and the number of dimensions.
    let at = find(&bytes, b"blk.0.attn_q.weight") + 19 + 4;
    let mut bytes = bytes;
    bytes[at..at + 8].copy_from_slice(&(1u64 << 60).to_le_bytes());
    assert!(matches!(refused(bytes, true), CandleError::TensorShape { .. }));
}

#[test]
fn a_file_that_is_cut_anywhere_is_refused() {
    let bytes = Parts::of(&golden("llama1")).bytes(|_| GgmlDType::Q8_0);
    // Padding at the end may go.
    let steps = (0..2000).chain((2000..bytes.len() - 32).step_by(997));
    for keep in steps.filter(|keep| *keep < bytes.len() - 32) {
        let error = refused(bytes[..keep].to_vec(), keep % 2 == 0);
        assert!(matches!(error, CandleError::BrokenGguf { .. }), "{keep}: {error}");
    }
    assert!(matches!(refused(vec![0; 4096], true), CandleError::BrokenGguf { .. }));
}

#[test]
fn no_flipped_byte_panics() {
    let bytes = Parts::of(&golden("llama1")).bytes(|_| GgmlDType::Q8_0);
    let mut seed = 7u64;
    let mut next = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize
    };
    for round in 0..3000 {
        let mut bytes = bytes.clone();
        // Mostly the header: two kilobytes of it.
        let reach = if round % 4 == 0 { bytes.len() } else { 2200 };
        for _ in 0..=next() % 3 {
            bytes[next() % reach] = next() as u8;
        }
        if let Ok(mut prober) = load(bytes, round % 2 == 0) {
            // What still loads must still run, or say why not.
            let _ = prober.run_tokens(vec![1, 2, 3]);
        }
    }
}
