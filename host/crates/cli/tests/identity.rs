//! Which models decided: pinned in bundles, named in answers and records, and noticed when they are exchanged.

mod common;

use common::{run, text};
use safetensors::{SafeTensors, tensor::TensorView};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
};
use tempfile::TempDir;

const PROMPT: &str = "How do I clean a knife?";

/// A copy of a model of the demonstration.
fn demo(name: &str) -> TempDir {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../demo").join(name);
    let to = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.path().join(entry.file_name())).unwrap();
    }
    to
}

/// The demonstration's cost model with a head of zeros: it finds nothing.
fn blind() -> TempDir {
    let folder = demo("cost");
    let path = folder.path().join("model.safetensors");
    let bytes = fs::read(&path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let zeros = vec![0; file.tensor("score_head.weight").unwrap().data().len()];
    let tensors = file.tensors().into_iter().map(|(name, view)| match name.as_str() {
        "score_head.weight" => (name, TensorView::new(view.dtype(), view.shape().to_vec(), &zeros).unwrap()),
        _ => (name, view),
    });
    fs::write(&path, safetensors::serialize(tensors, None).unwrap()).unwrap();
    folder
}

/// A bundle that is pinned to the demonstration's models.
fn pinned(dir: &TempDir) -> PathBuf {
    let bundle = dir.path().join("pinned");
    assert_eq!(run(&["bundle", "init", text(&bundle), "--template", "score"]).code, Some(0));
    let ran = run(&["bundle", "pin", "--bundle", text(&bundle)]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    bundle
}

fn answer(more: &[&str]) -> common::Ran {
    run(&[&["run", "--n", "2", "--max-tokens", "8", "--json"], more, &[PROMPT]].concat())
}

#[test]
fn a_cost_model_with_a_zeroed_head_is_refused_where_the_bundle_is_pinned() {
    let dir = tempfile::tempdir().unwrap();
    let (bundle, blind) = (pinned(&dir), blind());
    let score = format!("cost={}", text(blind.path()));
    let with = ["--bundle", text(&bundle), "--score", &score];
    assert_eq!(answer(&with[..2]).code, Some(0));
    answer(&with).refuses("`[scores.cost] parts.weights`");
    run(&[&["bundle", "check"], &with[..]].concat()).refuses("`[scores.cost] parts.weights`");
    let doors = ["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
    run(&[&doors[..], &with].concat()).refuses("`[scores.cost] parts.weights`");
    let checked = run(&["bundle", "check", "--bundle", text(&bundle)]);
    for line in ["language model", "score model cost", "score model reward"] {
        let found = checked.stdout.lines().find(|found| found.starts_with(line)).unwrap_or_default();
        assert!(found.contains("pinned by fingerprint, "), "{line}: {}", checked.stdout);
    }
    // Pinned again, it runs: the operator has confirmed the model.
    assert_eq!(run(&[&["bundle", "pin"], &with[..]].concat()).code, Some(0));
    assert_eq!(answer(&with).code, Some(0));
    answer(&with[..2]).refuses("`[scores.cost] parts.weights`");
}

#[test]
fn whatever_a_score_depends_on_is_pinned() {
    let dir = tempfile::tempdir().unwrap();
    let bundle = pinned(&dir);
    for (file, part) in [
        ("config.json", "config"),
        ("generation_config.json", "config"),
        ("tokenizer.json", "tokenizer"),
        ("tokenizer_config.json", "tokenizer"),
    ] {
        for (option, model, table) in [("--model", "weak", "model"), ("--score", "cost", "scores.cost")] {
            let folder = demo(model);
            let path = folder.path().join(file);
            fs::write(&path, [fs::read(&path).unwrap(), b"\n".to_vec()].concat()).unwrap();
            let scores = ["reward", "cost"].map(demo);
            let given = |name: &str, place: &TempDir| format!("{name}={}", text(place.path()));
            let own = if option == "--model" { text(folder.path()).to_owned() } else { given("cost", &folder) };
            let reward = given("reward", &scores[0]);
            let mut arguments = vec!["--bundle", text(&bundle), option, &own, "--score", &reward];
            let cost = given("cost", &scores[1]);
            if option == "--model" {
                arguments.extend(["--score", &cost]);
            }
            answer(&arguments).refuses(&format!("`[{table}] parts.{part}`"));
        }
    }
    for precision in ["q8_0", "bf16"] {
        answer(&["--bundle", text(&bundle), "--device", "cpu", "--precision", precision]).refuses("parts.precision");
    }
}

fn scores(output: &Value) -> [&str; 2] {
    ["cost", "reward"].map(|name| output["scores"][name]["fingerprint"].as_str().unwrap())
}

#[test]
fn where_nothing_is_pinned_answers_and_records_show_which_cost_model_priced() {
    let (dir, blind) = (tempfile::tempdir().unwrap(), blind());
    let score = format!("cost={}", text(blind.path()));
    let files = ["good", "blind"].map(|name| dir.path().join(format!("{name}.jsonl")));
    let good = answer(&["--record", text(&files[0])]).json();
    let other = answer(&["--score", &score, "--record", text(&files[1])]).json();
    assert_eq!(good["model"], other["model"]);
    assert_eq!(scores(&good)[1], scores(&other)[1]);
    assert_ne!(scores(&good)[0], scores(&other)[0]);
    for (file, output) in files.iter().zip([&good, &other]) {
        let verified = run(&["verify", text(file)]);
        let line = format!("score model cost {} in 1", scores(output)[0]);
        assert!(verified.stdout.contains(&line) && !verified.stdout.contains("do not name"), "{}", verified.stdout);
        let json = run(&["verify", "--json", text(file)]).json();
        assert_eq!(json["not_named"], serde_json::json!({}));
    }
    let replay =
        |file: &Path, more: &[&str]| run(&[&["replay", "--n", "2", "--with-model", text(file)], more].concat());
    assert_eq!(replay(&files[0], &[]).code, Some(0), "{}", replay(&files[0], &[]).stderr);
    let refused = replay(&files[0], &["--score", &score]);
    assert!(refused.code == Some(1) && refused.stderr.contains("another score model `cost`"), "{}", refused.stderr);
    let refused = replay(&files[1], &[]);
    assert!(refused.code == Some(1) && refused.stderr.contains("another score model `cost`"), "{}", refused.stderr);
    let explained = run(&["explain", text(&files[1])]);
    assert!(explained.stdout.contains(&format!("score model cost {}", scores(&other)[0])), "{}", explained.stdout);
    let checked = run(&["bundle", "check", "--score", &score]);
    assert!(checked.stdout.contains("not pinned"), "{}", checked.stdout);
}

#[test]
fn verify_says_what_records_of_an_earlier_version_do_not_name() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../record/tests/earlier");
    let verified =
        run(&["verify", "--key", text(&folder.join("key.pub")), text(&folder.join("format-1-signed.jsonl"))]);
    assert_eq!(verified.code, Some(0), "{}", verified.stderr);
    for words in ["do not name the score models", "do not name the language model's tokenizer, template"] {
        assert!(verified.stdout.contains(words), "{words}: {}", verified.stdout);
    }
}

#[test]
fn a_full_digest_is_computed_on_demand_and_can_be_pinned() {
    let dir = tempfile::tempdir().unwrap();
    let folder = demo("cost");
    let check = |more: &[&str]| run(&[&["model", "check", "--json", text(folder.path())], more].concat()).json();
    let (plain, full) = (check(&[]), check(&["--full-digest"]));
    assert!(plain["full"].is_null() && full["full"].as_str().unwrap().starts_with("sha256:"), "{full}");
    for part in ["fingerprint", "weights", "tokenizer", "config"] {
        assert!(plain[part].as_str().unwrap().starts_with("sha256:") && plain[part] == full[part], "{part}: {plain}");
    }
    assert_eq!((&plain["precision"], &plain["device"]), (&"f32".into(), &"cpu".into()));
    let bf16 = check(&["--device", "cpu", "--precision", "bf16"]);
    assert_eq!((&bf16["precision"], &bf16["weights"]), (&"bf16".into(), &plain["weights"]));
    assert_ne!(bf16["fingerprint"], plain["fingerprint"]);
    let bundle = dir.path().join("whole");
    assert_eq!(run(&["bundle", "init", text(&bundle), "--template", "score"]).code, Some(0));
    let bundle = ["--bundle", text(&bundle)];
    assert_eq!(run(&[&["bundle", "pin", "--full-digest"], &bundle[..]].concat()).code, Some(0));
    assert_eq!(answer(&[&bundle[..], &["--full-digest"]].concat()).code, Some(0));
    answer(&bundle).refuses("--full-digest");
}
