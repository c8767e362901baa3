//! What a survey says of whole and of damaged folders, by headers alone.

mod common;
#[path = "common/gguf.rs"]
mod made;

use candle_core::quantized::GgmlDType;
use common::{copy, golden};
use inferenceguard_candle::{DeviceChoice, ModelFiles, Precision, Survey};
use made::{Parts, with_weights};
use safetensors::SafeTensors;
use std::fs;

const CPU: DeviceChoice = DeviceChoice::Cpu;
const GPU: DeviceChoice = DeviceChoice::Cuda(0);

/// Numbers in all tensors of a folder, and of those in matrices.
fn numbers(name: &str) -> (u64, u64) {
    let entries = fs::read_dir(golden(name)).unwrap().map(|entry| entry.unwrap().path());
    let is_weights = |path: &std::path::PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        name.starts_with("model") && name.ends_with(".safetensors")
    };
    let mut found = (0, 0);
    for path in entries.filter(is_weights) {
        let bytes = fs::read(path).unwrap();
        for (_, tensor) in SafeTensors::deserialize(&bytes).unwrap().tensors() {
            let count = tensor.shape().iter().product::<usize>() as u64;
            found.0 += count;
            found.1 += if tensor.shape().len() == 2 { count } else { 0 };
        }
    }
    found
}

#[test]
fn a_whole_folder_has_no_problems_and_its_sizes_are_those_of_its_tensors() {
    for name in ["llama1", "llama2-gqa", "qwen3", "gemma3", "score-llama-cost"] {
        let survey = Survey::of(&ModelFiles::folder(&golden(name)), true);
        assert!(survey.problems.is_empty(), "{name}: {:?}", survey.problems);
        let (all, matrices) = numbers(name);
        assert_eq!(survey.numbers(), all, "{name}");
        let config = survey.config.as_ref().unwrap();
        // The head of a tied model in f32 is a copy of its embedding.
        let head = u64::from(config.tied) * (config.vocab * config.hidden) as u64;
        let weights = |precision, device| survey.weight_bytes(precision, device);
        assert_eq!(weights(Precision::F32, CPU), 4 * (all + head), "{name}");
        assert_eq!((weights(Precision::F32, GPU), weights(Precision::BF16, GPU)), (4 * all, 2 * all), "{name}");
        // On the CPU matrices alone are rounded.
        assert_eq!(weights(Precision::BF16, CPU), 2 * matrices + 4 * (all - matrices), "{name}");
        assert!(weights(Precision::Q8_0, CPU) < 2 * all, "{name}");
        let token = (2 * config.layers * config.kv_heads * config.head_dim) as u64;
        let tokens = |precision, device| survey.token_bytes(precision, device);
        assert_eq!((tokens(Precision::F32, CPU), tokens(Precision::F16, GPU)), (4 * token, 2 * token), "{name}");
        assert_eq!((tokens(Precision::BF16, CPU), tokens(Precision::BF16, GPU)), (4 * token, 2 * token), "{name}");
        assert!(survey.found.iter().any(|(file, bytes)| file == "config.json" && *bytes > 100), "{name}");
    }
}

#[test]
fn quantised_matrices_of_a_gguf_file_stay_as_they_are() {
    let parts = Parts::of(&golden("llama1"));
    let survey = |kind| Survey::of(&with_weights(&golden("llama1"), parts.bytes(|_| kind), false), true);
    let (all, matrices) = numbers("llama1");
    let (floats, small) = (survey(GgmlDType::F32), survey(GgmlDType::Q8_0));
    assert!(floats.problems.is_empty() && small.problems.is_empty(), "{:?}", small.problems);
    assert_eq!(floats.weight_bytes(Precision::F32, CPU), 4 * all);
    let kept = small.weight_bytes(Precision::F32, CPU);
    assert!(kept < 4 * all && kept >= matrices * 34 / 32, "{kept} of {all} numbers, {matrices} in matrices");
}

#[test]
fn everything_that_is_missing_is_named_at_once() {
    let folder = copy("llama2-gqa");
    let gone =
        ["config.json", "tokenizer.json", "model-00001-of-00003.safetensors", "model-00003-of-00003.safetensors"];
    gone.iter().for_each(|name| fs::remove_file(folder.path().join(name)).unwrap());
    let survey = Survey::of(&ModelFiles::folder(folder.path()), true);
    assert_eq!(survey.problems.len(), gone.len(), "{:?}", survey.problems);
    for name in gone {
        assert!(survey.problems.iter().any(|problem| problem.contains(name)), "{name}: {:?}", survey.problems);
    }
    assert!(survey.config.is_none() && survey.numbers() == 0);
    let without_text = Survey::of(&ModelFiles::folder(folder.path()), false);
    assert!(!without_text.problems.iter().any(|problem| problem.contains("tokenizer.json")));
}

#[test]
fn a_damaged_file_is_a_problem_and_is_named_once() {
    let folder = copy("qwen3");
    fs::write(folder.path().join("model.safetensors"), b"short").unwrap();
    let survey = Survey::of(&ModelFiles::folder(folder.path()), true);
    assert!(matches!(&survey.problems[..], [one] if one.contains("model.safetensors")), "{:?}", survey.problems);
    let gguf = Survey::of(&with_weights(&golden("llama1"), b"GGUF".to_vec(), false), true);
    assert!(gguf.problems.iter().filter(|one| one.contains("broken GGUF file")).count() == 1, "{:?}", gguf.problems);
}

#[test]
fn sizes_that_no_memory_holds_do_not_overflow() {
    let folder = copy("llama2-gqa");
    let path = folder.path().join("config.json");
    let mut config: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    for field in ["num_attention_heads", "num_key_value_heads", "head_dim"] {
        config[field] = (1_u64 << 31).into();
    }
    fs::write(&path, config.to_string()).unwrap();
    let survey = Survey::of(&ModelFiles::folder(folder.path()), true);
    assert!(survey.config.is_some(), "{:?}", survey.problems);
    assert_eq!(survey.token_bytes(Precision::F32, CPU), u64::MAX);
}
