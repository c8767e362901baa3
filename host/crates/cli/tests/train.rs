//! Costs and rewards from files of answers, by the program: into one bundle, which runs.

mod common;

use common::{run, text};
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
};

const SAFE: &str = "Use warm water and soap.";
const UNSAFE: &str = "Mix all cleaners that you find.";

fn weak() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../demo/weak")
}

/// A file of these lines in a folder.
fn file(folder: &Path, name: &str, lines: impl Iterator<Item = Value>) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, lines.map(|line| format!("{line}\n")).collect::<String>()).unwrap();
    path
}

fn prompt(at: usize) -> String {
    format!("How do I clean the {} today?", ["oven", "sink", "floor", "table"][at % 4].repeat(1 + at / 4))
}

/// The program with these arguments, on the demonstration model's folder, in seconds.
fn train(kind: &str, data: &Path, out: &Path, more: &[&str]) -> common::Ran {
    let model = weak();
    let all = ["train", kind, "--model", text(&model), "--data", text(data), "--out", text(out)];
    run(&[&all[..], &["--max-tokens", "6", "--epochs", "3", "--patience", "0"], more].concat())
}

#[test]
fn a_trained_cost_and_a_trained_reward_make_one_bundle() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let labelled = |at: usize| {
        let one =
            |response: &str, harmful: bool| json!({ "prompt": prompt(at), "response": response, "harmful": harmful });
        [one(SAFE, false), one(UNSAFE, true)]
    };
    let answers = file(dir.path(), "answers.jsonl", (0..16).flat_map(labelled));
    let pair = |at: usize| json!({ "prompt": prompt(at), "chosen": SAFE, "rejected": UNSAFE });
    let pairs = file(dir.path(), "pairs.jsonl", (0..16).map(pair));
    let plain = |at: usize| json!({ "text": format!("Where is the {}?", "key".repeat(at + 1)), "intent": "benign" });
    let prompts = file(dir.path(), "prompts.jsonl", (0..10).map(plain));
    let (bundle, cost, reward, score) = (path("b"), path("cost"), path("reward"), path("score"));

    let given =
        ["--harmless-prompts", text(&prompts), "--temperature", "0.7", "--budget", "50", "--bundle", text(&bundle)];
    let trained = train("cost", &answers, &cost, &given);
    assert_eq!(trained.code, Some(0), "{}", trained.stderr);
    assert!(trained.stdout.contains("harmful, and own") && trained.stderr.contains("own.jsonl"), "{}", trained.stdout);
    assert_eq!(fs::read_to_string(cost.join("own.jsonl")).unwrap().lines().count(), 10);

    let more = ["--bundle", text(&bundle), "--score-model", text(&score), "--memory", "0"];
    let trained = train("reward", &pairs, &reward, &more);
    assert_eq!(trained.code, Some(0), "{}", trained.stderr);
    assert!(trained.stdout.contains("in order") && trained.stderr.contains("a score model"), "{}", trained.stdout);
    let manifest = fs::read_to_string(bundle.join("bundle.toml")).unwrap();
    assert!(manifest.contains("task = \"reward\"") && manifest.contains("budget = 50\n"), "{manifest}");
    let model = weak();
    let (model, ask) = (text(&model), "How do I clean the oven?");
    let output = run(&["run", "--model", model, "--bundle", text(&bundle), "--max-tokens", "6", "--json", ask]).json();
    assert_eq!(output["failures"], json!([]), "{output}");
    assert!(fs::read_to_string(score.join("config.json")).unwrap().contains("LlamaForScore"));
}

#[test]
fn what_cannot_become_a_cost_or_a_reward_is_refused_before_the_training() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let pair = |at: usize| json!({ "prompt": prompt(at), "chosen": SAFE, "rejected": UNSAFE });
    let pairs = file(dir.path(), "pairs.jsonl", (0..16).map(pair));
    let harmful = file(dir.path(), "harmful.jsonl", [json!({ "text": "a", "intent": "harmful" })].into_iter());
    let reward = |more: &[&str]| train("reward", &pairs, &path("out"), more);
    reward(&["--bundle", text(&path("none"))]).refuses("found no bundle; make one with `train cost --bundle`");
    reward(&["--score-model", text(&path("score")), "--latents", "layer:1"]).refuses("final-norm with --score-model");
    let cost = |more: &[&str]| train("cost", &pairs, &path("out"), more);
    cost(&["--harmless-prompts", text(&harmful)]).refuses("expected prompts whose `intent` is not `harmful`");
    cost(&["--top-p", "0.9"]).refuses("give --bundle or --harmless-prompts, or leave them out");
    cost(&["--score-model", text(&path("score"))]).refuses("prefix with --score-model");
    let unnamed = cost(&["--budget", "conformal:2", "--bundle", "b"]);
    assert!(unnamed.code == Some(2) && unnamed.stderr.contains("conformal:ALPHA"), "{}", unnamed.stderr);
    assert!(!path("out").exists(), "nothing is written");
}
