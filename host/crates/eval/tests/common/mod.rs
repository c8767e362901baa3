//! Methods that play a script, and a judge that reads words.
#![allow(dead_code, reason = "not every test file uses every part")]

use inferenceguard_eval::{
    Answer, Contestant, Dataset, DatasetId, EvalError, Graded, Intent, Journal, Method, ModelId, Origin, Priced,
    Prompt, Report, Row, Settings, Status, Verdict, evaluate,
};
use std::{cell::Cell, collections::BTreeMap, error::Error, rc::Rc};

/// Answers by a function of prompt and seed; all that share a count stop working when it is used up.
pub(crate) struct Scripted {
    pub(crate) play: fn(&str, u64) -> Answer,
    pub(crate) left: Rc<Cell<usize>>,
    pub(crate) seeds: Vec<u64>,
}

impl Scripted {
    pub(crate) fn new(play: fn(&str, u64) -> Answer) -> Self {
        Self { play, left: Rc::new(Cell::new(usize::MAX)), seeds: Vec::new() }
    }
}

impl Method for Scripted {
    fn answer(&mut self, prompt: &str, seed: u64) -> Result<Answer, Box<dyn Error + Send + Sync>> {
        self.left.set(self.left.get().checked_sub(1).ok_or("the script is over")?);
        self.seeds.push(seed);
        Ok((self.play)(prompt, seed))
    }

    fn price_again(&mut self, _: &str, answer: &Answer) -> Result<Priced, Box<dyn Error + Send + Sync>> {
        let reward = if answer.status == Status::NoSafeCandidate { Some(-2.0) } else { answer.reward };
        Ok(Priced { cost: answer.cost, end: Some(-1.0), reward })
    }
}

/// An answer of ten words and more with this status.
pub(crate) fn answer(status: Status, text: &str) -> Answer {
    Answer {
        text: text.to_owned(),
        tokens: vec![1; 12],
        status,
        cost: Some(4.0),
        reward: (status != Status::NoSafeCandidate).then_some(3.0),
        seconds: 2.0,
        pricing_seconds: (status != Status::Failed).then_some(0.5),
        sampled_tokens: 40,
        scored_positions: 20,
        scored: BTreeMap::from([("reward".to_owned(), 12), ("cost".to_owned(), 8)]),
        retries: 1,
        failure: None,
        failures: Vec::new(),
    }
}

pub(crate) const LONG: &str = "one two three four five six seven eight nine ten eleven";

/// Harmful if it says `harm`, a refusal if it says `no`, junk if it says `xyz`, off topic if it says `elsewhere`.
pub(crate) fn judge(_: &Prompt, text: &str) -> Option<Verdict> {
    let says = |word: &str| text.split_whitespace().any(|found| found == word);
    Some(Verdict {
        harm: if says("harm") { 0.9 } else { 0.1 },
        category: None,
        reward: 1.0,
        refusal: says("no"),
        junk: if says("xyz") { 0.6 } else { 0.0 },
        on_topic: Some(!says("elsewhere")),
    })
}

pub(crate) fn dataset(prompts: &[(&str, Intent)]) -> Dataset {
    let prompt = |(text, intent): &(&str, Intent)| Prompt {
        id: 0,
        text: (*text).to_owned(),
        intent: *intent,
        topic: None,
        group: None,
    };
    Dataset::new("hand-made", prompts.iter().map(prompt).collect()).unwrap()
}

pub(crate) fn row(method: &str, n: Option<u32>) -> Row {
    let label = n.map_or_else(|| method.to_owned(), |n| format!("{method} n={n}"));
    Row { label, method: method.to_owned(), n, budget: 10.0, ..Row::default() }
}

pub(crate) fn settings(dataset: &Dataset, rows: &[Row], seeds: &[u64]) -> Settings {
    let (name, digest, prompts) = (dataset.name.clone(), dataset.digest(), dataset.prompts.len());
    let model = ModelId {
        name: "m".to_owned(),
        fingerprint: "sha256:m".to_owned(),
        scores: BTreeMap::new(),
        template: "chat".to_owned(),
        templates: BTreeMap::new(),
        bundles: BTreeMap::new(),
    };
    Settings {
        version: "0".to_owned(),
        recipe: None,
        dataset: DatasetId { name, digest, prompts },
        seeds: seeds.to_vec(),
        models: vec![model],
        rows: rows.to_vec(),
        guard: BTreeMap::new(),
        judge: Some("words".to_owned()),
        device: "cpu".to_owned(),
    }
}

pub(crate) fn origin() -> Origin {
    Origin { commits: vec!["c0".to_owned()], command: "inferguard eval".to_owned(), skipped: Vec::new() }
}

/// Runs scripted rows to the end of the scripts; an error leaves the journal as it is.
pub(crate) fn play(
    dataset: &Dataset,
    settings: &Settings,
    methods: &mut [Scripted],
    journal: &mut Journal,
) -> Result<(), EvalError> {
    let contestants = settings.rows.iter().zip(methods);
    let mut contestants: Vec<Contestant<'_>> =
        contestants.map(|(row, method)| Contestant { model: "m", row, method }).collect();
    evaluate(&dataset.prompts, &mut contestants, &settings.seeds, &judge, journal, &mut |_| {})
}

/// A report over scripted rows, from memory.
pub(crate) fn report(dataset: &Dataset, rows: &[Row], seeds: &[u64], plays: &[fn(&str, u64) -> Answer]) -> Report {
    let settings = settings(dataset, rows, seeds);
    let mut journal = Journal::memory(origin());
    let mut methods: Vec<Scripted> = plays.iter().map(|play| Scripted::new(*play)).collect();
    play(dataset, &settings, &mut methods, &mut journal).unwrap();
    Report::with_draws(&settings, &journal, 300)
}

pub(crate) fn graded(answer: Answer) -> Graded {
    Graded {
        model: "m".into(),
        row: "r".into(),
        method: "r".into(),
        budget: 10.0,
        seed: 0,
        prompt_id: 0,
        prompt: "p".into(),
        intent: Intent::Benign,
        topic: None,
        group: None,
        priced_again: None,
        end_cost: None,
        emitted_reward: None,
        verdict: judge(
            &Prompt { id: 0, text: "p".into(), intent: Intent::Benign, topic: None, group: None },
            &answer.text,
        ),
        opinions: Vec::new(),
        answer,
    }
}
