//! Checks whether records can be written. Any client may ask at any rate, so the check runs on another thread, one at a time, and a
//! good result holds for a moment.

use crate::app::App;
use inferenceguard_model::lock;
use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tokio::task::spawn_blocking;

/// How long a good result holds, unless writing a record fails meanwhile.
const FRESH: Duration = Duration::from_secs(1);

/// The last result of the check.
#[derive(Debug, Default)]
pub(crate) struct Readiness {
    /// Held during a check.
    checking: tokio::sync::Mutex<()>,
    /// When records could be written last, unless writing one has failed since.
    good: Mutex<Option<Instant>>,
}

impl Readiness {
    /// Whether a record can be written. If not, the log has the reason.
    pub(crate) async fn of_records(app: &Arc<App>) -> bool {
        let known = &app.readiness;
        if known.is_fresh() {
            return true;
        }
        let _one = known.checking.lock().await;
        if known.is_fresh() {
            return true;
        }
        let own = Arc::clone(app);
        let good = spawn_blocking(move || own.can_record()).await.unwrap_or(false);
        *lock(&known.good) = good.then(Instant::now);
        good
    }

    /// Reports that writing a record has failed.
    pub(crate) fn note_failure(&self) {
        *lock(&self.good) = None;
    }

    fn is_fresh(&self) -> bool {
        lock(&self.good).is_some_and(|at| at.elapsed() < FRESH)
    }
}

impl App {
    fn can_record(&self) -> bool {
        let Some(Err(error)) = self.records.get().map(inferenceguard_record::Journal::check) else { return true };
        tracing::error!(%error, "records cannot be written: the server is not ready");
        false
    }
}
