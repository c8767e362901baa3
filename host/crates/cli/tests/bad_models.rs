//! Damaged models, prompts that do not fit, files that cannot be written: exit code 1, words, and nothing left behind.

mod common;

use common::{Ran, copy, golden, run, text};
use safetensors::{SafeTensors, tensor::TensorView};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

const WEIGHTS: &str = "model.safetensors";

/// A way to damage a model's folder, and what the message must contain.
type Damage = (&'static str, fn(&Path), &'static str);

const DAMAGES: [Damage; 10] = [
    ("no config", |dir| remove(dir, "config.json"), "config.json: not found"),
    ("no tokenizer", |dir| remove(dir, "tokenizer.json"), "tokenizer.json: not found"),
    ("no weights", |dir| remove(dir, WEIGHTS), "model.safetensors: not found"),
    ("a config cut short", |dir| cut(dir, "config.json", 30), "config.json: malformed JSON"),
    ("a tokenizer cut short", |dir| cut(dir, "tokenizer.json", 500), "tokenizer.json: not a tokenizer"),
    ("weights cut short", |dir| cut(dir, WEIGHTS, 20_000), "broken weights"),
    ("another shape", |dir| set(dir, "intermediate_size", json!(57)), "the configuration asks for"),
    ("NaN among the weights", not_a_number, "mlp.up_proj.weight holds NaN"),
    ("an unknown architecture", |dir| set(dir, "architectures", json!(["MambaForCausalLM"])), "is not supported"),
    ("an impossible setting", |dir| set(dir, "num_hidden_layers", json!(0)), "`num_hidden_layers` is 0"),
];

fn remove(dir: &Path, file: &str) {
    fs::remove_file(dir.join(file)).unwrap();
}

fn cut(dir: &Path, file: &str, keep: usize) {
    let bytes = fs::read(dir.join(file)).unwrap();
    assert!(bytes.len() > keep);
    fs::write(dir.join(file), &bytes[..keep]).unwrap();
}

fn set(dir: &Path, key: &str, value: Value) {
    let path = dir.join("config.json");
    let mut config: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    config[key] = value;
    fs::write(path, config.to_string()).unwrap();
}

/// One number in the middle of one tensor.
fn not_a_number(dir: &Path) {
    let bytes = fs::read(dir.join(WEIGHTS)).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let name = "model.layers.0.mlp.up_proj.weight";
    let old = file.tensor(name).unwrap();
    let mut data = old.data().to_vec();
    let middle = data.len() / 8 * 4;
    data[middle..middle + 4].copy_from_slice(&f32::NAN.to_le_bytes());
    let new = TensorView::new(old.dtype(), old.shape().to_vec(), &data).unwrap();
    let tensors = file.tensors().into_iter().map(|(n, view)| if n == name { (n, new.clone()) } else { (n, view) });
    fs::write(dir.join(WEIGHTS), safetensors::serialize(tensors, None).unwrap()).unwrap();
}

/// Names and sizes of what lies in a folder.
fn listed(dir: &Path) -> BTreeMap<PathBuf, u64> {
    let entries = fs::read_dir(dir).unwrap().map(Result::unwrap);
    entries.map(|entry| (entry.path(), entry.metadata().unwrap().len())).collect()
}

/// The command refuses, and no file is made or changed beside the model or where the output was wanted.
fn refuses(what: &str, model: &Path, out: &Path, arguments: &[&str], words: &str) {
    let before = listed(model);
    let ran: Ran = run(arguments);
    assert!(ran.stderr.contains(words), "{what}, {}: {words:?} is not in {:?}", arguments[0], ran.stderr);
    ran.refuses(words);
    assert_eq!(listed(model), before, "{what}, {}", arguments[0]);
    assert_eq!(fs::read_dir(out).unwrap().count(), 0, "{what}, {}: a file was left", arguments[0]);
}

#[test]
fn damaged_language_models_are_refused_by_every_command() {
    for (what, damage, words) in DAMAGES {
        let (model, out) = (copy("llama1"), tempfile::tempdir().unwrap());
        damage(model.path());
        let (dir, full) = (text(model.path()), out.path().join("probe.safetensors"));
        refuses(what, model.path(), out.path(), &["model", "check", dir], words);
        refuses(what, model.path(), out.path(), &["probe", "--model", dir, "--full", text(&full), "hello"], words);
        refuses(what, model.path(), out.path(), &["run", "--model", dir, "hello"], words);
    }
}

#[test]
fn damaged_score_models_are_refused_by_every_command() {
    for (what, damage, words) in DAMAGES {
        let (model, out) = (copy("score-llama-reward"), tempfile::tempdir().unwrap());
        damage(model.path());
        let (dir, report) = (text(model.path()), out.path().join("report.json"));
        refuses(what, model.path(), out.path(), &["model", "check", dir], words);
        let score = format!("cost={dir}");
        refuses(what, model.path(), out.path(), &["run", "--score", &score, "hello"], words);
        let arguments = ["eval", "--score", &score, "--limit", "1", "--json", text(&report)];
        refuses(what, model.path(), out.path(), &arguments, words);
    }
}

#[test]
fn a_text_longer_than_the_context_is_refused() {
    let (out, model) = (tempfile::tempdir().unwrap(), golden("llama1"));
    let (full, long) = (out.path().join("probe.safetensors"), "kettle ".repeat(2000));
    run(&["probe", "--model", text(&model), "--full", text(&full), &long]).refuses("the context of 512");
    run(&["run", &long]).refuses("do not fit the context");
    assert_eq!(fs::read_dir(out.path()).unwrap().count(), 0);
}

#[test]
fn an_evaluation_that_fails_keeps_the_report_there_was() {
    let dir = tempfile::tempdir().unwrap();
    let (prompts, report) = (dir.path().join("prompts.jsonl"), dir.path().join("report.json"));
    fs::write(&report, "the report of yesterday").unwrap();
    let eval = |text: &str, words: &str| {
        fs::write(&prompts, text).unwrap();
        let (prompts, report) = (common::text(&prompts), common::text(&report));
        run(&["eval", "--n", "2", "--prompts", prompts, "--json", report]).refuses(words);
    };
    eval("", "there are no prompts");
    eval("{\"text\": \"half a", "line 1 of the prompts");
    eval("{\"text\": \"\", \"intent\": \"benign\"}", "line 1 of the prompts");
    run(&["eval", "--prompts", "/no/such/file.jsonl"]).refuses("cannot be read");
    assert_eq!(fs::read_to_string(&report).unwrap(), "the report of yesterday");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "nothing else is left");
}
