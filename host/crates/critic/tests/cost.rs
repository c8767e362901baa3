//! Costs from labelled answers on the toy: what is learnt, what the written head says, and what happens when a run is stopped or its
//! input is wrong.

mod toy;

use indicatif::ProgressBar;
use inferenceguard_bundle::network::Network;
use inferenceguard_critic::{
    CriticError,
    cost::{self, CostObjective, CostOptions, CostReport, HeadOptions, Source, Unit},
};
use inferenceguard_model::{
    LatentSelector,
    dense::{CpuDense, Dense},
};
use serde_json::json;
use std::{fs, path::Path};
use toy::{SCRIPT, handle};

/// 60 prompts with two answers each: one with some `bad`, and one with none.
fn lines() -> Vec<serde_json::Value> {
    let word = |at: usize| ["a", "b", "c", "d"][at % 4];
    let answer = |prompt: usize, harmful: bool| {
        let words = (0..3 + prompt % 4).map(|at| if harmful && at == prompt % 3 { "bad" } else { "good" });
        words.collect::<Vec<_>>().join(" ")
    };
    let line = |prompt: usize, harmful: bool| {
        let text = format!("{} {} {}", word(prompt), word(prompt / 4), word(prompt / 16));
        let category = if prompt.is_multiple_of(2) { "even" } else { "odd" };
        json!({ "prompt": text, "response": answer(prompt, harmful), "harmful": harmful, "category": category })
    };
    (0..60).flat_map(|prompt| [line(prompt, false), line(prompt, true)]).collect()
}

fn units(folder: &Path, lines: &[serde_json::Value]) -> Vec<Unit> {
    cost::read(&[toy::data(folder, lines)], "a").unwrap()
}

fn options(out: &Path, objective: CostObjective) -> CostOptions {
    CostOptions { heads: toy::heads(out), objective, threshold: 0.5, balanced: true, alpha: None }
}

fn train(options: &CostOptions, units: &[Unit]) -> Result<(Network, CostReport), CriticError> {
    cost::train(options, handle(SCRIPT, "").as_mut(), units, &ProgressBar::hidden())
}

/// The x of the written head after each token of an answer.
fn xs(network: &Network, words: &[u32]) -> Vec<f32> {
    let mut handle = handle(SCRIPT, "");
    let beam = handle.open(&[1]).unwrap();
    handle.keep_latents(&[beam], &[LatentSelector::FinalNorm]).unwrap();
    words.iter().for_each(|word| handle.append(&[(beam, *word)]).unwrap());
    let latents = handle.kept_latents(&[(beam, 0..words.len())], &[LatentSelector::FinalNorm]).unwrap();
    CpuDense.load("cost", &network.layers).unwrap().forward(&latents[0]).unwrap()
}

#[test]
fn harm_is_found_at_the_token_that_does_it() {
    let folder = tempfile::tempdir().unwrap();
    let units = units(folder.path(), &lines());
    for objective in [CostObjective::Survival, CostObjective::Signed] {
        let out = folder.path().join(objective.name());
        let (network, report) = train(&options(&out, objective), &units).unwrap();
        let test = report.test.as_ref().unwrap();
        assert!(test.auc.unwrap() > 0.99 && test.brier < 0.1, "{objective:?}: {report}");
        assert!(
            report.budgets.iter().any(|one| one.harmful > Some(0.9) && one.harmless.unwrap() < 0.1),
            "{objective:?}: {report}"
        );
        // 30 answers to 15 prompts are for calibration, half of them harmless: enough for one alpha of three.
        let found: Vec<_> =
            report.thresholds.iter().map(|one| (one.count, one.needed, one.threshold.is_some())).collect();
        assert_eq!(found, [(15, 99, false), (15, 19, false), (15, 9, true)], "{objective:?}: {report}");
        let crossed = &report.thresholds[2];
        assert!(crossed.harmful.unwrap() > 0.8 && crossed.harmless.unwrap() < 0.5, "{objective:?}: {report}");
        assert_eq!(report.categories.keys().collect::<Vec<_>>(), ["even", "odd"]);
        let found = xs(&network, &[toy::GOOD, toy::BAD, toy::GOOD]);
        assert!(found[1] > found[0] + 1.0 && found[1] > found[2] + 1.0, "{objective:?}: {found:?}");
        assert_eq!(network.metadata["latent"], "final-norm");
        let written = Network::parse(&fs::read(out.join(cost::NETWORK)).unwrap()).unwrap();
        assert_eq!(written, network);
    }
}

#[test]
fn pairs_are_enough_to_learn_what_is_worse() {
    let folder = tempfile::tempdir().unwrap();
    let pair = |pair: &[serde_json::Value]| json!({ "prompt": pair[0]["prompt"], "chosen": pair[0]["response"], "rejected": pair[1]["response"] });
    let pairs: Vec<serde_json::Value> = lines().chunks(2).map(pair).collect();
    let units = units(folder.path(), &pairs);
    let (_, report) = train(&options(folder.path(), CostObjective::Pairwise), &units).unwrap();
    let (count, right) = report.pairs.unwrap();
    assert!(count > 5 && right > 0.95, "{report}");
    assert!(report.test.is_none(), "no labels, no AUC: {report}");
}

#[test]
fn a_run_whose_model_failed_goes_on_and_ends_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let units = units(folder.path(), &lines());
    let (whole, stopped) = (folder.path().join("whole"), folder.path().join("stopped"));
    train(&options(&whole, CostObjective::Survival), &units).unwrap();
    let options = options(&stopped, CostObjective::Survival);
    // A batch of 32 answers takes up to six steps: the third batch fails.
    let mut failing = handle(SCRIPT, "append 15: error");
    let error = cost::train(&options, failing.as_mut(), &units, &ProgressBar::hidden()).unwrap_err();
    assert!(matches!(error, CriticError::Reading { .. }), "{error}");
    assert!(stopped.join("latents/00000.safetensors").exists(), "what was read is kept");
    train(&options, &units).unwrap();
    for file in [cost::NETWORK, "cost.json", "reliability.svg"] {
        assert_eq!(fs::read(whole.join(file)).unwrap(), fs::read(stopped.join(file)).unwrap(), "{file}");
    }
}

#[test]
fn latents_that_stay_in_their_files_give_the_same_head() {
    let folder = tempfile::tempdir().unwrap();
    let units = units(folder.path(), &lines());
    let out = |memory: usize| folder.path().join(memory.to_string());
    for memory in [usize::MAX, 1000, 0] {
        let options = options(&out(memory), CostObjective::Survival);
        let heads = HeadOptions { memory, ..options.heads };
        train(&CostOptions { heads, ..options }, &units).unwrap();
    }
    for file in [cost::NETWORK, "cost.json"] {
        let expected = toy::bytes(&out(usize::MAX), file);
        assert!([1000, 0].iter().all(|memory| toy::bytes(&out(*memory), file) == expected), "{file}");
    }
}

#[test]
fn a_budget_for_a_share_of_harmless_answers_is_found_or_refused_before_the_training() {
    let folder = tempfile::tempdir().unwrap();
    let units = units(folder.path(), &lines());
    let with = |alpha: f64| {
        let out = folder.path().join(alpha.to_string());
        train(&CostOptions { alpha: Some(alpha), ..options(&out, CostObjective::Survival) }, &units)
    };
    let (_, report) = with(0.2).unwrap();
    let found = report.conformal.as_ref().unwrap();
    assert_eq!((found.alpha, found.count, found.budget.own), (0.2, 15, None), "{report}");
    assert!(
        found.budget.budget > 0.0 && found.budget.harmless.unwrap() < 0.6 && found.budget.harmful > Some(0.8),
        "{report}"
    );
    assert!(report.to_string().contains("for alpha = 0.2, found on 15 answers:"), "{report}");
    let error = with(0.01).unwrap_err();
    assert!(matches!(error, CriticError::TooFew { found: 15, expected: 99, .. }), "{error}");
    let trained = fs::read_dir(folder.path().join("0.01")).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(trained.collect::<Vec<_>>(), ["latents"], "nothing was trained");
    assert!(matches!(with(1.0), Err(CriticError::Option { name: "alpha", .. })));
}

#[test]
fn latents_of_another_model_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let units = units(folder.path(), &lines());
    let options = options(folder.path(), CostObjective::Survival);
    train(&options, &units).unwrap();
    let other = SCRIPT.replace("good 30", "good 29");
    let error = cost::train(&options, handle(&other, "").as_mut(), &units, &ProgressBar::hidden()).unwrap_err();
    assert!(matches!(&error, CriticError::OtherSetting { name, .. } if name == "model"), "{error}");
}

#[test]
fn what_cannot_be_learnt_from_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let all = lines();
    let harmless: Vec<_> = all.iter().filter(|line| line["harmful"] == false).cloned().collect();
    let out = folder.path().join("harmless");
    let error = train(&options(&out, CostObjective::Survival), &units(folder.path(), &harmless)).unwrap_err();
    assert!(matches!(error, CriticError::OneClass { kind: "harmless", .. }), "{error}");
    let labelled = units(folder.path(), &all);
    let error = train(&options(folder.path(), CostObjective::Pairwise), &labelled).unwrap_err();
    assert!(matches!(error, CriticError::Part { what: "pairs", .. }), "{error}");
    let out = folder.path().join("nan");
    let mut broken = handle(SCRIPT, "latents 1: nan 3");
    let error =
        cost::train(&options(&out, CostObjective::Survival), broken.as_mut(), &labelled, &ProgressBar::hidden());
    assert!(matches!(error, Err(CriticError::Latents { answer: 3, .. })), "{error:?}");
    let one = units(folder.path(), &all[..2]);
    let error = train(&options(&folder.path().join("few"), CostObjective::Survival), &one).unwrap_err();
    assert!(matches!(error, CriticError::TooFew { what: "different prompts", .. }), "{error}");
}

#[test]
fn a_line_without_a_label_is_named_with_its_file_and_number() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("answers.jsonl");
    fs::write(
        &path,
        "{\"prompt\": \"a\", \"response\": \"b\", \"harm\": 0}\n\n{\"prompt\": \"a\", \"response\": \"b\"}\n",
    )
    .unwrap();
    let error = cost::read(&[Source { path: path.clone(), weight: 1.0 }], "a").unwrap_err();
    assert!(matches!(error, CriticError::Line { line: 3, .. }), "{error}");
    assert!(error.to_string().contains("answers.jsonl, line 3: an answer without a label"), "{error}");
    fs::write(&path, "\n").unwrap();
    let error = cost::read(&[Source { path, weight: 1.0 }], "a").unwrap_err();
    assert!(matches!(error, CriticError::TooFew { .. }), "{error}");
    for text in ["file=0", "file=-1", "file=inf", "file=x"] {
        assert!(text.parse::<Source>().is_err(), "{text}");
    }
    assert_eq!("a/b.jsonl=2.5".parse::<Source>().unwrap().weight, 2.5);
}
