//! Prompt templates: chosen on the command line or by a bundle, and the message where there is none.

mod common;

use common::{Ran, golden, run, stand_ins, text};
use std::{fs, path::Path};

fn check(model: &Path, more: &[&str]) -> Ran {
    run(&[&["model", "check", text(model), "--json"][..], more].concat())
}

#[test]
fn a_model_without_a_template_is_reported_loudly() {
    let folder = tempfile::tempdir().unwrap();
    let models = stand_ins::write(folder.path());
    let ran = check(&models.language, &[]);
    assert!(ran.stderr.contains("warning: alpaca-7b: there is no chat template"), "{}", ran.stderr);
    let report = ran.json();
    assert!(report["warnings"][0].as_str().unwrap().contains("no chat template"), "{report}");
    assert!(report["template"].as_str().unwrap().starts_with("plain "), "{report}");
    let chosen = check(&models.language, &["--template", "beaver"]);
    assert_eq!(chosen.stderr, "");
    let (plain, beaver) = (report["prompt"].as_u64().unwrap(), chosen.json()["prompt"].as_u64().unwrap());
    assert!(beaver > plain + 5, "{beaver} and {plain}");
    assert_eq!(check(&golden("llama1"), &[]).stderr, "");
    check(&models.language, &["--template", "chat"]).refuses("the folder holds none");
    check(&models.reward, &[]).refuses("choose one with --template");
    check(&models.reward, &["--template", "hh"]).json();
}

#[test]
fn what_is_no_template_is_refused() {
    let model = golden("llama1");
    for (given, words) in [
        ("Beaver", "`Beaver` is no template: write chat, beaver, hh, plain, auto, or a text with {prompt} in it"),
        ("reward=hh", "no score model is called `reward`"),
        ("{prompt}\\n", "a backslash and an n"),
    ] {
        check(&model, &["--template", given]).refuses(words);
    }
    check(&model, &["--template", "chat", "--template", "plain"]).refuses("a template already");
    check(&model, &["--template-date", "26 Jul 2024"]).refuses("is no date; write it as 2024-07-26");
}

#[test]
fn probe_needs_no_template() {
    let folder = tempfile::tempdir().unwrap();
    let models = stand_ins::write(folder.path());
    for model in [&models.language, &models.reward, &models.cost] {
        let ran = run(&["probe", "--model", text(model), "--json", "hi"]);
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{}", ran.stderr);
    }
}

/// The demonstration's bundle with more settings, as a folder.
fn bundle(more: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../demo/bundle");
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, folder.path().join(path.file_name().unwrap())).unwrap();
    }
    let path = folder.path().join("bundle.toml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{text}\n{more}\n")).unwrap();
    folder
}

#[test]
fn a_bundle_says_which_templates_it_was_made_for() {
    let folder = tempfile::tempdir().unwrap();
    let own = bundle("[model]\ntemplate = \"plain\"\n[scores.reward]\ntemplate = \"Q: {prompt} A:\"");
    let evaluated = |more: &[&str]| {
        let fixed = ["eval", "--bundle", text(own.path()), "--limit", "1", "--max-tokens", "4", "--methods", "base"];
        run(&[&fixed[..], &["--out", text(folder.path())], more].concat())
    };
    let ran = evaluated(&[]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let settings: serde_json::Value =
        serde_json::from_slice(&fs::read(folder.path().join("run.json")).unwrap()).unwrap();
    let model = &settings["settings"]["models"][0];
    assert_eq!((&model["template"], &model["templates"]["reward"]), (&"plain".into(), &"Q: {prompt} A:".into()));
    evaluated(&["--template", "beaver"]).refuses("other settings");
    let answer =
        |more: &[&str]| run(&[&["run", "--bundle", text(own.path()), "--max-tokens", "2"][..], more, &["hi"]].concat());
    assert_eq!(answer(&["--template", "plain"]).code, Some(0));
    answer(&["--template", "beaver"]).refuses("--template beaver: the bundle has `plain`");
    answer(&["--template", "reward=beaver"]).refuses("--template reward=beaver: the bundle has `Q: {prompt} A:`");
    let wrong = bundle("[model]\ntemplate = \"Plain\"");
    run(&["run", "--bundle", text(wrong.path()), "hi"]).refuses("model.template");
}
