//! Models that write down their calls, wait at a gate, and panic; and the calls of a request.
#![allow(dead_code, reason = "each test uses its part")]

use inferenceguard_model::{
    BackEnd, BeamId, Caller, Generator, GrowRow, GrowingText, GrownRow, Growth, Model, ModelError, Pick, Reading, Rows,
    SampleRequest, ScoreId, ScoreModel, ScoreOpening, ScoreRow, Scored, Token,
    toy::{ToyModel, ToyScore, ToyScript},
};
use inferenceguard_schedule::{Limits, Scheduler};
use inferenceguard_testkit::{
    hooked::{Hooked, Hooks},
    hooked_score::{HookedScore, ScoreHooks},
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Condvar, Mutex},
};

pub(crate) const SCRIPT: &str = "
vocab: <eos>* a b c d
context: 400
after : a 3, b 2, c 2, d 1
after a : b 3, c 1, d 1
after b : a 1, c 2, d 3
after c : a 5, b 1, d 1
after d c : a 1, b 1
score cost cumulative: b 1, c 2
score judge: d 1, a b 3
";

pub(crate) fn script() -> ToyScript {
    ToyScript::parse(SCRIPT).expect("the script is fine")
}

/// What a model was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// A step of these beams.
    Step(Vec<BeamId>),
    /// A slice of the prompt that ends with this token.
    Prompt(Option<Token>),
    /// A slice of the prompt of a score model, and the words of that prompt.
    Opening(usize),
    /// A slice of scores: its positions, and its first row.
    Score(usize, ScoreId),
}

/// Where steps wait, and what was asked so far.
#[derive(Default)]
pub(crate) struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    events: Vec<Event>,
    /// Steps that may go on.
    allowed: usize,
    /// Steps that came to the gate.
    entered: usize,
}

impl Gate {
    pub(crate) fn open() -> Arc<Self> {
        let gate = Self::default();
        gate.allow(usize::MAX / 2);
        Arc::new(gate)
    }

    pub(crate) fn closed() -> Arc<Self> {
        Arc::default()
    }

    /// Lets this many steps more go on.
    pub(crate) fn allow(&self, steps: usize) {
        self.state.lock().expect("no panic here").allowed += steps;
        self.changed.notify_all();
    }

    /// Waits until this many steps have come to the gate.
    pub(crate) fn wait_entered(&self, steps: usize) {
        let mut state = self.state.lock().expect("no panic here");
        while state.entered < steps {
            state = self.changed.wait(state).expect("no panic here");
        }
    }

    pub(crate) fn events(&self) -> Vec<Event> {
        self.state.lock().expect("no panic here").events.clone()
    }

    pub(crate) fn steps(&self) -> usize {
        self.events().iter().filter(|event| matches!(event, Event::Step(_))).count()
    }

    fn add(&self, event: Event) {
        self.state.lock().expect("no panic here").events.push(event);
    }

    fn pass(&self) {
        let mut state = self.state.lock().expect("no panic here");
        state.entered += 1;
        self.changed.notify_all();
        while state.allowed == 0 {
            state = self.changed.wait(state).expect("no panic here");
        }
        state.allowed -= 1;
    }
}

/// Time for callers to put their calls into the queue while the thread waits at the gate. If it were too short, the overlap
/// that each test asserts would be missing.
pub(crate) fn let_callers_come() {
    std::thread::sleep(std::time::Duration::from_millis(200));
}

/// The step, from 1, at which the model goes wrong; 0 for none.
#[derive(Clone, Copy, Default)]
pub(crate) struct Wrong {
    pub(crate) panics_at: usize,
    pub(crate) fails_at: usize,
}

/// Lets a toy wait at a gate, and go wrong at a step.
pub(crate) struct Gated {
    pub(crate) gate: Arc<Gate>,
    pub(crate) wrong: Wrong,
}

impl Hooks for Gated {
    fn prefill_part(
        &mut self,
        model: &mut ToyModel,
        reading: &mut Reading,
        most: usize,
    ) -> Result<Option<(BeamId, Rows)>, ModelError> {
        self.gate.add(Event::Prompt(reading.prompt.last().copied()));
        model.prefill_part(reading, most)
    }
    fn step(&mut self, model: &mut ToyModel, rows: &[(BeamId, Token)]) -> Result<Rows, ModelError> {
        self.gate.pass();
        self.gate.add(Event::Step(rows.iter().map(|(beam, _)| *beam).collect()));
        let Wrong { panics_at, fails_at } = self.wrong;
        assert!(self.gate.steps() != panics_at, "a bug in the model");
        if self.gate.steps() == fails_at {
            return Err(ModelError::Backend("the device is gone".into()));
        }
        model.step(rows)
    }
}

/// Writes down the slices of a score model, and may panic at one.
struct WatchedScore {
    gate: Arc<Gate>,
    panics: bool,
}

impl ScoreHooks for WatchedScore {
    fn open_part(
        &mut self,
        score: &mut ToyScore,
        opening: &mut ScoreOpening,
        most: usize,
    ) -> Result<Option<ScoreId>, ModelError> {
        let words = opening.messages.iter().flat_map(|message| message.content.split(' ')).count();
        self.gate.add(Event::Opening(words));
        let before = opening.kept.take().and_then(|kept| kept.downcast::<usize>().ok()).map_or(0, |read| *read);
        if before + most >= words {
            return score.open_chat(&opening.messages, Arc::clone(&opening.language)).map(Some);
        }
        opening.kept = Some(Box::new(before + most));
        Ok(None)
    }
    fn extend(&mut self, score: &mut ToyScore, rows: &[ScoreRow]) -> Result<Vec<Scored>, ModelError> {
        assert!(!self.panics, "a bug in the score model");
        let positions = rows.iter().map(|row| row.tokens.len()).sum();
        rows.first().into_iter().for_each(|row| self.gate.add(Event::Score(positions, row.id)));
        score.extend(rows)
    }
}

/// A scheduler of the toy and its score models; `judge` panics where asked, and the language model goes wrong so.
pub(crate) fn scheduler(gate: &Arc<Gate>, limits: Limits, wrong: Wrong, judge_panics: bool) -> Scheduler {
    let model = Hooked::new(script().model(), Gated { gate: Arc::clone(gate), wrong });
    let scores = ["cost", "judge"].map(|name| {
        let hooks = WatchedScore { gate: Arc::clone(gate), panics: judge_panics && name == "judge" };
        let score = HookedScore::new(script().score(name).expect("in the script"), hooks);
        (name.to_owned(), Box::new(score) as Box<dyn ScoreModel>)
    });
    Scheduler::start(Some(Box::new(model)), BTreeMap::from(scores), limits).expect("a thread")
}

pub(crate) fn open_scheduler(limits: Limits) -> Scheduler {
    scheduler(&Gate::open(), limits, Wrong::default(), false)
}

pub(crate) fn back_end(scheduler: &Scheduler) -> Arc<dyn BackEnd> {
    scheduler.back_end().expect("a language model")
}

pub(crate) fn handle(scheduler: &Scheduler) -> Box<dyn Generator> {
    back_end(scheduler).handle(&Caller::default())
}

pub(crate) fn growth(max_tokens: u32) -> Growth {
    let sampling = SampleRequest::plain(Pick::Rank(0));
    Growth { max_tokens, sampling, penalties: Vec::new(), end: vec![0], stop: Vec::new() }
}

/// Rows with draws of their own.
pub(crate) fn rows(parent: BeamId, count: u64, tokens: u32, variant: u64) -> Vec<GrowRow> {
    let draw = |row: u64, offset: u64| ((variant * 53 + row * 37 + offset * 61 + 17) % 101) as f64 / 101.0;
    let row = |row| {
        let picks = (0..u64::from(tokens)).map(|offset| Pick::Draw(draw(row, offset))).collect();
        GrowRow { parent, picks, seed: row, repeated: Vec::new(), text: GrowingText::default() }
    };
    (0..count).map(row).collect()
}

/// What rows became, without the names of beams; numbers to the last bit.
pub(crate) fn words(grown: &[GrownRow]) -> String {
    let word = |row: &GrownRow| match row {
        Ok((_, grown)) => {
            let bits: Vec<u32> = grown.logprobs.iter().map(|logprob| logprob.to_bits()).collect();
            format!("{:?} {bits:?}", grown.tokens)
        }
        Err(error) => match error {
            ModelError::UnknownBeam(_) => "unknown".to_owned(),
            error => error.to_string(),
        },
    };
    grown.iter().map(word).collect::<Vec<_>>().join("; ")
}

/// A request: two chunks of rows from a prompt, given tokens, a fork, and log-probabilities. All that it saw.
pub(crate) fn request(handle: &mut dyn Generator, variant: u64) -> Result<Vec<String>, ModelError> {
    let prompt: Vec<Token> = (0..4 + variant % 7).map(|i| 1 + ((variant + i * i) % 4) as Token).collect();
    let root = handle.open(&prompt)?;
    let first = handle.grow(&growth(9), rows(root, 4, 9, variant))?;
    let mut seen = vec![words(&first)];
    let kept: Vec<(BeamId, Token)> =
        first.iter().flatten().filter_map(|(beam, grown)| Some((*beam, *grown.tokens.last()?))).take(2).collect();
    handle.append(&kept)?;
    let fork = handle.fork(&[kept[0].0])?[0];
    let second = [rows(fork, 3, 7, variant + 1), rows(kept[1].0, 2, 7, variant + 2)].concat();
    let second = handle.grow(&growth(7), second)?;
    seen.push(words(&second));
    let read: Vec<u32> = handle.logprobs(&[(fork, 1), (fork, 2), (root, 3)])?.iter().map(|l| l.to_bits()).collect();
    seen.push(format!("{read:?}"));
    handle.release(&[root]);
    Ok(seen)
}
