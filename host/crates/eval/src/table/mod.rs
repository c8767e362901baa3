//! The figures as tables, for Markdown and for the page.

mod build;
mod judges;
mod pairs;
mod quality;

pub(crate) use build::{Bar, attacks, beside, by_intent, effort, headline, meanings, papers, reconstructions, rows_of};
pub(crate) use judges::{
    AGREEMENT, CHECKS, JUDGED, TOPICS, agreement, checks, harmful, judged, names as judge_names, notes as judge_notes,
    topics,
};
pub(crate) use pairs::{Matrix, equal, matrix};
pub(crate) use quality::{COSTS, QUALITY, costs, quality};

use crate::{Kind, Measure, Report, Skipped, figure::figure};
use serde::Serialize;
use std::{collections::BTreeMap, fmt::Write};

/// The note above the demonstration's numbers.
pub(crate) const NOT_COMPARABLE: &str = "models of a million parameters on our own synthetic text: not comparable";
/// The note above other numbers.
pub(crate) const MEASURED: &str = "measured here";

/// What a table without a judge does not show.
pub(crate) const NO_JUDGE: &str = "NO JUDGE: harm is priced by the bundle's own cost here, by which the methods chose their \
                                   answers. No row of this table shows that a guard helps. Name a judge with --judge.";

/// The most reasons for failures that are listed.
const FAILURES: usize = 8;

/// A heading, and lines with the same number of cells.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Table {
    pub(crate) head: Vec<String>,
    pub(crate) lines: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(head: &[&str], lines: impl IntoIterator<Item = Vec<String>>) -> Self {
        Self { head: head.iter().map(|&title| title.to_owned()).collect(), lines: lines.into_iter().collect() }
    }

    /// The table without the columns that hold no value in any line.
    pub(crate) fn without_empty(self) -> Self {
        let full = |at: &usize| self.lines.iter().any(|line| !line[*at].is_empty() && line[*at] != none());
        let kept: Vec<usize> = (0..self.head.len()).filter(|at| self.lines.is_empty() || full(at)).collect();
        let of = |cells: &Vec<String>| kept.iter().map(|at| cells[*at].clone()).collect();
        Self { head: of(&self.head), lines: self.lines.iter().map(of).collect() }
    }

    fn markdown(&self) -> String {
        let rule: Vec<&str> = self.head.iter().enumerate().map(|(at, _)| if at == 0 { ":--" } else { "--:" }).collect();
        let row = |cells: &[String]| cells.iter().map(|cell| one_line(cell)).collect::<Vec<_>>().join(" | ");
        let mut out = format!("| {} |\n| {} |\n", row(&self.head), rule.join(" | "));
        for line in &self.lines {
            let _ = writeln!(out, "| {} |", row(line));
        }
        out
    }
}

/// Untrusted text, such as a component's error, made safe for a cell: without line breaks, bars, tags and marks of direction.
pub(crate) fn one_line(text: &str) -> String {
    visible(text).replace('|', "\\|").replace('<', "\\<")
}

/// Text of a data set as Markdown shows it: no link, picture, code or tag.
pub(crate) fn plain_markdown(text: &str) -> String {
    text.replace('\\', "\\\\").replace('[', "\\[").replace('`', "\\`")
}

/// Untrusted text without line breaks, other control characters and marks of direction: these are escaped.
pub(crate) fn visible(text: &str) -> String {
    let turns =
        |char| matches!(char, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let one = |char: char| match char {
        char if char.is_control() || turns(char) => char.escape_default().to_string(),
        char => char.to_string(),
    };
    text.chars().map(one).collect()
}

/// The printed tables: one per model.
pub(crate) fn summary(report: &Report) -> String {
    let mut out = String::new();
    for model in &report.settings.models {
        let _ = writeln!(
            out,
            "**{}** ({})\n\n{}",
            one_line(&model.name),
            model.fingerprint,
            rows_of(report, &model.name).markdown()
        );
    }
    out + &foot(report).join("\n")
}

/// What was evaluated; then the rows that were not run.
pub(crate) fn foot(report: &Report) -> Vec<String> {
    let (done, due) = report.progress;
    let seeds: Vec<String> = report.settings.seeds.iter().map(u64::to_string).collect();
    let again: usize = report.figures.iter().map(|figures| figures.priced_again).sum();
    let mut lines = vec![format!(
        "{} prompts of {}, seeds {}; {done} of {due} answers. In brackets: 95 % intervals, clustered by prompt. Reward: of \
         what was answered. A second pricing confirmed {} of {again} answers within budget.",
        report.prompts,
        report.settings.dataset.name,
        seeds.join(", "),
        again.saturating_sub(report.violations())
    )];
    lines.extend(judges::notes(report));
    lines.extend(without_judge(report));
    lines.extend(failures(report));
    let mut skipped: Vec<(&Skipped, Vec<&str>)> = Vec::new();
    for one in &report.origin.skipped {
        match skipped.iter_mut().find(|(other, _)| (&other.row, &other.why) == (&one.row, &one.why)) {
            Some((_, models)) => models.push(&one.model),
            None => skipped.push((one, vec![&one.model])),
        }
    }
    let not_run = |(one, models): (&Skipped, Vec<&str>)| {
        format!("Not run: {} ({}): {}.", one.row, models.join(", "), one_line(one.why.trim_end_matches('.')))
    };
    lines.extend(skipped.into_iter().map(not_run));
    lines
}

/// Where a recipe for a real model has no judge, the only harm that is known is the guard's own.
fn without_judge(report: &Report) -> Option<String> {
    let priced_by_itself =
        report.settings.recipe.is_some() && report.paper_model().is_none() && report.judged.is_empty();
    priced_by_itself.then(|| NO_JUDGE.to_owned())
}

/// The reasons for failures, each once, the most frequent first.
fn failures(report: &Report) -> Vec<String> {
    let mut counted: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for graded in &report.answers {
        let reasons = graded.answer.failures.iter().chain(&graded.answer.failure);
        if let Some(reason) = reasons.map(String::as_str).next() {
            *counted.entry((&graded.row, reason)).or_default() += 1;
        }
    }
    let mut counted: Vec<_> = counted.into_iter().collect();
    counted.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let rest = counted.len().saturating_sub(FAILURES);
    let line = |((row, reason), count)| format!("Failures: {count} of {row}: {}", one_line(reason));
    let mut lines: Vec<String> = counted.into_iter().take(FAILURES).map(line).collect();
    lines.extend((rest > 0).then(|| format!("And {rest} other reasons for failures: see answers.jsonl.")));
    lines
}

/// The whole report as a document.
pub(crate) fn markdown(report: &Report) -> String {
    let heading = if report.is_demo() { NOT_COMPARABLE } else { MEASURED };
    let mut out = format!("# Evaluation\n\n## Ours: {heading}\n\n{}\n", summary(report));
    let mut section = |title: &str, about: &str, table: &Table| {
        let about = if about.is_empty() { String::new() } else { format!("{about}\n\n") };
        if !table.lines.is_empty() {
            let _ = write!(out, "\n## {title}\n\n{about}{}", table.markdown());
        }
    };
    section("Beside the paper", "", &beside(report));
    section("Judges", JUDGED, &judged(report));
    section("How judges agree", AGREEMENT, &agreement(report));
    section("How reliable judges are", CHECKS, &checks(report));
    section("By intent", "", &by_intent(report));
    section("By topic", TOPICS, &topics(report));
    section("Relevance and fluency", QUALITY, &quality(report));
    section("Costs and budgets", COSTS, &costs(report));
    section("Attacks", "", &attacks(report));
    section("What it took", "", &effort(report));
    section("Equal candidates, equal positions scored", PAIRS, &equal(report));
    if report.compares_with_paper() {
        section("The paper's Table 2: its own models and data", "", &papers());
        section("Reconstructions", "", &reconstructions(report));
    }
    out
}

/// How to read the pairs.
pub(crate) const PAIRS: &str = "One row less another; shares in percentage points. Marked `!` where the 95 % interval \
                                leaves out 0.";

/// The cell of a missing value.
pub(crate) fn none() -> String {
    "–".to_owned()
}

/// A number with this many digits; a number that rounds to zero has no sign.
pub(crate) fn fixed(value: f64, digits: usize) -> String {
    let text = format!("{value:.digits$}");
    match text.strip_prefix('-') {
        Some(rest) if rest.bytes().all(|byte| matches!(byte, b'0' | b'.')) => rest.to_owned(),
        _ => text,
    }
}

/// A difference with this many digits and its sign; a difference that rounds to zero has no sign.
pub(crate) fn signed(difference: f64, digits: usize) -> String {
    let text = fixed(difference, digits);
    let is_zero = text.bytes().all(|byte| matches!(byte, b'0' | b'.'));
    if difference > 0.0 && !is_zero { format!("+{text}") } else { text }
}

/// A share in percent.
pub(crate) fn share(share: f64) -> String {
    format!("{} %", fixed(100.0 * share, 1))
}

/// A measure with its interval.
pub(crate) fn shown(name: &str, measure: &Measure) -> String {
    match figure(name).map(|figure| figure.kind) {
        Some(Kind::Share) => {
            let [low, high] = [measure.low, measure.high].map(|share| fixed(100.0 * share, 1));
            format!("{} [{low}, {high}]", share(measure.mean))
        }
        _ => {
            let digits = if measure.mean.abs() >= 100.0 { 0 } else { 2 };
            let [mean, low, high] = [measure.mean, measure.low, measure.high].map(|value| fixed(value, digits));
            format!("{mean} [{low}, {high}]")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_has_no_sign() {
        let shown = [-0.04, -0.06, 0.0, -12.34, -0.0].map(|value| fixed(value, 1));
        assert_eq!(shown, ["0.0", "-0.1", "0.0", "-12.3", "0.0"]);
    }

    #[test]
    fn a_difference_has_its_sign_unless_it_is_zero() {
        let shown = [-0.04, 0.04, 0.0, -0.0, 0.06, -12.34, 12.34].map(|value| signed(value, 1));
        assert_eq!(shown, ["0.0", "0.0", "0.0", "0.0", "+0.1", "-12.3", "+12.3"]);
        assert_eq!(signed(25.0, 0), "+25");
    }
}
