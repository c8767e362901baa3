//! What a survey says of whole and of damaged folders, by headers alone.

mod common;
#[path = "common/gguf.rs"]
mod made;

use candle_core::quantized::GgmlDType;
use common::{copy, golden};
use inferenceguard_candle::{ModelFiles, Precision, Survey};
use made::{Parts, with_weights};
use safetensors::SafeTensors;
use std::fs;

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
        let (all, _) = numbers(name);
        assert_eq!(survey.numbers(), all, "{name}");
        assert_eq!((survey.weight_bytes(Precision::F32), survey.weight_bytes(Precision::BF16)), (4 * all, 2 * all));
        assert!(survey.weight_bytes(Precision::Q8_0) < 2 * all, "{name}");
        let config = survey.config.as_ref().unwrap();
        let token = (2 * config.layers * config.kv_heads * config.head_dim) as u64;
        assert_eq!((survey.token_bytes(Precision::F32), survey.token_bytes(Precision::F16)), (4 * token, 2 * token));
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
    assert_eq!(floats.weight_bytes(Precision::F32), 4 * all);
    let kept = small.weight_bytes(Precision::F32);
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
