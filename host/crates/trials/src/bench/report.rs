//! Rows as a table and as JSON, and how time grows with N.

use super::{measure::Row, peer::PeerRow};
use crate::TrialError;
use inferenceguard_catalog::write_file;
use inferenceguard_eval::plots::{self, Bars};
use serde::Serialize;
use std::{collections::BTreeMap, fmt::Write, path::Path};

/// Everything that a bench measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The version of this program.
    pub version: &'static str,
    /// Where it ran.
    pub machine: Machine,
    /// The model's name.
    pub model: String,
    /// The number format.
    pub precision: String,
    /// Tokens of each answer.
    pub depth: u32,
    /// One row per method, number of candidates, prompt and concurrency.
    pub rows: Vec<Row>,
    /// How time grows with the number of candidates.
    pub growth: Vec<Growth>,
    /// What other programs measured.
    pub peers: Vec<PeerRow>,
}

/// A machine, with what its CPU or GPU was measured to do.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Machine {
    /// `cpu`, `cuda` or `cuda:N`.
    pub device: String,
    /// CPU cores.
    pub cores: usize,
    /// Bytes that it reads per second.
    pub bytes_per_second: f64,
    /// Floating-point operations per second.
    pub flops_per_second: f64,
}

/// Time as a power of N, fitted by least squares.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Growth {
    /// The method.
    pub method: String,
    /// Tokens of the prompt.
    pub prompt_tokens: usize,
    /// Requests at the same time.
    pub concurrency: usize,
    /// The exponent for N up to 32, if at least two were measured.
    pub exponent_to_32: Option<f64>,
    /// The exponent for N from 32 on, if at least two were measured.
    pub exponent_from_32: Option<f64>,
}

/// Rows that differ in N alone: method, prompt, requests at once.
type Group<'a> = (&'a str, usize, usize);

/// The growth of every method that was measured with several N.
pub(super) fn growth(rows: &[Row]) -> Vec<Growth> {
    let mut groups: BTreeMap<Group<'_>, Vec<(f64, f64)>> = BTreeMap::new();
    for row in rows {
        let point = (f64::from(row.n), row.seconds_per_prompt);
        groups.entry((&row.method, row.prompt_tokens, row.concurrency)).or_default().push(point);
    }
    let fitted = groups.into_iter().filter(|(_, points)| points.len() > 1);
    fitted
        .map(|((method, prompt_tokens, concurrency), points)| Growth {
            method: method.to_owned(),
            prompt_tokens,
            concurrency,
            exponent_to_32: exponent(points.iter().filter(|(n, _)| *n <= 32.0)),
            exponent_from_32: exponent(points.iter().filter(|(n, _)| *n >= 32.0)),
        })
        .collect()
}

/// The slope of log seconds over log N.
fn exponent<'a>(points: impl Iterator<Item = &'a (f64, f64)>) -> Option<f64> {
    let logs: Vec<(f64, f64)> = points.map(|(n, seconds)| (n.ln(), seconds.ln())).collect();
    if logs.len() < 2 {
        return None;
    }
    let count = logs.len() as f64;
    let mean = |pick: fn(&(f64, f64)) -> f64| logs.iter().map(pick).sum::<f64>() / count;
    let (x, y) = (mean(|p| p.0), mean(|p| p.1));
    let over: f64 = logs.iter().map(|p| (p.0 - x) * (p.1 - y)).sum();
    let under: f64 = logs.iter().map(|p| (p.0 - x).powi(2)).sum();
    Some(over / under)
}

impl Report {
    /// Draws where the time of each row went, as PNG or SVG by the ending of the file.
    ///
    /// # Errors
    /// A plot that cannot be drawn, a file that cannot be written.
    pub fn draw(&self, path: &Path) -> Result<(), TrialError> {
        let picture = plots::bars(&self.bars())?;
        let is_png = path.extension().is_some_and(|extension| extension == "png");
        Ok(write_file(path, if is_png { &picture.png } else { picture.svg.as_bytes() })?)
    }

    /// A picture of where the time of each row went.
    #[must_use]
    pub fn bars(&self) -> Bars {
        let name = |row: &Row| {
            format!("{} N = {}, prompt {}, {} at once", row.method, row.n, row.prompt_tokens, row.concurrency)
        };
        let parts = |row: &Row| {
            let p = &row.profile;
            vec![p.model, p.sampling, p.scoring, p.components, p.queue, p.other]
        };
        Bars {
            parts: ["model", "sampling", "scoring", "components", "queue", "other"].map(str::to_owned).into(),
            rows: self.rows.iter().map(|row| (name(row), parts(row), row.bound_seconds)).collect(),
        }
    }

    /// A Markdown table, with a line about the machine before it.
    #[must_use]
    pub fn table(&self) -> String {
        let Machine { device, cores, bytes_per_second, flops_per_second } = &self.machine;
        let mut out = format!(
            "{}, {} {}, {cores} cores: reads {:.1} GB/s, multiplies {:.0} GFLOP/s; answers of {} tokens\n\n",
            self.model,
            device,
            self.precision,
            bytes_per_second / 1e9,
            flops_per_second / 1e9,
            self.depth
        );
        out += "| method | N | prompt | at once | s/prompt | x base | tokens/s | first text | model | sampling | scoring | components | other | bound | memory |\n";
        out += "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n";
        for row in &self.rows {
            self.row(&mut out, row);
        }
        self.fits(&mut out);
        for peer in &self.peers {
            let _ = writeln!(
                out,
                "\n{} ({}, {}) {} N = {}, prompt {}: {:.3} s/prompt, {:.2} x ours",
                peer.name,
                peer.text("dtype"),
                peer.text("device"),
                peer.method,
                peer.n,
                peer.prompt_tokens,
                peer.seconds_per_prompt,
                peer.times_ours
            );
        }
        out
    }

    fn row(&self, out: &mut String, row: &Row) {
        let share = |seconds: f64| format!("{:.1} %", 100.0 * seconds / row.seconds_per_prompt);
        let p = &row.profile;
        let base = self.rows.iter().find(|base| {
            base.method == "base" && (base.prompt_tokens, base.concurrency) == (row.prompt_tokens, row.concurrency)
        });
        let times =
            base.map_or_else(String::new, |base| format!("{:.1}", row.seconds_per_prompt / base.seconds_per_prompt));
        let memory = row.peak_bytes.map_or_else(String::new, |bytes| format!("{:.0} MB", bytes as f64 / 1e6));
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {:.3} | {times} | {:.0} | {:.3} | {} | {} | {} | {} | {} | {} | {memory} |",
            row.method,
            row.n,
            row.prompt_tokens,
            row.concurrency,
            row.seconds_per_prompt,
            row.tokens_per_second,
            row.first_text_seconds,
            share(p.model),
            share(p.sampling),
            share(p.scoring),
            share(p.components),
            share(p.other + p.queue),
            share(row.bound_seconds),
        );
    }

    fn fits(&self, out: &mut String) {
        for fit in &self.growth {
            let power = |range: &str, exponent: Option<f64>| exponent.map(|e| format!("N^{e:.2} {range}"));
            let parts = [power("up to 32", fit.exponent_to_32), power("from 32 on", fit.exponent_from_32)];
            let parts: Vec<String> = parts.into_iter().flatten().collect();
            if !parts.is_empty() {
                let _ = writeln!(
                    out,
                    "\n{}, prompt {}, {} at once: time grows as {}",
                    fit.method,
                    fit.prompt_tokens,
                    fit.concurrency,
                    parts.join(", ")
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_power_is_found() {
        let points = [8.0, 16.0, 32.0].map(|n: f64| (n, 3.0 * n.powf(0.7)));
        assert!((exponent(points.iter()).unwrap() - 0.7).abs() < 1e-12);
        assert_eq!(exponent(points[..1].iter()), None);
    }
}
