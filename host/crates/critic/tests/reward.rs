//! Rewards from pairs and grades on the toy: what is learnt, what the written head says, and what happens when a run is stopped or
//! its input is wrong.

mod toy;

use indicatif::ProgressBar;
use inferenceguard_bundle::network::Network;
use inferenceguard_critic::{
    CriticError,
    cost::{
        HeadOptions, RewardObjective, RewardOptions,
        reward::{self, RewardReport},
    },
};
use inferenceguard_model::{
    LatentSelector,
    dense::{CpuDense, Dense},
};
use serde_json::{Value, json};
use std::{fs, path::Path};
use toy::{BAD, GOOD, SCRIPT, handle};

/// 60 prompts, each with an answer of `good` words, and with another in which they turn to `bad` after some. More words than are
/// read: the toy forgets all before an end token.
fn answers() -> Vec<(String, [String; 2])> {
    let word = |at: usize| ["a", "b", "c", "d"][at % 4];
    let one = |prompt: usize| {
        let answer = |turns: usize| {
            let words = (0..6 + prompt % 3).map(|at| if at < turns { "good" } else { "bad" });
            words.collect::<Vec<_>>().join(" ")
        };
        let text = format!("{} {} {}", word(prompt), word(prompt / 4), word(prompt / 16));
        (text, [answer(9), answer(1 + prompt % 2)])
    };
    (0..60).map(one).collect()
}

fn pairs() -> Vec<Value> {
    let pair = |(prompt, [chosen, rejected]): (String, [String; 2])| json!({ "prompt": prompt, "chosen": chosen, "rejected": rejected });
    answers().into_iter().map(pair).collect()
}

fn grades() -> Vec<Value> {
    let line = |(prompt, [good, bad]): (String, [String; 2])| {
        let of = |response: String, grade: f64| json!({ "prompt": prompt, "response": response, "grade": grade });
        [of(good, 0.9), of(bad, 0.2)]
    };
    answers().into_iter().flat_map(line).collect()
}

fn options(out: &Path, objective: RewardObjective) -> RewardOptions {
    RewardOptions { heads: toy::heads(out), objective }
}

fn train(options: &RewardOptions, lines: &[Value]) -> Result<(Network, RewardReport), CriticError> {
    trained(options, lines, "")
}

fn trained(options: &RewardOptions, lines: &[Value], faults: &str) -> Result<(Network, RewardReport), CriticError> {
    let folder = tempfile::tempdir().unwrap();
    let units = reward::read(&[toy::data(folder.path(), lines)], "a")?;
    reward::train(options, handle(SCRIPT, faults).as_mut(), &units, &ProgressBar::hidden())
}

/// The x of the written head at the newest of these tokens, by the latent that `linear-cost` reads there.
fn x(network: &Network, words: &[u32]) -> f32 {
    let mut handle = handle(SCRIPT, "");
    let beam = handle.open(&[1]).unwrap();
    words.iter().for_each(|word| handle.append(&[(beam, *word)]).unwrap());
    let latents = handle.latents(&[beam], LatentSelector::FinalNorm).unwrap();
    CpuDense.load("reward", &network.layers).unwrap().forward(&latents[0]).unwrap()[0]
}

#[test]
fn what_people_prefer_is_ranked_higher_along_the_answer_too() {
    let folder = tempfile::tempdir().unwrap();
    for (depth, name) in [(0, "linear"), (1, "small")] {
        let out = folder.path().join(name);
        let mut options = options(&out, RewardObjective::Pairwise);
        (options.heads.recipe.depth, options.heads.recipe.hidden) = (depth, 8);
        let (network, report) = train(&options, &pairs()).unwrap();
        let pairs = report.pairs.as_ref().unwrap();
        let (low, high) = pairs.interval.unwrap();
        assert_eq!((pairs.count, report.answers.2, pairs.along.len()), (15, 30, 8), "{report}");
        assert!(pairs.accuracy > 0.95 && low <= pairs.accuracy && pairs.accuracy <= high, "{name}: {report}");
        assert_eq!(pairs.along[7], pairs.accuracy, "{report}");
        assert!(pairs.along[5] > 0.95, "{name}: {report}");
        assert_eq!(pairs.longer, 0.5, "both answers are as long: {report}");
        assert!(pairs.brier < 0.2 && report.grades.is_none() && !report.bins.is_empty(), "{report}");
        assert!(x(&network, &[GOOD, GOOD]) > x(&network, &[GOOD, BAD]) + 0.5, "{name}");
        assert_eq!(network.metadata["latent"], "final-norm");
        assert_eq!((network.metadata["kind"].as_str(), network.layers.len()), ("reward", depth + 1));
        let model = handle(SCRIPT, "").info().base().to_owned();
        assert_eq!(network.metadata["model"], model);
        assert_eq!(Network::parse(&toy::bytes(&out, reward::NETWORK)).unwrap(), network);
        let settings = reward::settings(&report, "r").map(|(name, text)| format!("{name} {text}"));
        assert_eq!(settings, ["network r", "latent final-norm", "kind task"]);
    }
}

#[test]
fn grades_are_foreseen_on_their_own_scale() {
    let folder = tempfile::tempdir().unwrap();
    let (network, report) = train(&options(folder.path(), RewardObjective::Graded), &grades()).unwrap();
    let grades = report.grades.as_ref().unwrap();
    assert_eq!((grades.count, report.pairs.is_none()), (30, true), "{report}");
    assert!((grades.mean - 0.55).abs() < 1e-9 && grades.auc.unwrap() > 0.95, "{report}");
    assert!(grades.explained.unwrap() > 0.8, "{report}");
    let grade = |words: &[u32]| 1.0 / (1.0 + (-x(&network, words)).exp());
    assert!(grade(&[GOOD, GOOD, GOOD, GOOD]) > grade(&[GOOD, BAD, BAD, BAD]) + 0.3, "{report}");
    let both: Vec<Value> = self::grades().into_iter().chain(pairs()).collect();
    let (_, report) = train(&options(&folder.path().join("both"), RewardObjective::Graded), &both).unwrap();
    assert!(report.pairs.as_ref().unwrap().accuracy > 0.95 && report.grades.is_some(), "{report}");
}

#[test]
fn a_run_whose_model_failed_goes_on_and_ends_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, stopped) = (folder.path().join("whole"), folder.path().join("stopped"));
    train(&options(&whole, RewardObjective::Pairwise), &pairs()).unwrap();
    let options = options(&stopped, RewardObjective::Pairwise);
    let error = trained(&options, &pairs(), "append 15: error").unwrap_err();
    assert!(matches!(error, CriticError::Reading { .. }), "{error}");
    assert!(stopped.join("latents/00000.safetensors").exists(), "what was read is kept");
    // Latents stay in their files this time: that changes nothing.
    let heads = HeadOptions { memory: 0, ..options.heads.clone() };
    train(&RewardOptions { heads, ..options }, &pairs()).unwrap();
    for file in [reward::NETWORK, "reward.json", "reliability.svg"] {
        assert_eq!(toy::bytes(&whole, file), toy::bytes(&stopped, file), "{file}");
    }
}

#[test]
fn what_cannot_be_learnt_from_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |name: &str, objective: RewardObjective, lines: &[Value], faults: &str| {
        trained(&options(&folder.path().join(name), objective), lines, faults).unwrap_err()
    };
    let error = refused("no pairs", RewardObjective::Pairwise, &grades(), "");
    assert!(matches!(error, CriticError::Part { what: "pairs", found: 0, .. }), "{error}");
    let same: Vec<Value> = grades().into_iter().filter(|line| line["grade"] == json!(0.9)).collect();
    let error = refused("one grade", RewardObjective::Graded, &same, "");
    assert!(matches!(error, CriticError::OneGrade { grade, .. } if grade == 0.9), "{error}");
    let error = refused("few", RewardObjective::Pairwise, &pairs()[..2], "");
    assert!(matches!(error, CriticError::TooFew { what: "different prompts", found: 2, .. }), "{error}");
    let error = refused("nan", RewardObjective::Pairwise, &pairs(), "latents 1: nan 3");
    assert!(matches!(error, CriticError::Latents { answer: 3, .. }), "{error}");
    let error = refused("no label", RewardObjective::Graded, &[json!({ "prompt": "a", "response": "b" })], "");
    assert!(error.to_string().contains("line 1: an answer without a label; expected `grade`"), "{error}");
    let mut several = options(folder.path(), RewardObjective::Pairwise);
    several.heads.readings = vec!["final-norm+layer:1".parse().unwrap()];
    let error = train(&several, &pairs()).unwrap_err();
    assert!(matches!(error, CriticError::Option { name: "latents", .. }), "{error}");
}

#[test]
fn latents_and_checkpoints_of_another_run_are_refused_or_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let pairwise = options(folder.path(), RewardObjective::Pairwise);
    train(&pairwise, &pairs()).unwrap();
    let units = {
        let data = tempfile::tempdir().unwrap();
        reward::read(&[toy::data(data.path(), &pairs())], "a").unwrap()
    };
    let other = SCRIPT.replace("good 30", "good 29");
    let error = reward::train(&pairwise, handle(&other, "").as_mut(), &units, &ProgressBar::hidden()).unwrap_err();
    assert!(matches!(&error, CriticError::OtherSetting { name, .. } if name == "model"), "{error}");
    let checkpoints = || {
        let names = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
        names.filter(|name| name.to_string_lossy().starts_with("checkpoint-")).count()
    };
    assert_eq!(checkpoints(), 1);
    let graded = options(folder.path(), RewardObjective::Graded);
    reward::train(&graded, handle(SCRIPT, "").as_mut(), &units, &ProgressBar::hidden()).unwrap();
    assert_eq!(checkpoints(), 2, "another objective has another checkpoint");
}
