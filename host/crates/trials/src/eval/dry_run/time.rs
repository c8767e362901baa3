//! How long an evaluation would take, from what was measured on the same machine and model: by `inferguard bench --json`, or by an
//! earlier evaluation of a few prompts.

use super::{PromptsAhead, RowAhead};
use crate::{
    TrialError,
    eval::{EvalOptions, contestants::ALWAYS_REFUSE, under_test::last},
};
use inferenceguard_eval::Settings;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{fs, path::Path};

/// What a bench printed. Other keys are not needed here.
#[derive(Deserialize)]
struct Bench {
    /// The folder or id of its model.
    model: Option<String>,
    /// Tokens of each answer.
    depth: u32,
    rows: Vec<Measured>,
}

/// The report.json of an evaluation. Other keys are not needed here.
#[derive(Deserialize)]
struct Earlier {
    settings: Settings,
    /// One entry per model and row; of each their names and the seconds are read.
    figures: Vec<Value>,
}

/// A file of measurements.
#[derive(Deserialize)]
#[serde(untagged)]
enum Measurements {
    Bench(Bench),
    Report(Box<Earlier>),
}

impl Measurements {
    fn rows(self) -> Bench {
        match self {
            Self::Bench(bench) => bench,
            Self::Report(earlier) => earlier.rows(),
        }
    }
}

impl Earlier {
    /// Its rows as a bench has them. An answer that ended early counts as one of the most tokens.
    fn rows(&self) -> Bench {
        let tokens = self.settings.guard.get("max_tokens").and_then(Value::as_u64);
        let measured = |figures: &Value| {
            let label = figures["row"].as_str()?;
            let row = self.settings.rows.iter().find(|row| row.label == label && row.method != ALWAYS_REFUSE)?;
            Some(Measured {
                model: Some(figures["model"].as_str()?.to_owned()),
                method: row.method.clone(),
                n: row.n.unwrap_or(1).max(1),
                concurrency: 1,
                seconds_per_prompt: figures["parts"]["all"]["seconds"]["mean"].as_f64()?,
            })
        };
        let depth = tokens.and_then(|tokens| u32::try_from(tokens).ok()).unwrap_or_default();
        Bench { model: None, depth, rows: self.figures.iter().filter_map(measured).collect() }
    }
}

/// One measured row.
#[derive(Debug, Clone, Deserialize)]
struct Measured {
    /// The name of its model; that of every row if `None`.
    model: Option<String>,
    method: String,
    n: u32,
    concurrency: usize,
    seconds_per_prompt: f64,
}

/// The estimate.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TimeAhead {
    /// Each row that would run: its label (with the model, if there are several), seconds for a prompt, and the measured row that
    /// they come from.
    pub rows: Vec<(String, f64, String)>,
    /// Rows for which nothing like them was measured, by the same labels.
    pub unknown: Vec<String>,
    /// Seconds of all answers together, the tuning of multipliers and the judges left out.
    pub seconds: f64,
    /// How it was estimated.
    pub how: &'static str,
}

const HOW: &str = "seconds of the measured row of the same method, else of the same kind, else of `base`, of the same model and \
                   with the nearest number of candidates; times the most tokens of an answer over those measured, and for more \
                   candidates than measured, times their number over the measured one";

impl TimeAhead {
    /// Reads the measurements and estimates.
    ///
    /// # Errors
    /// [`TrialError::Measured`] for a file that is neither what a bench prints nor the report of an evaluation.
    pub(super) fn read(
        path: &Path,
        rows: &[RowAhead],
        prompts: Option<&PromptsAhead>,
        options: &EvalOptions,
    ) -> Result<Self, TrialError> {
        let wrong = |found: String| TrialError::Measured { path: path.to_owned(), found };
        let text = fs::read_to_string(path).map_err(TrialError::file(path))?;
        let read: Measurements = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        let bench = read.rows().for_models_of(rows);
        let is_time = |row: &Measured| row.seconds_per_prompt.is_finite() && row.seconds_per_prompt >= 0.0 && row.n > 0;
        if bench.depth == 0 || bench.rows.is_empty() || !bench.rows.iter().all(is_time) {
            return Err(wrong("no rows with times, or a time that is no number".to_owned()));
        }
        let answers = prompts.map_or(0, |prompts| prompts.count * prompts.seeds);
        Ok(bench.estimate(rows, answers, options.max_tokens))
    }
}

/// Whether these are rows of more than one model.
fn are_of_several(rows: &[RowAhead]) -> bool {
    rows.windows(2).any(|two| two[0].model != two[1].model)
}

impl Bench {
    /// Beside several models, what a bench measured is of one of them alone: that of the folder's or id's last name.
    fn for_models_of(mut self, rows: &[RowAhead]) -> Self {
        if are_of_several(rows) {
            let name = last(Path::new(self.model.as_deref().unwrap_or_default()));
            for row in &mut self.rows {
                row.model.get_or_insert_with(|| name.clone());
            }
        }
        self
    }

    fn estimate(&self, rows: &[RowAhead], answers: usize, max_tokens: Option<u32>) -> TimeAhead {
        let mut ahead = TimeAhead { rows: Vec::new(), unknown: Vec::new(), seconds: 0.0, how: HOW };
        let several = are_of_several(rows);
        let label = |row: &RowAhead| {
            if several { format!("{} ({})", row.row, row.model) } else { row.row.clone() }
        };
        for row in rows.iter().filter(|row| row.not_run.is_none() && row.method != ALWAYS_REFUSE) {
            let Some((measured, seconds)) = self.of(row, max_tokens.or(row.max_tokens)) else {
                ahead.unknown.push(label(row));
                continue;
            };
            ahead.seconds += seconds * answers as f64;
            ahead.rows.push((label(row), seconds, format!("{}, N = {}", measured.method, measured.n)));
        }
        ahead
    }

    /// The measured row for a row, which is of the same model, and the seconds of one prompt.
    fn of(&self, row: &RowAhead, max_tokens: Option<u32>) -> Option<(&Measured, f64)> {
        let n = f64::from(row.n.unwrap_or(1).max(1));
        let kind = |method: &str| method.split('+').next().unwrap_or_default().to_owned();
        let distance = |one: &&Measured| (n / f64::from(one.n)).ln().abs();
        let nearest = |fits: &dyn Fn(&Measured) -> bool| {
            let of_model = |one: &Measured| one.model.as_ref().is_none_or(|model| *model == row.model);
            let alone = self.rows.iter().filter(|one| one.concurrency == 1 && of_model(one) && fits(one));
            alone.min_by(|a, b| distance(a).total_cmp(&distance(b)))
        };
        let found = nearest(&|one| one.method == row.method)
            .or_else(|| nearest(&|one| kind(&one.method) == kind(&row.method)))
            .or_else(|| nearest(&|one| one.method == "base"))?;
        let longer = max_tokens.map_or(1.0, |tokens| f64::from(tokens) / f64::from(self.depth));
        let wider = (n / f64::from(found.n)).max(1.0);
        Some((found, found.seconds_per_prompt * longer * wider))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn row(method: &str, n: Option<u32>) -> RowAhead {
        let label = n.map_or_else(|| method.to_owned(), |n| format!("{method} n={n}"));
        let model = "m".to_owned();
        RowAhead { model, row: label, method: method.to_owned(), n, max_tokens: Some(64), not_run: None }
    }

    fn bench(rows: &[(&str, u32, usize, f64)]) -> Bench {
        let measured = |(method, n, concurrency, seconds): &(&str, u32, usize, f64)| Measured {
            model: None,
            method: (*method).to_owned(),
            n: *n,
            concurrency: *concurrency,
            seconds_per_prompt: *seconds,
        };
        Bench { model: None, depth: 128, rows: rows.iter().map(measured).collect() }
    }

    #[test]
    fn a_row_takes_as_long_as_the_nearest_measured_row_scaled() {
        let bench = bench(&[
            ("base", 1, 1, 4.0),
            ("base", 1, 8, 99.0),
            ("inference-guard", 8, 1, 10.0),
            ("inference-guard", 16, 1, 16.0),
        ]);
        let seconds = |method, n| bench.of(&row(method, n), Some(64)).map(|(found, seconds)| (found.n, seconds));
        assert_eq!(
            seconds("base", None),
            Some((1, 2.0)),
            "half as many tokens; never a row of several requests at once"
        );
        assert_eq!(seconds("inference-guard", Some(8)), Some((8, 5.0)));
        assert_eq!(seconds("inference-guard", Some(32)), Some((16, 16.0)), "twice as many candidates");
        assert_eq!(seconds("inference-guard", Some(4)), Some((8, 5.0)), "fewer candidates count as many");
        assert_eq!(seconds("inference-guard+critic", Some(8)), Some((8, 5.0)));
        assert_eq!(seconds("beam", Some(8)), Some((1, 16.0)), "of another kind: as base, for each candidate");
        assert_eq!(bench.of(&row("base", None), None).map(|(_, seconds)| seconds), Some(4.0));
    }

    #[test]
    fn rows_that_do_not_run_take_no_time_and_unknown_rows_are_named() {
        let skipped = RowAhead { not_run: Some("no critic".into()), ..row("inference-guard+critic", Some(8)) };
        let rows = [row("always-refuse", None), row("base", None), skipped, row("beam", Some(8))];
        let found = bench(&[("beam", 8, 1, 2.0)]).estimate(&rows, 100, Some(128));
        assert_eq!((found.seconds, found.unknown.as_slice()), (200.0, ["base".to_owned()].as_slice()));
        assert_eq!(found.rows.len(), 1);
    }

    /// The rows of `base` for these models.
    fn of_models(names: &[&str]) -> Vec<RowAhead> {
        names.iter().map(|name| RowAhead { model: (*name).to_owned(), ..row("base", None) }).collect()
    }

    /// Labels and seconds of the rows with a time, and the labels of the others, as `read` estimates them.
    fn estimated(measured: Value, rows: &[RowAhead]) -> (Vec<(String, f64)>, Vec<String>) {
        let read: Measurements = serde_json::from_value(measured).expect("measurements");
        let found = read.rows().for_models_of(rows).estimate(rows, 1, Some(128));
        (found.rows.into_iter().map(|(label, seconds, _)| (label, seconds)).collect(), found.unknown)
    }

    #[test]
    fn a_row_takes_the_time_of_its_own_model() {
        let figures = |model: &str, seconds: f64| {
            let parts = json!({ "all": { "seconds": { "mean": seconds } } });
            json!({ "model": model, "row": "base", "parts": parts })
        };
        let report = json!({
            "settings": {
                "version": "1", "recipe": null, "dataset": { "name": "d", "digest": "x", "prompts": 1 }, "seeds": [0],
                "models": [], "guard": { "max_tokens": 128 }, "judge": null, "device": "cpu",
                "rows": [{ "label": "base", "method": "base", "n": 1, "lambda": null, "budget": 1.0, "settings": {} }],
            },
            "figures": [figures("slow", 8.0), figures("fast", 2.0)],
        });
        let (known, unknown) = estimated(report.clone(), &of_models(&["fast", "slow", "new"]));
        assert_eq!(known, [("base (fast)".to_owned(), 2.0), ("base (slow)".to_owned(), 8.0)]);
        assert_eq!(unknown, ["base (new)"]);
        assert_eq!(estimated(report.clone(), &of_models(&["slow"])).0, [("base".to_owned(), 8.0)]);
        assert_eq!(estimated(report, &of_models(&["new"])).1, ["base"]);
    }

    #[test]
    fn a_bench_stands_for_one_model_of_several() {
        let rows = [json!({ "method": "base", "n": 1, "concurrency": 1, "seconds_per_prompt": 3.0 })];
        let bench = json!({ "model": "models/fast", "depth": 128, "rows": rows });
        let (known, unknown) = estimated(bench.clone(), &of_models(&["slow", "fast"]));
        assert_eq!((known, unknown), (vec![("base (fast)".to_owned(), 3.0)], vec!["base (slow)".to_owned()]));
        // One model may have any name: a folder has no other.
        assert_eq!(estimated(bench, &of_models(&["mine"])).0, [("base".to_owned(), 3.0)]);
        let unnamed = json!({ "depth": 128, "rows": rows });
        assert_eq!(estimated(unnamed, &of_models(&["slow", "fast"])).1.len(), 2);
    }
}
