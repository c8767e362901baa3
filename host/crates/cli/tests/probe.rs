//! `probe` and `model check`: what they print and write, and what they refuse.

mod common;

use common::{command, copy, golden, run, text};
use safetensors::{Dtype, SafeTensors};
use serde_json::{Value, json};
use std::{fs, path::Path};

fn f32s(file: &SafeTensors<'_>, name: &str) -> Vec<f32> {
    let tensor = file.tensor(name).unwrap();
    assert_eq!(tensor.dtype(), Dtype::F32);
    tensor.data().chunks(4).map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect()
}

#[test]
fn devices_are_compared() {
    let model = golden("llama2-gqa");
    let compared = run(&["probe", "--model", text(&model), "--against", "cpu", "some words"]);
    assert_eq!(
        compared.stdout.trim(),
        "cpu and cpu: latents 0.00e0 apart, logits or scores 0.00e0",
        "{}",
        compared.stderr
    );
    run(&["probe", "--model", text(&model), "--against", "tpu", "some words"]).refuses("tpu");
}

#[test]
fn the_full_probe_of_a_language_model_holds_what_is_printed() {
    let dir = tempfile::tempdir().unwrap();
    let full = dir.path().join("probe.safetensors");
    let model = golden("llama2-gqa");
    let printed = run(&["probe", "--model", text(&model), "--json", "--full", text(&full), "Grüße an alle"]).json();
    let bytes = fs::read(&full).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let positions = printed["positions"].as_array().unwrap();
    let tokens = file.tensor("tokens").unwrap();
    assert_eq!((tokens.dtype(), tokens.shape()), (Dtype::I64, &[positions.len()][..]));
    let logits = f32s(&file, "logits");
    let vocab = file.tensor("logits").unwrap().shape()[1];
    for (at, (position, token)) in positions.iter().zip(tokens.data().chunks(8)).enumerate() {
        assert_eq!(position["token"].as_i64(), Some(i64::from_le_bytes(token.try_into().unwrap())));
        let row = &logits[at * vocab..(at + 1) * vocab];
        let best = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let top = &position["top"][0];
        assert_eq!(row[top["token"].as_u64().unwrap() as usize], best);
        assert!((top["logit"].as_f64().unwrap() - f64::from(best)).abs() < 1e-6);
    }
    let latents = f32s(&file, "latents");
    let width = latents.len() / positions.len();
    let norm = latents[..width].iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
    assert!((positions[0]["latent_norm"].as_f64().unwrap() - norm).abs() < 1e-6);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing but the file is left");
}

#[test]
fn the_full_probe_of_a_score_model_has_scores_and_no_logits() {
    let dir = tempfile::tempdir().unwrap();
    let full = dir.path().join("probe.safetensors");
    let model = golden("score-llama-cost");
    let printed = run(&["probe", "--model", text(&model), "--json", "--full", text(&full), "hello world"]).json();
    let bytes = fs::read(&full).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    assert!(file.tensor("logits").is_err());
    let found = f32s(&file, "scores");
    let score = |position: &Value| position["score"].as_f64().unwrap() as f32;
    let shown: Vec<f32> = printed["positions"].as_array().unwrap().iter().map(score).collect();
    assert_eq!(found, shown);
}

#[test]
fn a_table_is_printed_for_people() {
    let ran = run(&["probe", "--model", text(&golden("qwen3")), "--top", "2", "hello"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stdout.lines().all(|line| line.contains("|h|")), "{}", ran.stdout);
}

#[test]
fn both_kinds_of_model_pass_the_check() {
    let language = run(&["model", "check", text(&golden("qwen2")), "--json"]).json();
    assert_eq!((&language["kind"], &language["name"]), (&json!("language model"), &json!("qwen2")));
    let named = run(&["model", "check", "--model", text(&golden("qwen2")), "--json"]).json();
    assert_eq!(named, language, "--model names it as well");
    assert_eq!(run(&["model", "check"]).code, Some(2));
    assert!(language["vocab"].as_u64() > Some(0));
    let score = run(&["model", "check", text(&golden("score-qwen2-class")), "--json"]);
    // A classifier without chat template cannot know how to lay out prompt and answer.
    match score.code {
        Some(0) => assert!(score.json()["score"].is_number()),
        _ => score.refuses("template"),
    }
    let cost = run(&["model", "check", text(&golden("score-llama-cost")), "--json"]).json();
    assert!(cost["score"].is_number(), "{cost}");
}

#[test]
fn a_hub_id_is_found_in_the_cache_by_branch_and_by_commit() {
    let home = tempfile::tempdir().unwrap();
    let repo = home.path().join("hub/models--some-org--small");
    let snapshot = repo.join("snapshots/0123abc");
    fs::create_dir_all(&snapshot).unwrap();
    fs::create_dir_all(repo.join("refs")).unwrap();
    fs::write(repo.join("refs/main"), "0123abc").unwrap();
    for entry in fs::read_dir(golden("llama1")).unwrap().map(Result::unwrap) {
        fs::copy(entry.path(), snapshot.join(entry.file_name())).unwrap();
    }
    let with = |id: &str| -> common::Ran {
        command(&["model", "check", id, "--json"]).env("HF_HOME", home.path()).output().unwrap().into()
    };
    assert_eq!(with("some-org/small").json()["kind"], "language model");
    assert_eq!(with("some-org/small@0123abc").json()["kind"], "language model");
    with("some-org/small@other").refuses("HF_HUB_OFFLINE");
    with("some-org/absent").refuses("not in the hub cache");
}

#[test]
fn bad_models_are_refused_in_words() {
    run(&["probe", "--model", "/no/such/folder", "hello"]).refuses("no such model folder");
    let model = golden("llama1");
    run(&["probe", "--model", text(&model), ""]).refuses("the text is empty");
    run(&["probe", "--model", text(&model), "--device", "tpu", "hello"]).refuses("write cpu, cuda or cuda:N");
    run(&["probe", "--model", text(&model), "--precision", "f8", "hello"]).refuses("f32, f16, bf16 or q8_0");
    let damaged = |name: &str, content: &str, words: &str| {
        let folder = copy("llama1");
        fs::write(folder.path().join(name), content).unwrap();
        run(&["model", "check", text(folder.path())]).refuses(words);
    };
    damaged("config.json", "{\"architectures\": [", "malformed JSON");
    damaged("config.json", r#"{"architectures": ["MambaForCausalLM"], "model_type": "mamba"}"#, "not supported");
    damaged("tokenizer.json", "{}", "not a tokenizer");
    damaged("model.safetensors", "short", "broken weights");
}

#[test]
fn a_file_that_cannot_be_written_is_an_error_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let full = dir.path().join("absent/probe.safetensors");
    let ran = run(&["probe", "--model", text(&golden("llama1")), "--full", text(&full), "hello"]);
    ran.refuses("could not be written");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn wrong_usage_has_its_own_exit_code() {
    for arguments in [&["probe"][..], &["nonsense"], &["probe", "--model"], &[]] {
        let ran = run(arguments);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{arguments:?}");
        assert!(!ran.stderr.is_empty());
    }
}

/// A few tokens under the default bundle, with score models of the tests.
fn guarded(model: &Path, prompt: &str) -> common::Ran {
    let score = golden("score-llama-cost");
    let (cost, reward) = (format!("cost={}", text(&score)), format!("reward={}", text(&score)));
    let scores = ["--score", &cost, "--score", &reward, "--n", "2", "--max-tokens", "4"];
    run(&[&["run", "--json", "--model", text(model)][..], &scores, &[prompt]].concat())
}

#[test]
fn a_check_says_what_was_taken_from_which_file() {
    let folder = copy("llama1");
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("special_tokens_map.json", r#"{"bos_token": "<s>", "eos_token": {"content": "</s>"}}"#);
    write("generation_config.json", r#"{"do_sample": false, "no_repeat_ngram_size": 2}"#);
    let report = run(&["model", "check", text(folder.path()), "--json"]).json();
    let fact = |name: &str| {
        let facts = report["facts"].as_array().unwrap();
        facts.iter().find(|fact| fact["name"] == name).unwrap_or_else(|| panic!("{name}: {report}"))
    };
    let both = serde_json::json!(["tokenizer_config.json", "special_tokens_map.json"]);
    assert_eq!((&fact("bos_token")["value"], &fact("bos_token")["from"]), (&"\"<s>\" (1)".into(), &both));
    assert_eq!(
        fact("end token")["from"],
        serde_json::json!(["config.json", "tokenizer_config.json", "special_tokens_map.json"])
    );
    assert_eq!(fact("sampling")["value"], "temperature 0");
    assert!(report["warnings"][0].as_str().unwrap().contains("no_repeat_ngram_size"), "{report}");
    let shown = run(&["model", "check", text(folder.path())]);
    assert!(shown.stdout.contains("end token") && shown.stdout.contains("warning"), "{}", shown.stdout);
    // Those who use it are warned, too.
    let ran = guarded(folder.path(), "hi");
    assert!(ran.code == Some(0) && ran.stderr.contains("no_repeat_ngram_size"), "{}", ran.stderr);
}

#[test]
fn a_gguf_file_needs_nothing_beside_it() {
    let file = golden("gguf").join("mixed.gguf");
    let report = run(&["model", "check", text(&file), "--json"]).json();
    assert_eq!(report["name"], "mixed");
    let output = guarded(&file, "How is the kettle?").json();
    assert!(output["usage"]["sampled_tokens"].as_u64().is_some_and(|tokens| tokens > 0), "{output}");
}
