//! The active bundle, and how it changes.

use crate::{error::ApiError, metrics::Metrics};
use axum::http::StatusCode;
use inferenceguard_bundle::Bundle;
use inferenceguard_host::{Engine, Generation};
use serde::{Deserialize, Serialize};
use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Instant, SystemTime, UNIX_EPOCH},
};

/// Opens a bundle of the server's machine; the error is one sentence for the administrator.
pub type Opener = dyn Fn(&Path) -> Result<Bundle, String> + Send + Sync;

/// How many activations are remembered.
const HISTORY: usize = 100;

/// What an administrator puts in place.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub(crate) enum Next {
    /// A bundle on the server's machine.
    Path(PathBuf),
    /// Another manifest over the files of the active bundle: other budgets, settings or limits.
    Manifest(String),
}

/// One attempt to activate a bundle.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Swap {
    /// Seconds since 1970.
    pub(crate) at: u64,
    /// How long it took, compilation included.
    pub(crate) seconds: f64,
    pub(crate) generation: Option<Generation>,
    pub(crate) error: Option<String>,
}

pub(crate) struct Bundles {
    engine: Arc<Engine>,
    opener: Box<Opener>,
    active: Mutex<Bundle>,
    history: Mutex<VecDeque<Swap>>,
}

impl Bundles {
    pub(crate) fn new(engine: Arc<Engine>, active: Bundle, opener: Box<Opener>) -> Self {
        Self { engine, opener, active: Mutex::new(active), history: Mutex::default() }
    }

    /// Puts a bundle in place; blocks while it is compiled and checked. The old one stays if anything is wrong.
    pub(crate) fn activate(&self, next: &Next, metrics: &Metrics) -> Result<Generation, ApiError> {
        let start = Instant::now();
        // One at a time: a manifest is laid over the files of what is active by then.
        let mut active = lock(&self.active);
        let made = self.open(next, &active).and_then(|bundle| {
            let generation = self.engine.activate(&bundle).map_err(|error| error.to_string())?;
            Ok((bundle, generation))
        });
        let (outcome, error) = match made {
            Ok((bundle, generation)) => {
                *active = bundle;
                (Some(generation), None)
            }
            Err(message) => (None, Some(message)),
        };
        drop(active);
        metrics.swapped(error.is_none(), start.elapsed(), outcome.as_ref());
        self.remember(Swap {
            at: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs()),
            seconds: start.elapsed().as_secs_f64(),
            generation: outcome.clone(),
            error: error.clone(),
        });
        outcome.ok_or_else(|| {
            let message = format!("the bundle was not activated; the old one stays: {}", error.unwrap_or_default());
            ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "bundle_refused", message)
        })
    }

    fn open(&self, next: &Next, active: &Bundle) -> Result<Bundle, String> {
        match next {
            Next::Path(path) => (self.opener)(path),
            Next::Manifest(text) => Bundle::from_parts(text, active.files()).map_err(|error| error.to_string()),
        }
    }

    fn remember(&self, swap: Swap) {
        let mut history = lock(&self.history);
        history.push_front(swap);
        history.truncate(HISTORY);
    }

    /// The newest first.
    pub(crate) fn history(&self) -> Vec<Swap> {
        lock(&self.history).iter().cloned().collect()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
