//! A score model's work: short calls, prompts, slices of answers.

use crate::{
    Limits,
    calls::{ScoreJob, ScoreNow},
    health::Health,
};
use inferenceguard_model::{Cancel, ModelError, ScoreId, ScoreModel, ScoreOpening, ScoreRow, Scored};
use std::{collections::VecDeque, sync::mpsc::Sender};

/// The model, and the calls that wait for it.
pub(super) struct ScoreWork {
    /// Nothing, once it broke.
    model: Option<Box<dyn ScoreModel>>,
    health: Health,
    limits: Limits,
    now: Vec<ScoreNow>,
    calls: Calls,
}

/// Calls that take slices.
#[derive(Default)]
struct Calls {
    /// Prompts, one by one.
    prompts: VecDeque<Opening>,
    answers: VecDeque<Extending>,
    /// Whether the last slice was one of a prompt. Where both wait, they take turns.
    read: bool,
}

/// A prompt of which a part is read.
struct Opening {
    work: ScoreOpening,
    cancel: Cancel,
    answer: Sender<Result<ScoreId, ModelError>>,
}

/// Rows of one call, some of them scored.
struct Extending {
    rows: VecDeque<ScoreRow>,
    scored: Vec<Scored>,
    cancel: Cancel,
    answer: Sender<Result<Vec<Scored>, ModelError>>,
}

impl Calls {
    /// Answers the calls whose callers have cancelled.
    fn drop_cancelled(&mut self) {
        self.prompts.retain(|call| !refused(&call.cancel, &call.answer));
        self.answers.retain(|call| !refused(&call.cancel, &call.answer));
    }

    fn is_empty(&self) -> bool {
        self.prompts.is_empty() && self.answers.is_empty()
    }

    /// Whether the next slice is one of a prompt.
    fn turn(&mut self) -> bool {
        self.read = !self.prompts.is_empty() && (!self.read || self.answers.is_empty());
        self.read
    }
}

/// Whether a caller has cancelled; then it is answered.
fn refused<T>(cancel: &Cancel, answer: &Sender<Result<T, ModelError>>) -> bool {
    let is_cancelled = cancel.is_cancelled();
    if is_cancelled {
        let _ = answer.send(Err(ModelError::Cancelled));
    }
    is_cancelled
}

impl ScoreWork {
    pub(super) fn new(model: Box<dyn ScoreModel>, health: Health, limits: Limits) -> Self {
        Self { model: Some(model), health, limits, now: Vec::new(), calls: Calls::default() }
    }

    pub(super) fn health(&self) -> &Health {
        &self.health
    }

    pub(super) fn has_work(&self) -> bool {
        !(self.now.is_empty() && self.calls.is_empty())
    }

    pub(super) fn take(&mut self, job: ScoreJob) {
        if self.model.is_none() {
            return;
        }
        match job {
            ScoreJob::Now(work) => self.now.push(work),
            ScoreJob::Open { opening: work, cancel, answer } => {
                self.calls.prompts.push_back(Opening { work, cancel, answer });
            }
            ScoreJob::Extend { rows, cancel, answer } => {
                self.calls.answers.push_back(Extending { rows: rows.into(), scored: Vec::new(), cancel, answer });
            }
        }
    }

    /// Short calls, and the end of those that were cancelled.
    pub(super) fn now(&mut self) {
        self.calls.drop_cancelled();
        let work = std::mem::take(&mut self.now);
        self.run_work(|model, _| work.into_iter().for_each(|work| work(model)));
    }

    /// One slice: of a prompt, or rows of the calls that wait, as many as fit.
    pub(super) fn slice(&mut self) {
        if self.calls.turn() {
            self.read();
        } else if let Some(first) = self.calls.answers.pop_front() {
            self.extend(first);
        }
    }

    /// One slice of the first prompt. The prompts behind it wait until all of it is read.
    fn read(&mut self) {
        let (Some(mut prompt), most) = (self.calls.prompts.pop_front(), self.limits.positions.max(1)) else { return };
        self.run_work(|model, calls| match model.open_part(&mut prompt.work, most).transpose() {
            None => calls.prompts.push_front(prompt),
            Some(opened) => drop(prompt.answer.send(opened)),
        });
    }

    /// Scores rows of this call and of those behind it. Calls with rows left wait behind the others.
    fn extend(&mut self, first: Extending) {
        let mut room = self.limits.positions.max(1);
        let mut parts = vec![cut(first, &mut room, true)];
        while let Some(next) = self.calls.answers.front() {
            if next.rows.front().is_some_and(|row| row.tokens.len() > room) {
                break;
            }
            let Some(next) = self.calls.answers.pop_front() else { break };
            parts.push(cut(next, &mut room, false));
        }
        self.run_work(|model, calls| calls.answers.extend(score(model, parts)));
    }

    /// Runs work of the model; a panic breaks it, and fails all calls that wait for it.
    fn run_work(&mut self, work: impl FnOnce(&mut dyn ScoreModel, &mut Calls)) {
        let (Some(model), health) = (&mut self.model, self.health.clone()) else { return };
        let calls = &mut self.calls;
        if health.guard(|| work(model.as_mut(), calls)).is_none() {
            let model = self.model.take();
            health.guard(|| drop(model));
            self.now.clear();
            self.calls = Calls::default();
        }
    }
}

/// A call, and its rows for this slice.
type Part = (Extending, Vec<ScoreRow>);

/// Takes rows of a call as long as there is room; at least one if it is the first call of the slice.
fn cut(mut call: Extending, room: &mut usize, is_first: bool) -> Part {
    let mut rows = Vec::new();
    while let Some(row) = call.rows.front() {
        let positions = row.tokens.len();
        if positions > *room && !(is_first && rows.is_empty()) {
            break;
        }
        *room = room.saturating_sub(positions);
        rows.extend(call.rows.pop_front());
    }
    (call, rows)
}

/// Scores the rows of all parts in one call; gives the calls that have rows left. A row that cannot be scored fails for its own
/// call and no other; a failure of the model fails all calls.
fn score(model: &mut dyn ScoreModel, parts: Vec<Part>) -> Vec<Extending> {
    let rows: Vec<ScoreRow> = parts.iter().flat_map(|(_, rows)| rows.iter().cloned()).collect();
    let mut left = Vec::new();
    match model.extend(&rows).and_then(|scored| counted(scored, rows.len())) {
        Ok(scored) => {
            let mut scored = scored.into_iter();
            for (call, rows) in parts {
                let own = scored.by_ref().take(rows.len()).collect();
                left.extend(settle(call, Ok(own)));
            }
        }
        // No row has changed: each call is asked for alone.
        Err(error) if parts.len() > 1 && is_of_a_row(&error) => {
            for (call, rows) in parts {
                let own = model.extend(&rows).and_then(|scored| counted(scored, rows.len()));
                left.extend(settle(call, own));
            }
        }
        Err(error) => {
            for (call, _) in parts {
                left.extend(settle(call, Err(error.for_another())));
            }
        }
    }
    left
}

/// Whether the error is that of a row, so that no row has changed.
fn is_of_a_row(error: &ModelError) -> bool {
    use ModelError::{ContextExceeded, Tokenizer, UnknownBeam, UnknownToken, Unsupported};
    matches!(error, ContextExceeded { .. } | UnknownToken { .. } | UnknownBeam(_) | Unsupported(_) | Tokenizer(_))
}

fn counted(scored: Vec<Scored>, expected: usize) -> Result<Vec<Scored>, ModelError> {
    let found = scored.len();
    if found == expected {
        return Ok(scored);
    }
    Err(ModelError::Shape { what: "scored rows", expected: expected.to_string(), found: found.to_string() })
}

/// Answers a call that is done or failed; gives it back if it has rows left.
fn settle(mut call: Extending, scored: Result<Vec<Scored>, ModelError>) -> Option<Extending> {
    let done = match scored {
        Ok(scored) => {
            call.scored.extend(scored);
            if !call.rows.is_empty() {
                return Some(call);
            }
            Ok(call.scored)
        }
        Err(error) => Err(error),
    };
    let _ = call.answer.send(done);
    None
}
