//! Data sets and the files of evaluations: refused with the line, or nothing that was read is lost.

use crate::scratch;
use inferenceguard_critic::{
    CriticError,
    cost::{self, Labelled, Source, Unit, reward},
};
use inferenceguard_eval::{
    ATTACKS, Answer, Dataset, DatasetId, EvalError, Graded, Intent, Journal, ModelId, Origin, Row, Settings, Status,
    Verdict,
};
use std::{collections::BTreeMap, fs, path::Path};

/// How a gzip file begins.
const GZIP: [u8; 2] = [0x1f, 0x8b];
/// How much each labelled answer counts.
const WEIGHT: f64 = 2.0;

/// The first byte chooses the kind of file.
pub fn run(bytes: &[u8]) {
    let Some((kind, rest)) = bytes.split_first() else { return };
    match kind % 5 {
        0 => prompts("data/prompts.jsonl", rest),
        1 => prompts("data/prompts.txt", rest),
        2 => labelled(rest),
        3 => answers(rest),
        _ => settings_of_a_run(rest),
    }
}

/// Prompts of `eval` and of `train critic`.
fn prompts(name: &str, bytes: &[u8]) {
    match Dataset::read(&scratch::file(name, bytes)) {
        Ok(dataset) => kept(&dataset),
        Err(EvalError::Line { line, .. }) => has_line(bytes, line),
        Err(_) => {}
    }
}

/// Prompts have texts and their places as ids, and are read again as they were written.
fn kept(dataset: &Dataset) {
    let prompts = &dataset.prompts;
    assert!(!prompts.is_empty(), "a data set without prompts");
    assert!(prompts.iter().enumerate().all(|(at, one)| one.id == at && !one.text.trim().is_empty()), "{prompts:?}");
    let lines = prompts.iter().map(|prompt| serde_json::to_string(prompt).expect("a prompt") + "\n");
    let written = scratch::file("data/written.jsonl", lines.collect::<String>().as_bytes());
    let again = Dataset::read(&written).expect("prompts that were written");
    assert_eq!((&again.prompts, again.digest()), (prompts, dataset.digest()));
    let limited = dataset.clone().limited(2).expect("a limit above 0");
    assert_eq!(limited.prompts.len(), prompts.len().min(2));
    let harmful = prompts.iter().filter(|prompt| prompt.intent == Intent::Harmful).count();
    let left = if harmful > 0 { harmful } else { prompts.len() };
    let attacked = dataset.clone().attacked(2).expect("a limit above 0");
    assert_eq!(attacked.prompts.len(), left.min(2) * (1 + ATTACKS.len()));
}

/// Labelled answers of `train cost` and `train reward`.
fn labelled(bytes: &[u8]) {
    let source = Source { path: scratch::file("data/labelled.jsonl", bytes), weight: WEIGHT };
    grades(source.clone(), bytes);
    match cost::read(&[source], "Write.") {
        Ok(units) => {
            assert!(!units.is_empty(), "no answers");
            units.iter().for_each(belongs_together);
        }
        Err(CriticError::Line { line, .. }) => has_line(bytes, line),
        Err(_) => {}
    }
}

/// Answers of a reward have a grade from 0 to 1 unless they are of a pair.
fn grades(source: Source, bytes: &[u8]) {
    match reward::read(&[source], "Write.") {
        Ok(units) => {
            for unit in &units {
                let fits = |one: &Labelled| one.grade.is_none_or(|grade| (0.0..=1.0).contains(&grade));
                assert!(unit.answers().iter().all(fits), "{unit:?}");
                assert!(matches!(unit, Unit::Pair(_)) || unit.answers()[0].grade.is_some(), "{unit:?}");
            }
        }
        Err(CriticError::Line { line, .. }) => has_line(bytes, line),
        Err(_) => {}
    }
}

/// Answers have a question, their weight and a harm from 0 to 1; the first answer of a pair is the less harmful one.
fn belongs_together(unit: &Unit) {
    for Labelled { turns, harm, weight, .. } in unit.answers() {
        assert!(turns.last().is_some_and(|turn| turn.role == "user" && !turn.content.trim().is_empty()), "{unit:?}");
        assert!(harm.is_none_or(|harm| (0.0..=1.0).contains(&harm)) && *weight == WEIGHT, "{unit:?}");
    }
    if let Unit::Pair(pair) = unit {
        let [better, worse] = &**pair;
        assert!(better.harm.is_none() == worse.harm.is_none(), "{unit:?}");
        assert!(better.harm.zip(worse.harm).is_none_or(|(better, worse)| better < worse), "{unit:?}");
    }
}

/// `answers.jsonl`: a run that goes on keeps every whole line, and writes behind them.
fn answers(bytes: &[u8]) {
    let path = scratch::file(&format!("data/answers/{}", Journal::ANSWERS), bytes);
    let folder = path.parent().expect("a folder");
    match opened(folder) {
        Ok(journal) => goes_on(journal, folder),
        Err(EvalError::Damaged { line, .. }) => has_line(bytes, line),
        Err(_) => {}
    }
}

fn goes_on(mut journal: Journal, folder: &Path) {
    let before = journal.answers().to_vec();
    let known = |one: &Graded| journal.has(&one.model, &one.row, one.seed, one.prompt_id);
    assert!(before.iter().all(known), "an answer is not known");
    if known(&graded(7)) {
        // It would be there twice.
        return;
    }
    journal.append(graded(7)).expect("an answer is written");
    drop(journal);
    let again = opened(folder).expect("a journal that was written");
    let (last, rest) = again.answers().split_last().expect("the answer that was written");
    // As texts: a price may be NaN, which equals nothing.
    assert_eq!(format!("{rest:?}"), format!("{before:?}"), "earlier answers are others");
    assert_eq!(*last, graded(7));
}

/// `run.json`: only a run with the same settings goes on, and its origin is kept.
fn settings_of_a_run(bytes: &[u8]) {
    let path = scratch::file(&format!("data/run/{}", Journal::RUN), bytes);
    let folder = path.parent().expect("a folder");
    let Ok(journal) = opened(folder) else { return };
    let found = journal.origin().clone();
    assert!(found.commits.contains(&"seed".to_owned()), "{found:?}");
    drop(journal);
    let again = opened(folder).expect("a run that was written");
    assert_eq!(*again.origin(), found, "the origin is another one");
}

fn opened(folder: &Path) -> Result<Journal, EvalError> {
    Journal::open(folder, &settings(), Origin { commits: vec!["seed".into()], command: "eval".into(), skipped: vec![] })
}

fn settings() -> Settings {
    Settings {
        version: "0.1.0".into(),
        recipe: None,
        dataset: DatasetId { name: "prompts".into(), digest: "sha256:00".into(), prompts: 1 },
        seeds: vec![1],
        models: vec![ModelId {
            name: "toy".into(),
            fingerprint: "sha256:01".into(),
            scores: BTreeMap::from([("cost".into(), "sha256:02".into())]),
            template: "plain".into(),
            templates: BTreeMap::new(),
            bundles: BTreeMap::new(),
        }],
        rows: vec![Row { label: "base".into(), method: "base".into(), n: Some(4), budget: 4.0, ..Row::default() }],
        guard: BTreeMap::from([("max_tokens".into(), 12.into())]),
        judge: None,
        device: "cpu, f32".into(),
    }
}

fn graded(prompt_id: usize) -> Graded {
    let answer = Answer {
        text: "good plain".into(),
        tokens: vec![2, 4],
        status: Status::WithinBudget,
        cost: Some(0.5),
        reward: Some(1.0),
        sampled_tokens: 8,
        scored: BTreeMap::from([("cost".into(), 8)]),
        failure: None,
        ..Answer::failure(String::new())
    };
    let verdict = Verdict { harm: 0.0, category: None, reward: 1.5, refusal: false, junk: 0.25, on_topic: Some(true) };
    Graded {
        model: "toy".into(),
        row: "base".into(),
        method: "base".into(),
        budget: 4.0,
        seed: 1,
        prompt_id,
        prompt: "ask".into(),
        intent: Intent::Benign,
        topic: None,
        group: None,
        answer,
        priced_again: Some(0.5),
        end_cost: None,
        emitted_reward: Some(1.0),
        verdict: Some(verdict),
        opinions: Vec::new(),
    }
}

/// A line that an error names is there.
fn has_line(bytes: &[u8], line: usize) {
    let lines = 1 + bytes.iter().filter(|byte| **byte == b'\n').count();
    assert!(bytes.starts_with(&GZIP) || (1..=lines).contains(&line), "line {line} of {lines}");
}

/// Every format of prompts and of labelled answers, and the files of a run that was cut short.
pub fn seeds() -> Vec<Vec<u8>> {
    let prompts = "{\"text\":\"How do I clean a knife?\",\"intent\":\"benign\",\"topic\":\"kitchen\"}\n\n\
                   {\"prompt\":\"ask\",\"intent\":\"harmful\"}\n{\"text\":\"ask \\u00e4\\n\"}\n";
    let records = "{\"prompt\":\"ask\",\"response_0\":\"good\",\"response_1\":\"bad\",\"is_response_0_safe\":true,\
                   \"is_response_1_safe\":false}\n{\"prompt\":\"ask\",\"response_0\":\"bad\",\"response_1\":\"bad\",\
                   \"is_response_0_safe\":false,\"is_response_1_safe\":false,\"category\":\"rude\"}\n";
    let plain = "\u{feff}How do I clean a knife?\n\n  ask \u{e4}\r\nask\n";
    let labels = "{\"prompt\":\"ask\",\"response\":\"good\",\"harmful\":false}\n{\"text\":\"bad\",\"harm\":0.75}\n";
    let pairs = "{\"prompt\":\"ask\",\"chosen\":\"good\",\"rejected\":\"bad\"}\n\
                 {\"chosen\":\"\\n\\nHuman: ask\\n\\nAssistant: good\",\"rejected\":\"\\n\\nHuman: ask\\n\\nAssistant: bad\"}\n";
    let line = |id| serde_json::to_string(&graded(id)).expect("an answer");
    let cut = format!("{}\n{}\n{}", line(0), line(1), &line(2)[..40]);
    // A price that is no number, and a missing one.
    let priced = |price: &str| line(3).replace("\"priced_again\":0.5", &format!("\"priced_again\":{price}"));
    let unknown = format!("{}\n{}\n", priced("\"NaN\""), priced("null").replace("\"prompt_id\":3", "\"prompt_id\":4"));
    let folder = tempfile::tempdir().expect("a temporary folder");
    drop(opened(folder.path()).expect("a new run"));
    let run = fs::read_to_string(folder.path().join(Journal::RUN)).expect("the settings of the run");
    let answers = [(3, cut.as_str()), (3, unknown.as_str())];
    let others = [(0, prompts), (0, records), (1, plain), (2, labels), (2, pairs), (2, records), (4, run.as_str())];
    let all = others.into_iter().chain(answers);
    all.map(|(kind, text): (u8, &str)| [&[kind], text.as_bytes()].concat()).collect()
}
