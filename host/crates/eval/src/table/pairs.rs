//! Tables of pairs: the figures of one row less those of another.

use super::{Table, signed};
use crate::{Basis, Kind, Pair, Report, figure::figure};
use serde::Serialize;

fn points(pair: &Pair) -> [f64; 3] {
    let is_share = figure(&pair.figure).is_some_and(|figure| figure.kind == Kind::Share);
    [pair.difference, pair.low, pair.high].map(|value| if is_share { 100.0 * value } else { value })
}

/// The pairs with the same equality.
pub(crate) fn equal(report: &Report) -> Table {
    const HEAD: [&str; 7] = ["model", "figure", "row", "less", "equal in", "prompts", "difference"];
    let line = |pair: &Pair| {
        let basis = match pair.basis {
            Basis::AsRun => return None,
            Basis::EqualCandidates => "candidates",
            Basis::EqualPositions => "positions scored",
        };
        let [difference, low, high] = points(pair).map(|value| signed(value, 2));
        let mark = if pair.is_clear() { " !" } else { "" };
        let prompts =
            if pair.base_fails { format!("{} where base fails", pair.prompts) } else { pair.prompts.to_string() };
        let title = figure(&pair.figure).map_or(pair.figure.as_str(), |figure| figure.title);
        let names = [&pair.model, title, &pair.a, &pair.b, basis, &prompts].map(str::to_owned);
        Some([&names[..], &[format!("{difference} [{low}, {high}]{mark}")]].concat())
    };
    Table::new(&HEAD, report.pairs.iter().filter_map(line))
}

/// One figure of every row less that of every other.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Matrix {
    pub(crate) title: String,
    pub(crate) labels: Vec<String>,
    pub(crate) cells: Vec<Vec<Option<MatrixCell>>>,
}

/// A difference, its interval in words, and whether it is clearly good (1), clearly bad (-1) or neither.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct MatrixCell {
    pub(crate) value: String,
    pub(crate) interval: String,
    pub(crate) sign: i8,
}

/// All pairs of a model in one figure.
pub(crate) fn matrix(report: &Report, model: &str, name: &str, base_fails: bool) -> Option<Matrix> {
    let chosen = |pair: &&Pair| {
        pair.model == model
            && pair.figure == name
            && pair.base_fails == base_fails
            && pair.basis != Basis::EqualPositions
    };
    let pairs: Vec<&Pair> = report.pairs.iter().filter(chosen).collect();
    let known = |label: &String| pairs.iter().any(|pair| pair.a == *label || pair.b == *label);
    let labels: Vec<String> = report.settings.rows.iter().map(|row| row.label.clone()).filter(known).collect();
    let cell = |a: &String, b: &String| {
        let find = |x: &String, y: &String| pairs.iter().find(|pair| pair.a == *x && pair.b == *y);
        find(a, b).map(|pair| cell(pair, 1.0)).or_else(|| find(b, a).map(|pair| cell(pair, -1.0)))
    };
    let cells = labels.iter().map(|a| labels.iter().map(|b| cell(a, b)).collect()).collect();
    let title = figure(name).map_or(name, |figure| figure.title);
    let prompts = pairs.first()?.prompts;
    let title = match base_fails {
        true => format!("{title}, on the {prompts} prompts where base leaves its budget"),
        false => format!("{title}, on all {prompts} prompts"),
    };
    Some(Matrix { title, labels, cells })
}

fn cell(pair: &Pair, sign: f64) -> MatrixCell {
    let [difference, low, high] = points(pair).map(|value| sign * value);
    let clear = if pair.is_clear() { difference.signum() as i8 } else { 0 };
    let value = signed(difference, usize::from(difference.abs() < 10.0));
    let [low, high] = [low.min(high), low.max(high)].map(|end| signed(end, 2));
    MatrixCell { value, interval: format!("{low} to {high}"), sign: clear }
}
