//! The paper's rows with networks of their own, on small stand-ins; and multipliers that are tuned.

mod common;

use common::{Ran, golden, json, read, run, stand_ins, succeeds, text};
use serde_json::Value;
use std::{fs, path::Path};

const BUNDLE: &str = include_str!("../../../demo/bundle-weak/bundle.toml");

fn answers(folder: &Path) -> Vec<Value> {
    read(&folder.join("answers.jsonl")).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A language model, a reward model and a cost model, as options.
fn options(language: &Path, reward: &Path, cost: &Path) -> Vec<String> {
    let score = |name: &str, folder: &Path| format!("{name}={}", text(folder));
    let (reward, cost) = (score("reward", reward), score("cost", cost));
    ["--model", text(language), "--score", &reward, "--score", &cost].map(str::to_owned).to_vec()
}

/// Models of three kinds: a Llama, a sequence classifier and a `LlamaForScore`.
fn models() -> Vec<String> {
    options(&golden("llama1"), &golden("score-llama-class"), &golden("score-llama-cost"))
}

fn words(all: &[&[String]], more: &[&str]) -> Ran {
    let first = all.iter().flat_map(|words| words.iter().map(String::as_str));
    run(&first.chain(more.iter().copied()).collect::<Vec<_>>())
}

/// Trains a network by the paper's preset, small enough for a test, into `out`.
fn train(models: &[String], bundle: &Path, out: &Path, prompts: &Path, more: &[&str]) {
    let command = ["train", "critic", "--preset", "paper"].map(str::to_owned);
    let small =
        ["--answers", "2", "--max-tokens", "36", "--hidden", "8", "--depth", "1", "--epochs", "2", "--batch", "4"];
    let place = ["--bundle", text(bundle), "--prompts", text(prompts), "--out", text(out)];
    succeeds(&words(&[&command, models], &[&small[..], &place, more].concat()));
}

fn evaluate(models: &[String], recipe: &str, bundle: &Path, prompts: &Path, out: &Path) -> Ran {
    let command = ["eval", "--recipe", recipe].map(str::to_owned);
    let more = ["--bundle", text(bundle), "--prompts", text(prompts), "--max-tokens", "36", "--n", "4", "--limit", "1"];
    words(&[&command, models], &[&more[..], &["--out", text(out)]].concat())
}

/// The prompt templates of the paper, which recipes set for models without any.
const TEMPLATES: &str =
    "[model]\ntemplate = \"beaver\"\n[scores.reward]\ntemplate = \"hh\"\n[scores.cost]\ntemplate = \"beaver\"\n";

/// A bundle with this manifest.
fn bundle(folder: &Path, manifest: &str) {
    fs::create_dir(folder).unwrap();
    fs::write(folder.join("bundle.toml"), manifest).unwrap();
}

#[test]
fn networks_of_the_papers_preset_play_every_row_of_both_recipes_on_the_papers_layouts() {
    let folder = tempfile::tempdir().unwrap();
    let [critic, plain, full, prompts] =
        ["critic", "plain", "full", "prompts.txt"].map(|name| folder.path().join(name));
    fs::write(&prompts, (0..24).map(|at| format!("Tell me about {at}\n")).collect::<String>()).unwrap();
    let stand_ins = stand_ins::write(folder.path());
    let models = options(&stand_ins.language, &stand_ins.reward, &stand_ins.cost);
    // Answers for training come from a bundle without networks.
    let (without, _) = BUNDLE.split_once("[critic]").unwrap();
    bundle(&plain, &format!("{without}\n{TEMPLATES}"));
    for more in [&[][..], &["--value"], &["--lagrangian", "5"]] {
        train(&models, &plain, &critic, &prompts, more);
    }
    bundle(&full, &format!("{BUNDLE}\n{TEMPLATES}"));
    for name in ["critic", "value", "value-lagrangian"] {
        let file = format!("{name}.safetensors");
        fs::copy(critic.join("final-norm").join(&file), full.join(&file)).unwrap();
    }
    for recipe in ["paper-alpaca", "paper-beaver"] {
        every_row_is_played(&models, recipe, &full, &prompts, &folder.path().join(recipe));
    }
}

fn every_row_is_played(models: &[String], recipe: &str, bundle: &Path, prompts: &Path, out: &Path) {
    let ran = evaluate(models, recipe, bundle, prompts, out);
    succeeds(&ran);
    let report = json(&out.join("report.json"));
    assert_eq!(report["origin"]["skipped"], serde_json::json!([]), "{recipe}: {}", ran.stderr);
    let rows: Vec<&str> =
        report["settings"]["rows"].as_array().unwrap().iter().map(|row| row["method"].as_str().unwrap()).collect();
    for method in ["inference-guard+critic", "re-control", "re-control+lagrangian", "args", "args+lagrangian"] {
        assert!(rows.contains(&method), "{recipe}: {rows:?}");
    }
    let answers = answers(out);
    assert_eq!(answers.len(), rows.len(), "{recipe}");
    for answer in &answers {
        // The recipe never refuses, so every row has an answer; none is good by having failed.
        let status = answer["status"].as_str().unwrap();
        assert!(["within_budget", "budget_exceeded"].contains(&status), "{answer}");
        assert!(answer["failure"].is_null() && answer.get("failures").is_none(), "{answer}");
        assert!(!answer["tokens"].as_array().unwrap().is_empty() && answer["reward"].is_number(), "{answer}");
    }
    assert!(answers.iter().any(|answer| !answer["text"].as_str().unwrap().is_empty()));
}

#[test]
fn a_network_that_does_not_fit_skips_its_rows_and_no_others() {
    let folder = tempfile::tempdir().unwrap();
    let prompts = folder.path().join("prompts.txt");
    fs::write(&prompts, "Tell me more\n").unwrap();
    // Its networks were made for the demonstration's model and clip.
    let bundle = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../demo/bundle-weak");
    let out = folder.path().join("out");
    let ran = evaluate(&models(), "paper-alpaca", &bundle, &prompts, &out);
    succeeds(&ran);
    let report = json(&out.join("report.json"));
    let skipped = report["origin"]["skipped"].as_array().unwrap();
    let rows: Vec<&str> = skipped.iter().map(|one| one["row"].as_str().unwrap()).collect();
    assert_eq!(rows, ["re-control", "re-control+lagrangian", "inference-guard+critic"]);
    assert!(skipped.iter().all(|one| one["why"].as_str().unwrap().contains("was made for")), "{skipped:?}");
    assert!(ran.stderr.contains("not run: inference-guard+critic (Alpaca-7B): the network `critic`"), "{}", ran.stderr);
    assert_eq!(answers(&out).len(), report["settings"]["rows"].as_array().unwrap().len() - skipped.len());
    assert!(ran.stdout.contains("Not run: inference-guard+critic"), "{}", ran.stdout);
}

#[test]
fn multipliers_are_tuned_on_other_prompts_for_each_row() {
    let out = tempfile::tempdir().unwrap();
    let arguments = [
        "eval",
        "--limit",
        "2",
        "--max-tokens",
        "16",
        "--n",
        "4",
        "--methods",
        "base,best-of-n+lagrangian,beam+lagrangian",
        "--tune-lambda",
        "0,0.5,50",
        "--tune-limit",
        "3",
        "--out",
        text(out.path()),
    ];
    let ran = run(&arguments);
    succeeds(&ran);
    let (tuning, report) = (json(&out.path().join("tuning/report.json")), json(&out.path().join("report.json")));
    assert_eq!(tuning["settings"]["dataset"]["prompts"], 3);
    assert!(tuning["settings"]["dataset"]["name"].as_str().unwrap().contains("validation"));
    assert_eq!(tuning["settings"]["rows"].as_array().unwrap().len(), 2 * 3, "a row for each multiplier");
    let rows = report["settings"]["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 3);
    for row in &rows[1..] {
        let method = row["method"].as_str().unwrap();
        assert_eq!(row["settings"]["lagrangian-cost"], "end", "the demonstration has a cost model");
        assert!(ran.stderr.contains(&format!("{method}: λ = {}", row["lambda"].as_f64().unwrap())), "{}", ran.stderr);
        // No other multiplier did better on the prompts for tuning.
        let good = |row: &Value| {
            let of = tuning["figures"].as_array().unwrap().iter().find(|one| one["row"] == row["label"]).unwrap();
            of["parts"]["all"]["good"]["mean"].as_f64().unwrap()
        };
        let tried = || tuning["settings"]["rows"].as_array().unwrap().iter().filter(|one| one["method"] == *method);
        let chosen = tried().find(|one| one["lambda"] == row["lambda"]).map(good).unwrap();
        assert!(tried().all(|one| good(one) <= chosen), "{method}");
    }
    // The same command goes on where it was, with the same multipliers.
    let again = run(&arguments);
    succeeds(&again);
    assert_eq!(again.stdout, ran.stdout);
}

#[test]
fn multipliers_are_not_tuned_on_what_is_evaluated() {
    let tune = |more: &[&str]| {
        let fixed = ["eval", "--limit", "2", "--max-tokens", "8", "--n", "2", "--tune-lambda", "1"];
        run(&[&fixed[..], more].concat())
    };
    tune(&["--methods", "beam+lagrangian", "--split", "validation"]).refuses("is a prompt of the evaluation too");
    tune(&["--methods", "base"]).refuses("none of the rows has a multiplier");
    let prompts = tempfile::NamedTempFile::new().unwrap();
    fs::write(prompts.path(), "Hello\n").unwrap();
    tune(&["--methods", "beam+lagrangian", "--prompts", text(prompts.path())]).refuses("--tune-prompts FILE");
}

#[test]
fn what_multipliers_weigh_can_be_chosen() {
    let weighed = |more: &[&str]| {
        let out = tempfile::tempdir().unwrap();
        let fixed = ["eval", "--limit", "1", "--max-tokens", "8", "--n", "2", "--methods", "beam+lagrangian"];
        succeeds(&run(&[&fixed[..], &["--out", text(out.path())], more].concat()));
        let rows = json(&out.path().join("report.json"))["settings"]["rows"].clone();
        let one = |row: &Value| format!("{} {}", row["lambda"], row["settings"]["lagrangian-cost"]);
        rows.as_array().unwrap().iter().map(one).collect::<Vec<_>>()
    };
    assert_eq!(weighed(&[]), ["5.0 \"end\""]);
    assert_eq!(weighed(&["--lagrangian-cost", "sum"]), ["5.0 \"sum\""]);
    assert_eq!(weighed(&["--lambdas", "0.1,1"]), ["0.1 \"end\"", "1.0 \"end\""]);
}
