//! Shows how far work that takes long has come: a bar on a terminal, and elsewhere a line every ten seconds.

use crate::output;
use indicatif::{ProgressBar, ProgressStyle};
use inferenceguard_catalog::{SignsOfLife, progress_line};
use std::time::Duration;

/// How long a log stays silent.
const SILENCE: Duration = Duration::from_secs(10);

#[cfg(feature = "evaluation")]
/// Runs work that takes long under a bar with this template of indicatif.
pub(crate) fn under_bar<T, E: Into<anyhow::Error>>(
    template: &str,
    work: impl FnOnce(&ProgressBar) -> Result<T, E>,
) -> anyhow::Result<T> {
    let shown = Shown::begin(template)?;
    let done = work(shown.bar());
    drop(shown);
    done.map_err(Into::into)
}

/// A bar that is shown until this is dropped.
pub(crate) struct Shown {
    bar: ProgressBar,
    /// Writes the lines where there is no terminal.
    lines: Option<SignsOfLife>,
}

impl Shown {
    /// Shows a bar with this template of indicatif.
    pub(crate) fn begin(template: &str) -> anyhow::Result<Self> {
        let bar = ProgressBar::new(0).with_style(ProgressStyle::with_template(template)?);
        let lines = (!output::is_terminal()).then(|| lines(bar.clone()));
        Ok(Self { bar, lines })
    }

    /// The bar; where there is no terminal it is hidden, and counts all the same.
    pub(crate) fn bar(&self) -> &ProgressBar {
        &self.bar
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
        drop(self.lines.take());
    }
}

fn lines(bar: ProgressBar) -> SignsOfLife {
    let line = move || output::note(progress_line(bar.position(), bar.length(), &bar.message()));
    SignsOfLife::begin(SILENCE, line)
}
