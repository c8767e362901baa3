//! The conformance suite on the toy back end, and on back ends that break one promise each.

use inferenceguard_model::{
    BeamId, Model, ModelError, ModelInfo, Rows, ScoreModel, Token, Tokenizer,
    conformance::{ConformanceError, LanguageOptions, ScoreOptions, language, score},
    toy::{ToyModel, ToyScript},
};
use std::sync::Arc;

const SCRIPT: &str = "
vocab: <eos>* <user> good bad neutral ba +d +ge badger
context: 40
after : good 3, bad 2, neutral 1
after bad : bad 1, <eos> 1
after good bad : neutral 1
after bad good : good 1
after neutral ba : +d 2
score reward: good 1, bad 3, good bad -7
score cost cumulative: bad 5, good -1
score judge withheld: bad 5, badger 9, good 1
score judge-sum withheld cumulative: bad 5, badger 9, good 1
";

fn script() -> ToyScript {
    ToyScript::parse(SCRIPT).expect("the script is fine")
}

fn exact() -> LanguageOptions {
    LanguageOptions { tolerance: 0.0, ..LanguageOptions::default() }
}

fn score_options() -> ScoreOptions {
    let tokenizer = script().tokenizer();
    let ids = |words: &str| words.split(' ').map(|w| tokenizer.id(w).expect("a known word")).collect();
    let answers = ["good ba +d good bad <eos>", "ba +d +ge neutral good", "bad bad ba +d +ge <eos>"].map(ids).into();
    ScoreOptions { tolerance: 0.0, ..ScoreOptions::new(tokenizer, ["good".into(), "bad neutral".into()], answers) }
}

#[test]
fn the_toy_model_conforms() {
    language(|| Box::new(script().model()), &exact()).expect("every promise is kept");
}

#[test]
fn the_toy_scores_conform() {
    for name in ["reward", "cost", "judge", "judge-sum"] {
        let make = || -> Box<dyn ScoreModel> { Box::new(script().score(name).expect("in the script")) };
        score(make, &score_options()).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

#[test]
fn options_that_check_nothing_are_refused() {
    let tiny = || -> Box<dyn Model> { Box::new(ToyScript::parse("vocab: <e>* a\nafter : a 1").expect("fine").model()) };
    assert!(matches!(language(tiny, &exact()), Err(ConformanceError::Options(_))));
    let few = ScoreOptions { answers: vec![vec![2; 5]], ..score_options() };
    let make = || -> Box<dyn ScoreModel> { Box::new(script().score("cost").expect("in the script")) };
    assert!(matches!(score(make, &few), Err(ConformanceError::Options(_))));
}

/// A promise to break.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    /// Forked beams are the parent itself.
    SharedFork,
    /// Steps of several rows answer in the order of the beams' ids.
    SortedRows,
    /// A row's latent depends on the size of the batch.
    BatchDependent,
    /// Nothing is ever freed.
    Leak,
    /// A failing step still moves the beams it does not name.
    FailingStepMoves,
    /// The end tokens are not special.
    PlainEos,
    /// Picks of gather are off by one table.
    WrongGather,
}

struct Broken {
    inner: ToyModel,
    info: ModelInfo,
    fault: Fault,
    beams: Vec<BeamId>,
}

impl Broken {
    fn new(fault: Fault) -> Self {
        let inner = script().model();
        let mut info = inner.info().clone();
        if fault == Fault::PlainEos {
            info.special.clear();
        }
        Self { inner, info, fault, beams: Vec::new() }
    }
}

impl Model for Broken {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn tokenizer(&self) -> Arc<dyn Tokenizer> {
        self.inner.tokenizer()
    }

    fn encode_prompt(&self, prompt: &str) -> Result<Vec<Token>, ModelError> {
        self.inner.encode_prompt(prompt)
    }

    fn prefill(&mut self, prompt: &[Token]) -> Result<(BeamId, Rows), ModelError> {
        let made = self.inner.prefill(prompt)?;
        self.beams.push(made.0);
        Ok(made)
    }

    fn fork(&mut self, parents: &[BeamId]) -> Result<Vec<BeamId>, ModelError> {
        if self.fault == Fault::SharedFork { Ok(parents.to_vec()) } else { self.inner.fork(parents) }
    }

    fn step(&mut self, rows: &[(BeamId, Token)]) -> Result<Rows, ModelError> {
        let mut rows = rows.to_vec();
        if self.fault == Fault::SortedRows {
            rows.sort_unstable();
        }
        let latents = self.inner.step(&rows);
        if latents.is_err() && self.fault == Fault::FailingStepMoves {
            self.inner.step(&[(self.beams[0], 2)])?;
        }
        let latents = latents?;
        if self.fault != Fault::BatchDependent || rows.len() < 3 {
            return Ok(latents);
        }
        let values = latents.to_host()?.iter().map(|l| l * 1.01).collect();
        Rows::host(latents.len(), latents.width(), values)
    }

    fn project(&mut self, latents: &Rows) -> Result<Rows, ModelError> {
        self.inner.project(latents)
    }

    fn gather(&mut self, tables: &[&Rows], picks: &[(usize, usize)]) -> Result<Rows, ModelError> {
        if self.fault != Fault::WrongGather {
            return self.inner.gather(tables, picks);
        }
        let picks: Vec<_> = picks.iter().map(|(table, row)| (*table, row.saturating_sub(1))).collect();
        self.inner.gather(tables, &picks)
    }

    fn release(&mut self, beams: &[BeamId]) {
        if self.fault != Fault::Leak {
            self.inner.release(beams);
        }
    }

    fn live_beams(&self) -> usize {
        self.inner.live_beams()
    }
}

#[test]
fn every_broken_promise_is_found() {
    let faults = [
        (Fault::SharedFork, "latents and logits are finite and in shape"),
        (Fault::SortedRows, "the order of rows does not matter"),
        (Fault::BatchDependent, "a batch equals one by one"),
        (Fault::Leak, "release frees, once, and nothing else"),
        (Fault::FailingStepMoves, "unknown beams and tokens are refused, others stay intact"),
        (Fault::PlainEos, "the description is consistent"),
        (Fault::WrongGather, "gather picks rows"),
    ];
    for (fault, expected) in faults {
        let error = language(|| Box::new(Broken::new(fault)), &LanguageOptions::default());
        let Err(ConformanceError::Broken { check, .. } | ConformanceError::Call { check, .. }) = error else {
            panic!("{fault:?} was not found: {error:?}");
        };
        assert_eq!(check, expected, "{fault:?}: {error:?}");
    }
}
