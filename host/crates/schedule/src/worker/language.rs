//! The language model's work: short calls, steps, prompts.

use crate::{
    calls::{Answer, Job, Now},
    health::Health,
    limits::{Counters, Limits, count},
};
use inferenceguard_model::{
    Appending, BeamId, Cancel, Effort, Growing, GrownRow, Model, ModelError, Native, Phase, Reading, Turn,
};
use std::{
    collections::VecDeque,
    sync::{Arc, mpsc::Sender},
    time::{Duration, Instant},
};

/// The model, and the calls that wait for it.
pub(super) struct LanguageWork {
    /// Nothing, once it broke.
    native: Option<Native>,
    health: Health,
    calls: Calls,
}

/// The calls that wait.
struct Calls {
    limits: Limits,
    counters: Arc<Counters>,
    now: Vec<Now>,
    prompts: VecDeque<Waiting<Reading, BeamId>>,
    steps: VecDeque<Stepping>,
}

/// A call on its way.
struct Waiting<W, T> {
    work: W,
    cancel: Cancel,
    answer: Sender<Answer<T>>,
    effort: Effort,
}

impl<W, T> Waiting<W, T> {
    fn new(work: W, cancel: Cancel, answer: Sender<Answer<T>>) -> Self {
        Self { work, cancel, answer, effort: Effort::default() }
    }
}

type Grow = Waiting<Growing, Vec<GrownRow>>;
type Append = Waiting<Appending, ()>;

/// A call that takes part in steps.
#[expect(clippy::large_enum_variant, reason = "few calls wait at once, and nearly all of them grow")]
enum Stepping {
    Grow(Grow),
    Append(Append),
}

impl Stepping {
    fn rows(&self) -> usize {
        match self {
            Self::Grow(grow) => grow.work.live(),
            Self::Append(append) => append.work.rows(),
        }
    }

    fn is_cancelled(&self) -> bool {
        match self {
            Self::Grow(grow) => grow.cancel.is_cancelled(),
            Self::Append(append) => append.cancel.is_cancelled(),
        }
    }
}

impl LanguageWork {
    pub(super) fn new(model: Box<dyn Model>, health: Health, limits: Limits, counters: Arc<Counters>) -> Self {
        let native = health.guard(|| Native::new(model));
        let (now, prompts, steps) = (Vec::new(), VecDeque::new(), VecDeque::new());
        Self { native, health, calls: Calls { limits, counters, now, prompts, steps } }
    }

    pub(super) fn health(&self) -> &Health {
        &self.health
    }

    pub(super) fn has_work(&self) -> bool {
        let Calls { now, prompts, steps, .. } = &self.calls;
        !(now.is_empty() && prompts.is_empty() && steps.is_empty())
    }

    /// Queues a call. If no model could answer it, it is refused here, and fails for nobody else.
    pub(super) fn take(&mut self, job: Job) {
        let (Some(native), calls) = (&self.native, &mut self.calls) else { return };
        match job {
            Job::Now(work) => calls.now.push(work),
            Job::Open { prompt, tenant, cancel, answer } => match native.begin_prompt(&prompt) {
                Ok(reading) => {
                    let reading = Reading { tenant, ..reading };
                    calls.prompts.push_back(Waiting::new(reading, cancel, answer));
                }
                Err(error) => refuse(&answer, error),
            },
            Job::Append { rows, cancel, answer } => match native.begin_append(rows) {
                Ok(appending) => calls.steps.push_back(Stepping::Append(Waiting::new(appending, cancel, answer))),
                Err(error) => refuse(&answer, error),
            },
            Job::Grow { growth, rows, cancel, answer } => match native.begin(growth, rows) {
                Ok(growing) => calls.steps.push_back(Stepping::Grow(Waiting::new(growing, cancel, answer))),
                Err(error) => refuse(&answer, error),
            },
            Job::Score(..) => {}
        }
    }

    /// Short calls, one step for the rows of all calls, one slice of one prompt. A panic breaks the model: it is dropped, and so
    /// are all calls that wait for it, which fails them.
    pub(super) fn round(&mut self) {
        let (Some(native), calls) = (&mut self.native, &mut self.calls) else { return };
        if self.health.guard(|| calls.compute(native)).is_none() {
            let native = self.native.take();
            self.health.guard(|| drop(native));
            self.calls.now.clear();
            self.calls.prompts.clear();
            self.calls.steps.clear();
        }
    }
}

impl Calls {
    fn compute(&mut self, native: &mut Native) {
        for work in std::mem::take(&mut self.now) {
            work(native);
        }
        self.drop_cancelled(native);
        self.step(native);
        self.read(native);
    }

    fn drop_cancelled(&mut self, native: &mut Native) {
        let (cancelled, left) = std::mem::take(&mut self.steps).into_iter().partition(Stepping::is_cancelled);
        self.steps = left;
        for call in Vec::from(cancelled) {
            answer(native, call);
        }
        self.prompts.retain(|prompt| {
            let cancelled = prompt.cancel.is_cancelled();
            if cancelled {
                refuse(&prompt.answer, ModelError::Cancelled);
            }
            !cancelled
        });
    }

    /// One step for as many rows as a step may have. Calls that do not fit come first in the next one.
    fn step(&mut self, native: &mut Native) {
        let (mut grows, mut appends) = self.chosen();
        if grows.is_empty() && appends.is_empty() {
            return;
        }
        count(&self.counters.turns, 1);
        count(&self.counters.rows, grows.iter().map(|(_, most)| most).sum());
        count(&self.counters.rows, appends.iter().map(|append| append.work.rows()).sum());
        let (model, sampling) = advance(native, &mut grows, &mut appends);
        for (mut grow, _) in grows {
            grow.effort += grow.work.take_effort();
            grow.effort += Effort { model, sampling, ..Effort::default() };
            self.after(native, Stepping::Grow(grow));
        }
        for mut append in appends {
            append.effort += Effort { steps: 1, positions: append.work.rows() as u64, model, ..Effort::default() };
            self.after(native, Stepping::Append(append));
        }
    }

    /// The calls of the next step, and how many rows of each.
    fn chosen(&mut self) -> (Vec<(Grow, usize)>, Vec<Append>) {
        let (mut room, mut grows, mut appends) = (self.limits.rows.max(1), Vec::new(), Vec::new());
        while let Some(call) = self.steps.pop_front() {
            let (rows, first) = (call.rows(), grows.is_empty() && appends.is_empty());
            match call {
                Stepping::Grow(grow) if room > 0 || rows == 0 => {
                    let most = rows.min(room);
                    room -= most;
                    grows.push((grow, most));
                }
                Stepping::Append(append) if rows <= room || first => {
                    room = room.saturating_sub(rows);
                    appends.push(append);
                }
                left => {
                    self.steps.push_front(left);
                    break;
                }
            }
        }
        (grows, appends)
    }

    /// A call after its turn: it is answered, or waits for the next one behind the others.
    fn after(&mut self, native: &mut Native, call: Stepping) {
        match call {
            Stepping::Grow(grow) if grow.work.live() > 0 => self.steps.push_back(Stepping::Grow(grow)),
            call => answer(native, call),
        }
    }

    /// One slice of the first prompt. The others wait until all of it is read: each is answered as early as it can be, and finds
    /// what the model keeps of the prompts before it.
    fn read(&mut self, native: &mut Native) {
        let Some(mut prompt) = self.prompts.pop_front() else { return };
        count(&self.counters.prompt_slices, 1);
        let start = Instant::now();
        let read = native.read_prompt(&mut prompt.work, self.limits.positions.max(1));
        prompt.effort += Effort { model: start.elapsed(), ..Effort::default() };
        match read.transpose() {
            None => self.prompts.push_front(prompt),
            Some(read) => {
                count(&self.counters.reused_positions, prompt.work.reused);
                drop(prompt.answer.send((read, prompt.effort)));
            }
        }
    }
}

/// One turn of all these calls; the time of the model, and of drawing tokens.
fn advance(native: &mut Native, grows: &mut [(Grow, usize)], appends: &mut [Append]) -> (Duration, Duration) {
    let (mut mark, mut model, mut sampling) = (Instant::now(), Duration::ZERO, Duration::ZERO);
    let mut turns: Vec<Turn<'_>> =
        grows.iter_mut().map(|(grow, most)| Turn { growing: &mut grow.work, most: *most }).collect();
    let mut appending: Vec<&mut Appending> = appends.iter_mut().map(|append| &mut append.work).collect();
    native.advance(&mut turns, &mut appending, &mut |phase| {
        let took = mark.elapsed();
        mark += took;
        *(if phase == Phase::Model { &mut model } else { &mut sampling }) += took;
    });
    (model, sampling)
}

fn refuse<T>(answer: &Sender<Answer<T>>, error: ModelError) {
    let _ = answer.send((Err(error), Effort::default()));
}

/// Answers a call that has ended or was cancelled.
fn answer(native: &mut Native, call: Stepping) {
    match call {
        Stepping::Grow(grow) => drop(grow.answer.send((native.finish(grow.work), grow.effort))),
        Stepping::Append(append) => drop(append.answer.send((append.work.outcome(), append.effort))),
    }
}
