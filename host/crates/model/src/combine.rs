//! Calls that wait for a back end are made together: whoever finds it free does the work of all who wait.

use crate::ModelError;
use std::{
    mem,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

type Slot<T> = Arc<Mutex<Option<Result<T, ModelError>>>>;

/// One call: its rows, and where its answer goes.
pub(crate) struct Job<R, T> {
    pub(crate) rows: Vec<R>,
    slot: Slot<T>,
}

impl<R, T> Job<R, T> {
    pub(crate) fn answer(self, answer: Result<T, ModelError>) {
        *hold(&self.slot) = Some(answer);
    }
}

impl<R, T> Drop for Job<R, T> {
    /// Nobody waits for ever, whatever became of the one who did the work.
    fn drop(&mut self) {
        hold(&self.slot).get_or_insert_with(|| Err(ModelError::Backend("it panicked in this call".into())));
    }
}

struct Queue<R, T> {
    jobs: Vec<Job<R, T>>,
    /// Somebody is at work.
    busy: bool,
}

/// Who is expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Expected {
    /// How many, those included who wait.
    pub(crate) users: usize,
    /// Whether one of them is on the way for certain: then there is no hurry.
    pub(crate) busy: bool,
}

/// How long whoever is at work waits for the next of those who are expected. Less than a step of a model that is worth sharing.
const PATIENCE: Duration = Duration::from_millis(2);

/// Makes one call of many.
pub(crate) struct Combiner<R, T> {
    queue: Mutex<Queue<R, T>>,
    changed: Condvar,
    /// A job came while whoever is at work waits for it.
    arrived: Condvar,
}

impl<R, T> Default for Combiner<R, T> {
    fn default() -> Self {
        let queue = Mutex::new(Queue { jobs: Vec::new(), busy: false });
        Self { queue, changed: Condvar::new(), arrived: Condvar::new() }
    }
}

/// Whoever is at work; the next one may begin when it is dropped.
struct AtWork<'a, R, T>(&'a Combiner<R, T>);

impl<R, T> Drop for AtWork<'_, R, T> {
    fn drop(&mut self) {
        hold(&self.0.queue).busy = false;
        self.0.changed.notify_all();
    }
}

impl<R, T> Combiner<R, T> {
    /// The answer for these rows. `work` answers the jobs of all who wait; it runs on the thread of one of them, once as many
    /// wait as are expected, or patience is over.
    pub(crate) fn call(
        &self,
        rows: Vec<R>,
        expected: impl Fn() -> Expected,
        work: impl FnOnce(Vec<Job<R, T>>),
    ) -> Result<T, ModelError> {
        let slot = Slot::default();
        let mut queue = hold(&self.queue);
        queue.jobs.push(Job { rows, slot: Arc::clone(&slot) });
        self.arrived.notify_one();
        while queue.busy {
            queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
            if let Some(answer) = hold(&slot).take() {
                return answer;
            }
        }
        queue.busy = true;
        drop(queue);
        let at_work = AtWork(self);
        work(self.gathered(expected));
        drop(at_work);
        let answer = hold(&slot).take();
        answer.unwrap_or_else(|| Err(ModelError::Backend("it lost a call".into())))
    }
}

impl<R, T> Combiner<R, T> {
    /// The jobs that wait, once all who are expected wait, or patience is over.
    fn gathered(&self, expected: impl Fn() -> Expected) -> Vec<Job<R, T>> {
        let mut queue = hold(&self.queue);
        while queue.jobs.len() < expected().users {
            let waited = self.arrived.wait_timeout(queue, PATIENCE).unwrap_or_else(PoisonError::into_inner);
            queue = waited.0;
            if waited.1.timed_out() && !expected().busy {
                break;
            }
        }
        mem::take(&mut queue.jobs)
    }
}

fn hold<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The same failure for every call that was part of it.
pub(crate) fn fail_all<R, T>(jobs: Vec<Job<R, T>>, error: ModelError) {
    let (count, text) = (jobs.len(), error.to_string());
    let mut error = Some(error);
    for job in jobs {
        let own = || ModelError::Backend(format!("{text} (in a call shared by {count} requests)").into());
        job.answer(Err(error.take().unwrap_or_else(own)));
    }
}
