//! A recorded baseline: figures that a later evaluation must not fall below.

use crate::{Better, DatasetId, EvalError, Measure, Part, Report, Settings, journal::write_whole};
use serde::{Deserialize, Serialize};
use std::{fmt, fs, path::Path};

/// The recorded figures, and which direction is better. Times are left out: they depend on the machine.
const RECORDED: [(Part, &str, Better); 10] = [
    (Part::All, "good", Better::Higher),
    (Part::All, "safe", Better::Higher),
    (Part::All, "within_budget", Better::Higher),
    (Part::All, "judged_safe", Better::Higher),
    (Part::All, "hidden_harm", Better::Lower),
    (Part::All, "short", Better::Lower),
    (Part::All, "failed", Better::Lower),
    (Part::All, "reward", Better::Higher),
    (Part::All, "scored_positions", Better::Lower),
    (Part::Benign, "refused_by_host", Better::Lower),
];

/// Figures of an earlier evaluation of the same prompts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    /// The prompts.
    pub dataset: DatasetId,
    /// The seeds.
    pub seeds: Vec<u64>,
    /// The figures.
    entries: Vec<Entry>,
}

/// One recorded figure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Entry {
    model: String,
    row: String,
    part: Part,
    figure: String,
    better: Better,
    mean: f64,
    low: f64,
    high: f64,
}

/// A figure that left its recorded interval, or that is missing.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Whether it is worse; then the comparison fails.
    pub worse: bool,
    /// The figure, its old value, and its new value.
    pub what: String,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", if self.worse { "worse" } else { "better" }, self.what)
    }
}

impl Baseline {
    /// The baseline of a report.
    #[must_use]
    pub fn of(report: &Report) -> Self {
        let mut entries = Vec::new();
        for figures in &report.figures {
            for (part, figure, better) in RECORDED {
                if let Some(&Measure { mean, low, high, .. }) = figures.get(part, figure) {
                    let (model, row, figure) = (figures.model.clone(), figures.row.clone(), figure.to_owned());
                    entries.push(Entry { model, row, part, figure, better, mean, low, high });
                }
            }
        }
        Self { dataset: report.settings.dataset.clone(), seeds: report.settings.seeds.clone(), entries }
    }

    /// Reads a recorded baseline.
    ///
    /// # Errors
    /// [`EvalError::Read`], or [`EvalError::Baseline`] for a file that is not a baseline.
    pub fn read(path: &Path) -> Result<Self, EvalError> {
        let text = fs::read_to_string(path).map_err(|source| EvalError::Read { path: path.to_owned(), source })?;
        let wrong = |error: String| EvalError::Baseline {
            path: path.to_owned(),
            problem: format!("it is no recorded baseline: {error}; write one with --update"),
        };
        let baseline: Self = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        // Nothing would be worse than that.
        if baseline.entries.is_empty() { Err(wrong("it holds no figures".to_owned())) } else { Ok(baseline) }
    }

    /// Writes the baseline.
    ///
    /// # Errors
    /// [`EvalError::Write`].
    pub fn write(&self, path: &Path) -> Result<(), EvalError> {
        let mut bytes = serde_json::to_vec_pretty(self)?;
        bytes.push(b'\n');
        write_whole(path, &bytes)
    }

    /// Checks that it was recorded for these prompts and seeds. `path` is for error messages.
    ///
    /// # Errors
    /// [`EvalError::Baseline`] if not.
    pub fn fits(&self, settings: &Settings, path: &Path) -> Result<(), EvalError> {
        let (dataset, seeds) = (&settings.dataset, &settings.seeds);
        if (dataset, seeds) == (&self.dataset, &self.seeds) {
            return Ok(());
        }
        let problem = format!(
            "it was recorded for {} prompts of {} with seeds {:?}, this is for {} of {} with {seeds:?}; give the same, or \
             record again with --update",
            self.dataset.prompts, self.dataset.name, self.seeds, dataset.prompts, dataset.name
        );
        Err(EvalError::Baseline { path: path.to_owned(), problem })
    }

    /// The figures that left their recorded intervals. `path` is for error messages.
    ///
    /// # Errors
    /// As [`Baseline::fits`].
    pub fn compare(&self, report: &Report, path: &Path) -> Result<Vec<Change>, EvalError> {
        self.fits(&report.settings, path)?;
        let now = Self::of(report);
        Ok(self.entries.iter().filter_map(|entry| entry.change(&now.entries)).collect())
    }
}

impl Entry {
    fn change(&self, now: &[Self]) -> Option<Change> {
        let key = |entry: &Self| (entry.model.clone(), entry.row.clone(), entry.part, entry.figure.clone());
        let what = format!("{} of {} ({}, {})", self.figure, self.row, self.model, self.part.name());
        let was = format!("it was {:.4} [{:.4}, {:.4}]", self.mean, self.low, self.high);
        let Some(new) = now.iter().find(|entry| key(entry) == key(self)) else {
            return Some(Change { worse: true, what: format!("{what} is not measured any more, {was}") });
        };
        let (above, below) = (new.mean > self.high, new.mean < self.low);
        let worse = match self.better {
            Better::Higher if above || below => below,
            Better::Lower if above || below => above,
            // NaN is never in order.
            _ if new.mean.is_nan() => true,
            _ => return None,
        };
        Some(Change { worse, what: format!("{what} is {:.4}, {was}", new.mean) })
    }
}
