//! Shows how far work that takes long has come: a bar on a terminal, and elsewhere a line every ten seconds.

use crate::output;
use indicatif::{ProgressBar, ProgressStyle};
use inferenceguard_catalog::SignsOfLife;
use std::time::Duration;

/// How long a log stays silent.
const SILENCE: Duration = Duration::from_secs(10);

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
    SignsOfLife::begin(SILENCE, move || output::note(line(&bar)))
}

/// The bar as a line of text.
fn line(bar: &ProgressBar) -> String {
    let of = bar.length().filter(|length| *length > 0).map(|length| format!(" of {length}")).unwrap_or_default();
    format!("... {}{of} {}", bar.position(), bar.message()).trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_far_the_work_is_and_what_it_is() {
        let bar = ProgressBar::hidden();
        bar.inc(3);
        assert_eq!(line(&bar), "... 3");
        bar.set_length(8);
        bar.set_message("answers");
        assert_eq!(line(&bar), "... 3 of 8 answers");
    }
}
