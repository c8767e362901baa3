//! Damaged folders: each is refused with an error that names what is wrong, before anything runs.

mod common;

use common::{copy, field, golden};
use inferenceguard_candle::{
    CandleError, CandleModel, CandleScoreModel, DeviceChoice, HfTokenizer, LoadOptions, ModelFiles, Precision, Prober,
    TemplateChoice,
};
use inferenceguard_model::Model;
use safetensors::{SafeTensors, tensor::TensorView};
use serde_json::{Value, json};
use std::path::Path;

fn refused(folder: &Path) -> CandleError {
    let error = Prober::load(folder, &LoadOptions::default()).err().expect("a damaged folder was loaded");
    assert!(!error.to_string().is_empty());
    error
}

fn with_config(name: &str, change: impl FnOnce(&mut Value)) -> CandleError {
    let folder = copy(name);
    let path = folder.path().join("config.json");
    let mut config: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    change(&mut config);
    std::fs::write(&path, config.to_string()).unwrap();
    refused(folder.path())
}

/// Replaces one tensor: another shape or other bytes.
fn with_tensor(name: &str, tensor: &str, change: impl FnOnce(&mut Vec<usize>, &mut Vec<u8>)) -> CandleError {
    let folder = copy(name);
    let path = folder.path().join("model.safetensors");
    let bytes = std::fs::read(&path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let old = file.tensor(tensor).unwrap();
    let (mut shape, mut data) = (old.shape().to_vec(), old.data().to_vec());
    change(&mut shape, &mut data);
    let new = TensorView::new(old.dtype(), shape, &data).unwrap();
    let tensors = file.tensors().into_iter().map(|(n, view)| if n == tensor { (n, new.clone()) } else { (n, view) });
    std::fs::write(&path, safetensors::serialize(tensors, None).unwrap()).unwrap();
    refused(folder.path())
}

#[test]
fn missing_files() {
    for (file, name) in [("config.json", "qwen3"), ("tokenizer.json", "qwen3"), ("model.safetensors", "qwen3")] {
        let folder = copy(name);
        std::fs::remove_file(folder.path().join(file)).unwrap();
        let error = refused(folder.path());
        assert!(matches!(&error, CandleError::MissingFile { path, .. } if path.ends_with(file)), "{error}");
    }
    let folder = copy("llama2-gqa");
    std::fs::remove_file(folder.path().join("model-00002-of-00003.safetensors")).unwrap();
    assert!(matches!(refused(folder.path()), CandleError::MissingFile { .. }));
    assert!(matches!(refused(Path::new("/no/such/folder")), CandleError::MissingFile { .. }));
}

#[test]
fn pickled_weights_are_refused_with_the_command_that_converts_them() {
    let folder = copy("qwen3");
    std::fs::remove_file(folder.path().join("model.safetensors")).unwrap();
    for name in ["pytorch_model-00002-of-00002.bin", "pytorch_model-00001-of-00002.bin", "training_args.bin"] {
        std::fs::write(folder.path().join(name), b"\x80\x02").unwrap();
    }
    let error = refused(folder.path());
    assert!(matches!(&error, CandleError::Pickled { path, .. } if path.ends_with("pytorch_model-00001-of-00002.bin")));
    let script = "host/examples/convert/to_safetensors.py";
    assert!(error.to_string().contains(&format!("python3 {script} {}", folder.path().display())), "{error}");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..");
    assert!(root.join(script).is_file(), "the command is there");
    // Safetensors beside them are read.
    assert!(Prober::load(&golden("qwen3"), &LoadOptions::default()).is_ok());
    std::fs::copy(golden("qwen3").join("model.safetensors"), folder.path().join("model.safetensors")).unwrap();
    assert!(Prober::load(folder.path(), &LoadOptions::default()).is_ok());
}

#[test]
fn malformed_files() {
    for file in ["config.json", "tokenizer_config.json", "generation_config.json"] {
        let folder = copy("qwen2");
        std::fs::write(folder.path().join(file), "{\"a\": ").unwrap();
        assert!(matches!(refused(folder.path()), CandleError::Json { .. }), "{file}");
    }
    let folder = copy("qwen2");
    std::fs::write(folder.path().join("tokenizer.json"), "{}").unwrap();
    assert!(matches!(refused(folder.path()), CandleError::Tokenizer { .. }));
    let folder = copy("qwen2");
    std::fs::write(folder.path().join("config.json"), "[]").unwrap();
    assert!(matches!(refused(folder.path()), CandleError::Field { .. }));
    let folder = copy("llama2-gqa");
    std::fs::write(folder.path().join("model.safetensors.index.json"), "{}").unwrap();
    assert_eq!(field(&refused(folder.path())), "weight_map");
    let escape = json!({"weight_map": {"a": "../model.safetensors"}}).to_string();
    std::fs::write(folder.path().join("model.safetensors.index.json"), escape).unwrap();
    assert_eq!(field(&refused(folder.path())), "weight_map");
}

#[test]
fn unsupported_architectures() {
    let error = with_config("qwen3", |c| c["architectures"] = json!(["GPT2LMHeadModel"]));
    assert!(matches!(&error, CandleError::Architecture { found, .. } if found == "GPT2LMHeadModel"));
    assert!(error.to_string().contains("LlamaForCausalLM"), "the message lists what is supported");
    assert_eq!(field(&with_config("qwen3", |c| c["architectures"] = Value::Null)), "architectures");
    assert_eq!(field(&with_config("qwen3", |c| c["hidden_act"] = json!("gelu"))), "hidden_act");
    assert_eq!(field(&with_config("qwen3", |c| c["quantization_config"] = json!({}))), "quantization_config");
    assert_eq!(field(&with_config("score-qwen3-class", |c| c["id2label"] = json!({"0": "a", "1": "b"}))), "id2label");
    assert_eq!(field(&with_config("score-llama-cost", |c| c["score_dim"] = json!(2))), "score_dim");
    assert_eq!(field(&with_config("score-llama-cost", |c| c["score_type"] = json!("taste"))), "score_type");
}

#[test]
fn impossible_settings() {
    for key in ["hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size", "max_position_embeddings"] {
        assert_eq!(field(&with_config("qwen2", |c| c[key] = Value::Null)), key);
        assert_eq!(field(&with_config("qwen2", |c| c[key] = json!(0))), key);
        assert_eq!(field(&with_config("qwen2", |c| c[key] = json!("many"))), key);
    }
    assert_eq!(field(&with_config("qwen2", |c| c["num_key_value_heads"] = json!(3))), "num_key_value_heads");
    assert_eq!(field(&with_config("qwen3", |c| c["head_dim"] = json!(7))), "head_dim");
    assert_eq!(field(&with_config("qwen2", |c| c["num_attention_heads"] = json!(64))), "head_dim");
    // Four such heads are 32 numbers wide, if 64 bits are all that is kept of the product.
    assert_eq!(field(&with_config("qwen3", |c| c["head_dim"] = json!((1u64 << 62) + 8))), "head_dim");
    let many = json!(1_000_000_000_000u64);
    assert_eq!(field(&with_config("qwen3", |c| c["num_hidden_layers"] = many)), "num_hidden_layers");
    assert_eq!(field(&with_config("llama3-rope", |c| c["rope_scaling"]["rope_type"] = json!("yarn"))), "rope_type");
    assert_eq!(field(&with_config("llama3-rope", |c| c["rope_scaling"]["factor"] = json!(-1))), "factor");
    assert_eq!(field(&with_config("llama3-tied", |c| c["rope_parameters"] = json!(3))), "rope_parameters");
    for other in [json!({"rope_type": "linear", "factor": 2.0}), json!({"rope_type": "default", "rope_theta": 3.0})] {
        let both = |c: &mut Value| {
            c["rope_parameters"] = json!({"rope_type": "default", "rope_theta": 20000.0});
            c["rope_scaling"] = other.clone();
        };
        assert_eq!(field(&with_config("llama1", both)), "rope_scaling", "{other}");
    }
    assert_eq!(field(&with_config("qwen2-window", |c| c["sliding_window"] = Value::Null)), "sliding_window");
    assert_eq!(field(&with_config("qwen3", |c| c["partial_rotary_factor"] = json!(0.5))), "partial_rotary_factor");
}

#[test]
fn weights_of_another_shape() {
    let error = with_tensor("llama1", "model.norm.weight", |shape, data| {
        shape[0] -= 1;
        data.truncate(data.len() - 4);
    });
    assert!(matches!(&error, CandleError::TensorShape { tensor, .. } if tensor == "model.norm.weight"), "{error}");
    let error = with_config("qwen3", |c| c["intermediate_size"] = json!(57));
    assert!(matches!(error, CandleError::TensorShape { .. }));
    let error = with_config("qwen3", |c| c["num_hidden_layers"] = json!(9));
    assert!(matches!(error, CandleError::MissingTensor { .. }));
}

#[test]
fn weights_that_are_no_numbers() {
    for (name, bytes) in [("llama1", f32::NAN.to_le_bytes().to_vec()), ("qwen3", vec![0x80, 0x7f])] {
        let tensor = "model.layers.1.mlp.up_proj.weight";
        let error = with_tensor(name, tensor, |_, data| {
            let at = data.len() / 2;
            data[at..at + bytes.len()].copy_from_slice(&bytes);
        });
        let named =
            matches!(&error, CandleError::TensorNotFinite { tensor: t, index, .. } if t == tensor && *index > 0);
        assert!(named, "{error}");
    }
}

#[test]
fn truncated_and_foreign_weights() {
    for keep in [0, 4, 100, 20_000] {
        let folder = copy("llama1");
        let path = folder.path().join("model.safetensors");
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..keep]).unwrap();
        let error = refused(folder.path());
        assert!(matches!(error, CandleError::BrokenWeights { .. } | CandleError::Read { .. }), "{keep}: {error}");
    }
}

#[test]
fn devices() {
    assert!(cfg!(feature = "cuda") || DeviceChoice::best() == DeviceChoice::Cpu);
    assert_eq!("cpu".parse::<DeviceChoice>().unwrap(), DeviceChoice::Cpu);
    assert_eq!("cuda".parse::<DeviceChoice>().unwrap(), DeviceChoice::Cuda(0));
    assert_eq!("cuda:3".parse::<DeviceChoice>().unwrap(), DeviceChoice::Cuda(3));
    for bad in ["", "gpu", "cuda:", "cuda:x", "cpu:1"] {
        assert!(matches!(bad.parse::<DeviceChoice>(), Err(CandleError::Device { .. })), "{bad}");
    }
    let options = LoadOptions { precision: Precision::F16, ..LoadOptions::default() };
    assert!(matches!(CandleModel::load(&golden("qwen3"), &options), Err(CandleError::Device { .. })));
    if !cfg!(feature = "cuda") {
        let options = LoadOptions { device: DeviceChoice::Cuda(0), ..LoadOptions::default() };
        assert!(matches!(CandleModel::load(&golden("qwen3"), &options), Err(CandleError::Device { .. })));
    }
}

#[test]
fn weights_rounded_as_they_are_loaded_give_almost_the_same() {
    let rounded = |precision| LoadOptions { precision, ..LoadOptions::default() };
    for precision in [Precision::Q8_0, Precision::BF16] {
        for name in ["weak", "cost"] {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../demo").join(name);
            let run = |options| Prober::load(&folder, options).unwrap().run("How do I clean a kitchen knife?").unwrap();
            let (exact, found) = (run(&LoadOptions::default()), run(&rounded(precision)));
            let apart = |(a, b): (&f32, &f32)| f64::from(a - b).powi(2);
            let off: f64 = exact.latents.data.iter().zip(&found.latents.data).map(apart).sum();
            let size: f64 = exact.latents.data.iter().map(|x| f64::from(*x).powi(2)).sum();
            let off = (off / size).sqrt();
            assert!(off > 1e-5 && off < 0.05, "{name}, {precision:?}: {off}");
        }
        let folder = golden("qwen3");
        let exact = CandleModel::load(&folder, &LoadOptions::default()).unwrap();
        let found = CandleModel::load(&folder, &rounded(precision)).unwrap();
        assert_ne!(exact.info().fingerprint, found.info().fingerprint, "other weights are another model");
    }
    let cuda = LoadOptions { device: DeviceChoice::Cuda(0), ..rounded(Precision::Q8_0) };
    assert!(matches!(CandleModel::load(&golden("qwen3"), &cuda), Err(CandleError::Device { .. })));
}

#[test]
fn what_the_processor_does_not_take_is_refused_by_name() {
    let options = LoadOptions { precision: Precision::F16, ..LoadOptions::default() };
    let error = CandleModel::load(&golden("qwen3"), &options).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("f32, bf16 or q8_0"), "{error}");
}

#[test]
fn templates_that_are_not_there() {
    let score = |folder: &Path, template: TemplateChoice| {
        let tokenizer = HfTokenizer::read(&folder.join("tokenizer.json")).unwrap();
        let options = LoadOptions { template, ..LoadOptions::default() };
        CandleScoreModel::load(folder, &options, &tokenizer).map(|_| ())
    };
    let folder = copy("score-mistral-class");
    std::fs::write(folder.path().join("tokenizer_config.json"), "{}").unwrap();
    assert!(matches!(score(folder.path(), TemplateChoice::Auto), Err(CandleError::Template { .. })));
    score(folder.path(), TemplateChoice::Hh).unwrap();
    for template in [TemplateChoice::Format("no place".into()), TemplateChoice::Chat] {
        assert!(matches!(score(&golden("score-llama-cost"), template), Err(CandleError::Template { .. })));
    }
    let broken = copy("qwen2");
    std::fs::write(broken.path().join("chat_template.jinja"), "{% if %}").unwrap();
    let found = CandleModel::load(broken.path(), &LoadOptions::default()).map(|_| ());
    assert!(matches!(found, Err(CandleError::Template { .. })));
    // What applies no template needs none.
    for folder in [&folder, &broken] {
        Prober::load(folder.path(), &LoadOptions::default()).unwrap();
    }
}

#[test]
fn files_in_memory_are_the_folder() {
    let folder = golden("llama2-gqa");
    let entries = std::fs::read_dir(&folder).unwrap().map(Result::unwrap);
    let files = entries.map(|e| (e.file_name().into_string().unwrap(), std::fs::read(e.path()).unwrap().into()));
    let files = ModelFiles::memory("llama2-gqa", files.collect());
    let options = LoadOptions::default();
    let (mut a, mut b) =
        (CandleModel::load(&folder, &options).unwrap(), CandleModel::load_files(&files, &options).unwrap());
    assert_eq!(a.info(), b.info());
    let prompt = a.encode_prompt("Grüße, world").unwrap();
    assert_eq!(prompt, b.encode_prompt("Grüße, world").unwrap());
    let latents = |model: &mut CandleModel| model.prefill(&prompt).unwrap().1.to_host().unwrap().to_vec();
    assert_eq!(latents(&mut a), latents(&mut b));
}

#[test]
fn a_missing_file_in_memory_is_named() {
    let files = ModelFiles::memory("carried", std::collections::BTreeMap::new());
    let refused = CandleModel::load_files(&files, &LoadOptions::default()).err().unwrap();
    assert!(refused.to_string().starts_with("carried/config.json: not found"), "{refused}");
}
