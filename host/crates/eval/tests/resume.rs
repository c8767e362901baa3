//! A run that is killed goes on, and ends with the same report.

mod common;

use common::{LONG, Scripted, answer, dataset, origin, play, row, settings};
use inferenceguard_eval::{Answer, Dataset, EvalError, Intent, Journal, Origin, Report, Row, Settings, Status};
use proptest::prelude::*;
use std::{cell::Cell, fs, path::Path, rc::Rc};

fn by_prompt(prompt: &str, seed: u64) -> Answer {
    let reward = Some((seed % 7) as f64 + prompt.len() as f64);
    let status = if prompt == "b" { Status::BudgetExceeded } else { Status::WithinBudget };
    Answer { reward, ..answer(status, LONG) }
}

fn prompts() -> Dataset {
    dataset(&[("a", Intent::Benign), ("b", Intent::Harmful), ("cc", Intent::Unknown)])
}

fn rows() -> Vec<Row> {
    vec![row("base", None), row("best-of-n", Some(4))]
}

/// Scripts that end together after this many answers.
fn scripts(most: usize) -> Vec<Scripted> {
    let left = Rc::new(Cell::new(most));
    rows().iter().map(|_| Scripted { left: Rc::clone(&left), ..Scripted::new(by_prompt) }).collect()
}

/// Runs in a folder, or goes on there, until the scripts end.
fn run(folder: &Path, settings: &Settings, most: usize) -> (Result<(), EvalError>, Report) {
    let mut journal = Journal::open(folder, settings, origin()).unwrap();
    let ended = play(&prompts(), settings, &mut scripts(most), &mut journal);
    (ended, Report::with_draws(settings, &journal, 100))
}

fn whole(settings: &Settings) -> (String, String) {
    let folder = tempfile::tempdir().unwrap();
    let (ended, report) = run(folder.path(), settings, usize::MAX);
    ended.unwrap();
    (report.markdown(), report.csv())
}

#[test]
fn a_run_killed_after_any_number_of_answers_ends_with_the_same_tables() {
    let settings = settings(&prompts(), &rows(), &[0, 1]);
    let expected = whole(&settings);
    for killed in 0..12 {
        let folder = tempfile::tempdir().unwrap();
        let (ended, partial) = run(folder.path(), &settings, killed);
        assert!(ended.is_err(), "killed after {killed}");
        assert_eq!(partial.progress, (killed, 12));
        let (ended, report) = run(folder.path(), &settings, usize::MAX);
        ended.unwrap();
        assert_eq!((report.markdown(), report.csv()), expected, "killed after {killed}");
        let lines = fs::read_to_string(folder.path().join(Journal::ANSWERS)).unwrap();
        assert_eq!(lines.lines().count(), 12, "nothing is answered twice");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn a_torn_line_is_dropped_and_answered_again(cut in 1usize..400) {
        let settings = settings(&prompts(), &rows(), &[0]);
        let folder = tempfile::tempdir().unwrap();
        run(folder.path(), &settings, usize::MAX).0.unwrap();
        let path = folder.path().join(Journal::ANSWERS);
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() - cut]).unwrap();
        let (ended, report) = run(folder.path(), &settings, usize::MAX);
        ended.unwrap();
        prop_assert_eq!(report.progress, (6, 6));
        prop_assert_eq!(fs::read(&path).unwrap(), bytes);
    }
}

#[test]
fn only_the_rest_is_asked() {
    let settings = settings(&prompts(), &rows(), &[3]);
    let folder = tempfile::tempdir().unwrap();
    assert!(run(folder.path(), &settings, 2).0.is_err());
    let mut journal = Journal::open(folder.path(), &settings, origin()).unwrap();
    let mut methods = scripts(usize::MAX);
    play(&prompts(), &settings, &mut methods, &mut journal).unwrap();
    assert_eq!(methods[0].seeds, [(3 << 32) + 2], "the third prompt alone, with its own seed");
    assert_eq!(methods[1].seeds, [3 << 32, (3 << 32) + 1, (3 << 32) + 2]);
}

#[test]
fn other_settings_are_refused_in_words() {
    let given = settings(&prompts(), &rows(), &[0]);
    let folder = tempfile::tempdir().unwrap();
    assert!(run(folder.path(), &given, 2).0.is_err());
    let refused = |settings: &Settings| Journal::open(folder.path(), settings, origin()).unwrap_err().to_string();
    let other = refused(&Settings { seeds: vec![1], ..given.clone() });
    assert!(other.contains("`seeds` was [0] and is now [1]; give the same settings, or another folder"), "{other}");
    let mut weights = given.clone();
    weights.models[0].fingerprint = "sha256:other".to_owned();
    assert!(refused(&weights).contains("`models.0.fingerprint` was \"sha256:m\""), "{}", refused(&weights));
    let rows = Settings { rows: vec![row("base", None)], ..given.clone() };
    assert!(refused(&rows).contains("`rows` was base, best-of-n n=4 and is now base"), "{}", refused(&rows));
    Journal::open(folder.path(), &given, origin()).unwrap();
}

#[test]
fn another_commit_goes_on_and_is_reported() {
    let given = settings(&prompts(), &rows(), &[0]);
    let folder = tempfile::tempdir().unwrap();
    assert!(run(folder.path(), &given, 2).0.is_err());
    let newer = Origin { commits: vec!["c1".to_owned()], ..origin() };
    let journal = Journal::open(folder.path(), &given, newer).unwrap();
    assert_eq!((journal.origin().commits.clone(), journal.answers().len()), (vec!["c0".into(), "c1".into()], 2));
}

#[test]
fn two_runs_do_not_write_into_one_folder() {
    let given = settings(&prompts(), &rows(), &[0]);
    let folder = tempfile::tempdir().unwrap();
    let first = Journal::open(folder.path(), &given, origin()).unwrap();
    let refused = Journal::open(folder.path(), &given, origin()).unwrap_err();
    assert!(matches!(refused, EvalError::Busy { .. }), "{refused}");
    drop(first);
    Journal::open(folder.path(), &given, origin()).unwrap();
}

#[test]
fn an_answer_counts_once() {
    let given = settings(&prompts(), &rows(), &[0]);
    let folder = tempfile::tempdir().unwrap();
    assert!(run(folder.path(), &given, 3).0.is_err());
    let path = folder.path().join(Journal::ANSWERS);
    let text = fs::read_to_string(&path).unwrap();
    let first = text.split_inclusive('\n').next().unwrap();
    fs::write(&path, format!("{text}{first}")).unwrap();
    let refused = Journal::open(folder.path(), &given, origin()).unwrap_err().to_string();
    assert!(
        refused.contains("answers.jsonl, line 4: ") && refused.contains("prompt 0 with seed 0 a second"),
        "{refused}"
    );
}

#[test]
fn a_price_that_is_no_number_stays_one_when_a_run_goes_on() {
    // `Scripted` gives the cost as the second price too.
    fn unknown(prompt: &str, _: u64) -> Answer {
        let cost = Some(if prompt == "a" { f64::NAN } else { f64::INFINITY });
        Answer { cost, reward: Some(f64::NEG_INFINITY), ..answer(Status::WithinBudget, LONG) }
    }
    let given = settings(&prompts(), &rows(), &[0]);
    let folder = tempfile::tempdir().unwrap();
    let mut methods: Vec<Scripted> = rows().iter().map(|_| Scripted::new(unknown)).collect();
    let mut journal = Journal::open(folder.path(), &given, origin()).unwrap();
    play(&prompts(), &given, &mut methods, &mut journal).unwrap();
    let first = Report::with_draws(&given, &journal, 100);
    assert_eq!(first.violations(), 6, "a price that is no number confirms nothing");
    drop(journal);
    let (ended, again) = run(folder.path(), &given, 0);
    ended.unwrap();
    assert_eq!((again.violations(), again.markdown(), again.csv()), (6, first.markdown(), first.csv()));
}

#[test]
fn a_damaged_line_in_the_middle_is_named() {
    let given = settings(&prompts(), &rows(), &[0]);
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &given, usize::MAX).0.unwrap();
    let path = folder.path().join(Journal::ANSWERS);
    let text = fs::read_to_string(&path).unwrap();
    let damaged: Vec<&str> =
        text.lines().enumerate().map(|(at, line)| if at == 2 { "{\"model\"" } else { line }).collect();
    fs::write(&path, damaged.join("\n") + "\n").unwrap();
    let refused = Journal::open(folder.path(), &given, origin()).unwrap_err().to_string();
    assert!(refused.contains("answers.jsonl, line 3: "), "{refused}");
}

#[test]
fn a_folder_that_is_a_file_is_refused_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("out");
    fs::write(&file, "x").unwrap();
    let refused = Journal::open(&file, &settings(&prompts(), &rows(), &[0]), origin()).unwrap_err().to_string();
    assert!(refused.contains("out: cannot be written"), "{refused}");
    assert_eq!(fs::read(&file).unwrap(), b"x");
}

#[test]
fn a_failing_method_ends_the_run_with_its_prompt() {
    let settings = settings(&prompts(), &[row("base", None)], &[0]);
    let mut journal = Journal::memory(origin());
    let mut methods = [Scripted { left: Rc::new(Cell::new(1)), ..Scripted::new(by_prompt) }];
    let refused = play(&prompts(), &settings, &mut methods, &mut journal).unwrap_err();
    assert_eq!(refused.to_string(), "model m, method base, prompt \"b\": the script is over");
    assert_eq!(journal.answers().len(), 1);
}
