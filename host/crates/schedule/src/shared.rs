//! What the clones, back ends and handles of a scheduler share.

use crate::{
    calls::Job,
    language::Language,
    limits::{Counters, Counts},
    score::Score,
};
use inferenceguard_model::lock;
use std::{
    sync::{Arc, Mutex, mpsc::SyncSender},
    thread::JoinHandle,
};

/// What everybody who uses the thread shares.
pub(crate) struct Shared {
    /// Nothing, once the thread has to end.
    jobs: Option<SyncSender<Job>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    counters: Arc<Counters>,
    pub(crate) language: Option<Language>,
    pub(crate) scores: Vec<Score>,
}

impl Shared {
    pub(crate) fn new(
        jobs: SyncSender<Job>,
        counters: Arc<Counters>,
        language: Option<Language>,
        scores: Vec<Score>,
    ) -> Self {
        Self { jobs: Some(jobs), thread: Mutex::new(None), counters, language, scores }
    }

    /// The thread to wait for at the end.
    pub(crate) fn keep_thread(&self, thread: JoinHandle<()>) {
        *lock(&self.thread) = Some(thread);
    }

    /// What the thread did so far.
    pub(crate) fn counts(&self) -> Counts {
        self.counters.now()
    }

    /// Puts a job into the queue, once there is room. It is dropped where the thread has ended.
    pub(crate) fn send(&self, job: Job) {
        if let Some(jobs) = &self.jobs {
            let _ = jobs.send(job);
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.jobs = None;
        let thread = lock(&self.thread).take();
        if let Some(thread) = thread {
            let _ = thread.join();
        }
    }
}
