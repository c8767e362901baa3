//! Whether records could be written now. Anybody may ask, as often as they like: the disk is looked at on another thread, once at
//! a time, and not again for a moment after it was fine.

use crate::{app::App, locks::lock};
use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tokio::task::spawn_blocking;

/// How long a good result holds, unless a record fails meanwhile.
const FRESH: Duration = Duration::from_secs(1);

/// What is known of the disk.
#[derive(Debug, Default)]
pub(crate) struct Readiness {
    /// Held by the one who looks.
    looking: tokio::sync::Mutex<()>,
    /// When it was last found fine.
    fine: Mutex<Option<Instant>>,
}

impl Readiness {
    /// Whether a record could be written; why not is in the log.
    pub(crate) async fn of_records(app: &Arc<App>) -> bool {
        let known = &app.readiness;
        if known.is_fresh() {
            return true;
        }
        let _one = known.looking.lock().await;
        if known.is_fresh() {
            return true;
        }
        let own = Arc::clone(app);
        let fine = spawn_blocking(move || own.can_record()).await.unwrap_or(false);
        *lock(&known.fine) = fine.then(Instant::now);
        fine
    }

    /// A record could not be written.
    pub(crate) fn failed(&self) {
        *lock(&self.fine) = None;
    }

    fn is_fresh(&self) -> bool {
        lock(&self.fine).is_some_and(|at| at.elapsed() < FRESH)
    }
}

impl App {
    fn can_record(&self) -> bool {
        let Some(Err(error)) = self.records.as_ref().map(inferenceguard_record::Journal::check) else { return true };
        tracing::error!(%error, "records cannot be written: the server is not ready");
        false
    }
}
