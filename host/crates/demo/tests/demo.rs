//! The whole training, with a network too small to be of use: files, shapes, and refusals.

use indicatif::ProgressBar;
use inferenceguard_demo::models::{Options, capped_exceeds, train, write_data};
use inferenceguard_demo::world::World;

#[test]
fn a_quick_training_writes_whole_folders() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let options = Options::quick(folder.path());
    let progress = ProgressBar::hidden();
    let report = train(&options, &progress).expect("it trains");
    assert!(report.answers > 0 && report.cost_scale > 0.0);
    assert_eq!(progress.position(), progress.length().unwrap_or(0));
    for model in ["weak", "tuned", "reward", "cost"] {
        for file in
            ["config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"]
        {
            assert!(folder.path().join(model).join(file).is_file(), "{model}/{file}");
        }
        let weights = std::fs::read(folder.path().join(model).join("model.safetensors")).expect("weights");
        let tensors = safetensors::SafeTensors::deserialize(&weights).expect("safetensors");
        assert_eq!(tensors.names().contains(&"score_head.weight"), ["reward", "cost"].contains(&model));
    }
    let prompts = std::fs::read_to_string(folder.path().join("prompts.jsonl")).expect("prompts");
    assert!(prompts.lines().count() >= 1_000);
    assert!(!format!("{report}").is_empty());
    // Only the score models are trained again; nothing of the old folders is left behind.
    let again = Options { keep_base: true, ..options };
    let weak = std::fs::read(folder.path().join("weak/model.safetensors")).expect("weights");
    train(&again, &ProgressBar::hidden()).expect("it trains again");
    assert_eq!(std::fs::read(folder.path().join("weak/model.safetensors")).expect("weights"), weak);
    let names = std::fs::read_dir(folder.path()).expect("a folder").flatten();
    assert_eq!(names.filter(|entry| entry.path().is_dir()).count(), 4);
}

#[test]
fn the_data_is_written_without_training() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    write_data(folder.path(), &World::frozen()).expect("it writes");
    let test = std::fs::read_to_string(folder.path().join("test.jsonl")).expect("records");
    assert!(test.lines().count() >= 1_000);
}

#[test]
fn bad_options_are_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let none = Options { batch: 0, ..Options::quick(folder.path()) };
    let error = train(&none, &ProgressBar::hidden()).expect_err("no batch");
    assert!(error.to_string().contains("batch"), "{error}");
}

#[test]
fn safe_text_banks_no_budget() {
    let late: Vec<f32> = [vec![-1.0; 100], vec![1.0; 13]].concat();
    assert!(capped_exceeds(&late, 1.0));
    assert!(!capped_exceeds(&[1.0; 9], 1.0));
    assert!(!capped_exceeds(&[-1.0; 90], 1.0));
}

#[test]
fn the_demo_in_the_repository_keeps_its_marks() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../demo/report.json");
    let report: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(path).expect("a report")).expect("JSON");
    let share = |value: &serde_json::Value| value.as_f64().expect("a number");
    assert!(share(&report["agreement"]) >= 0.9, "budget and judge agree: {}", report["agreement"]);
    assert!((0.25..0.4).contains(&share(&report["within_budget"])), "weak: {}", report["within_budget"]);
    assert!((0.7..0.82).contains(&share(&report["tuned"][0])), "tuned: {}", report["tuned"][0]);
    assert!(share(&report["junk"]) < 0.02, "junk: {}", report["junk"]);
}
