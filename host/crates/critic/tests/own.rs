//! A model's own answers as harmless data on the toy: what is learnt from them, and what happens when a run is stopped or its files
//! are changed.

mod toy;

use indicatif::ProgressBar;
use inferenceguard_critic::{
    CriticError,
    cost::{self, CostObjective, CostOptions, CostReport, HarmlessPrompts, OWN, OwnOptions, Unit, own_answers},
};
use inferenceguard_search::Sampling;
use serde_json::{Value, json};
use std::{fs, path::Path};
use toy::handle;

/// The model answers `plain` words, which no labelled answer has.
const SCRIPT: &str = "vocab: <eos>* a b c d good bad plain
context: 24
after : plain 1
after good : good 30, bad 1, <eos> 1
after bad : bad 30, good 1, <eos> 1
after plain : plain 30, <eos> 6";

/// Two answers to each of 40 prompts, one with some `bad`.
fn lines() -> Vec<Value> {
    let word = |at: usize| ["a", "b", "c", "d"][at % 4];
    let line = |prompt: usize, harmful: bool| {
        let words = (0..3 + prompt % 3).map(|at| if harmful && at == prompt % 3 { "bad" } else { "good" });
        let prompt = format!("{} {} {}", word(prompt), word(prompt / 4), word(prompt / 16));
        json!({ "prompt": prompt, "response": words.collect::<Vec<_>>().join(" "), "harmful": harmful })
    };
    (0..40).flat_map(|prompt| [line(prompt, false), line(prompt, true)]).collect()
}

/// 60 prompts of four words.
fn prompts() -> Vec<String> {
    let word = |at: usize| ["a", "b", "c", "d"][at % 4];
    (0..60).map(|at| format!("{} {} {} {}", word(at), word(at / 4), word(at / 16), word(at + 1))).collect()
}

fn asked(out: &Path) -> OwnOptions {
    let sampling = Sampling { temperature: 0.8, ..Sampling::default() };
    OwnOptions { out: out.to_owned(), prompts: prompts(), sampling, max_tokens: 6, seed: 3, weight: 1.0 }
}

fn answers(options: &OwnOptions, faults: &str) -> Result<Vec<Unit>, CriticError> {
    own_answers(handle(SCRIPT, faults).as_mut(), options, &ProgressBar::hidden())
}

fn train(out: &Path, units: &[Unit], alpha: Option<f64>) -> CostReport {
    let objective = CostObjective::Survival;
    let options = CostOptions { heads: toy::heads(out), objective, threshold: 0.5, balanced: true, alpha };
    cost::train(&options, handle(SCRIPT, "").as_mut(), units, &ProgressBar::hidden()).unwrap().1
}

#[test]
fn a_cost_that_learns_from_own_answers_takes_them_for_harmless() {
    let folder = tempfile::tempdir().unwrap();
    let mut units = cost::read(&[toy::data(folder.path(), &lines())], "a").unwrap();
    let without = train(&folder.path().join("without"), &units, None);
    assert!(without.own.is_none() && without.budgets.iter().all(|one| one.own.is_none()), "{without}");
    units.extend(answers(&asked(folder.path()), "").unwrap());
    let report = train(&folder.path().join("with"), &units, Some(0.1));
    let own = report.own.as_ref().unwrap();
    // A quarter of 60 prompts, beside the ten harmful answers of the test.
    assert_eq!((own.count, report.test.as_ref().unwrap().count), (15 + 10, 20), "{report}");
    assert!(own.auc.unwrap() > 0.95, "{report}");
    let conformal = report.conformal.as_ref().unwrap();
    assert_eq!(conformal.count, 15, "own answers of the validation alone: {report}");
    assert!(conformal.budget.own.unwrap() < 0.5 && conformal.budget.harmful > Some(0.8), "{report}");
    assert!(report.thresholds.iter().all(|one| one.count == 15), "{report}");
    assert!(report.to_string().contains("harmful, and own"), "{report}");
}

#[test]
fn own_answers_are_written_for_reading_and_given_once() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, stopped) = (folder.path().join("whole"), folder.path().join("stopped"));
    [&whole, &stopped].into_iter().for_each(|folder| fs::create_dir(folder).unwrap());
    let expected = answers(&asked(&whole), "").unwrap();
    assert_eq!(expected.len(), 60);
    let text = String::from_utf8(toy::bytes(&whole, OWN)).unwrap();
    for (line, prompt) in text.lines().zip(prompts()) {
        let line: Value = serde_json::from_str(line).unwrap();
        assert_eq!((&line["prompt"], &line["harmful"]), (&json!(prompt), &json!(false)));
        let words: Vec<&str> = line["response"].as_str().unwrap().split_whitespace().collect();
        assert!(words.len() <= 6 && words.iter().all(|word| *word == "plain"), "{line}");
    }
    // Batches of 16 prompts: the third one fails, and the next run goes on with it.
    let error = answers(&asked(&stopped), "grow 3: error").unwrap_err();
    assert!(matches!(error, CriticError::Sampling { first: 32, last: 47, .. }), "{error}");
    assert!(stopped.join("own/00001.jsonl").exists() && !stopped.join(OWN).exists(), "what was answered is kept");
    assert_eq!(answers(&asked(&stopped), "grow 3: error").unwrap(), expected, "two calls are enough for the rest");
    assert_eq!(toy::bytes(&whole, OWN), toy::bytes(&stopped, OWN));
    assert_eq!(answers(&asked(&stopped), "grow 1: error").unwrap(), expected, "nothing is asked again");
    // A penalty of words that the prompt has is for one prompt at a time.
    let out = folder.path().join("penalised");
    fs::create_dir(&out).unwrap();
    let sampling = Sampling { repetition_penalty: 1.5, ..Sampling::default() };
    assert_eq!(answers(&OwnOptions { sampling, ..asked(&out) }, "").unwrap().len(), 60);
}

#[test]
fn answers_of_another_model_other_options_and_changed_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let options = asked(folder.path());
    answers(&options, "").unwrap();
    let refused = |options: &OwnOptions| match answers(options, "").unwrap_err() {
        CriticError::OtherSetting { name, .. } => name,
        other => panic!("{other}"),
    };
    assert_eq!(refused(&OwnOptions { seed: 4, ..options.clone() }), "seed");
    assert_eq!(refused(&OwnOptions { max_tokens: 5, ..options.clone() }), "max-tokens");
    assert_eq!(refused(&OwnOptions { sampling: Sampling::default(), ..options.clone() }), "sampling");
    assert_eq!(refused(&OwnOptions { prompts: prompts()[1..].to_vec(), ..options.clone() }), "prompts");
    let other = SCRIPT.replace("good 30", "good 29");
    let error = own_answers(handle(&other, "").as_mut(), &options, &ProgressBar::hidden()).unwrap_err();
    assert!(matches!(&error, CriticError::OtherSetting { name, .. } if name == "model"), "{error}");

    let file = folder.path().join("own/00000.jsonl");
    for text in ["{", "{\"prompt\": \"x\", \"response\": \"plain\", \"harmful\": false}\n"] {
        fs::write(&file, text).unwrap();
        let error = answers(&options, "").unwrap_err();
        assert!(matches!(&error, CriticError::Damaged { path, .. } if *path == file), "{error}");
    }
    fs::remove_file(folder.path().join("own/setting.json")).unwrap();
    let error = answers(&options, "").unwrap_err();
    assert!(matches!(error, CriticError::Damaged { .. }), "answers of nobody knows which model: {error}");
}

#[test]
fn a_file_that_lost_whole_lines_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    // The first prompt leaves no room for an answer: a file of fewer answers than prompts is whole.
    let long = ["a"; 20].join(" ");
    let prompts = std::iter::once(long).chain(prompts()).collect();
    let options = OwnOptions { prompts, ..asked(folder.path()) };
    let expected = answers(&options, "").unwrap();
    assert_eq!((expected.len(), options.prompts.len()), (60, 61));
    assert_eq!(answers(&options, "").unwrap(), expected);

    let file = folder.path().join("own/00001.jsonl");
    let text = fs::read_to_string(&file).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let kept = |keeps: &dyn Fn(usize) -> bool| {
        (0..lines.len()).filter(|at| keeps(*at)).map(|at| lines[at]).collect::<Vec<&str>>()
    };
    let mut swapped = lines.clone();
    swapped.swap(0, 1);
    let twice = [&lines[..], &lines[15..]].concat();
    for (changed, words) in [
        (kept(&|at| !(4..7).contains(&at)), "in the place of one to `"),
        (kept(&|at| at > 0), "in the place of one to `"),
        (kept(&|at| at < 15), "no answer to `"),
        (kept(&|_| false), "no answer to `"),
        (swapped, "in the place of one to `"),
        (twice, "which was not asked"),
    ] {
        fs::write(&file, changed.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
        let error = answers(&options, "").unwrap_err();
        assert!(matches!(&error, CriticError::Damaged { path, .. } if *path == file), "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }
    // As the error says: the file is made again.
    fs::remove_file(&file).unwrap();
    assert_eq!(answers(&options, "").unwrap(), expected);
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
}

#[test]
fn rows_that_fail_and_options_out_of_range_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    for (at, fault) in ["row-error 5", "missing 5"].into_iter().enumerate() {
        let out = folder.path().join(at.to_string());
        fs::create_dir(&out).unwrap();
        let error = answers(&asked(&out), &format!("grow 1: {fault}")).unwrap_err();
        assert!(matches!(error, CriticError::Sampling { first: 0, last: 15, .. }), "{fault}: {error}");
    }
    let name = |options: OwnOptions| match answers(&options, "").unwrap_err() {
        CriticError::Option { name, .. } => name,
        other => panic!("{other}"),
    };
    let out = folder.path();
    assert_eq!(name(OwnOptions { max_tokens: 0, ..asked(out) }), "max-tokens");
    assert_eq!(name(OwnOptions { weight: 0.0, ..asked(out) }), "harmless-weight");
    let sampling = Sampling { top_p: 2.0, ..Sampling::default() };
    assert_eq!(name(OwnOptions { sampling, ..asked(out) }), "top_p");
}

#[test]
fn harmful_prompts_are_left_out_and_the_others_asked_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("prompts.jsonl");
    let line = |text: &str, intent: &str| format!("{}\n", json!({ "prompt": text, "intent": intent }));
    let text = [line("a", "benign"), line("b", "harmful"), line("c", "unknown"), line("a", "benign")].concat();
    fs::write(&path, text).unwrap();
    let read = |words: &str| words.parse::<HarmlessPrompts>().unwrap().read();
    let name = path.to_str().unwrap();
    assert_eq!(read(name).unwrap(), ["a", "c"]);
    assert_eq!(read(&format!("{name}:1")).unwrap().len(), 1);
    assert_eq!(read(&format!("{name}:9")).unwrap(), ["a", "c"]);
    assert!(format!("{name}:0").parse::<HarmlessPrompts>().is_err());
    fs::write(&path, line("b", "harmful")).unwrap();
    let error = read(name).unwrap_err().to_string();
    assert!(error.contains("is 1 harmful prompts, expected prompts whose `intent` is not `harmful`"), "{error}");
    assert!(read("no-such-file.jsonl").is_err());
}
