//! The figures of a sweep: CSV, Markdown, and lines to draw.

use crate::{Case, Part, ScalingError, Times, sweep::Row};
use inferenceguard_eval::plots::{Lines, Panel, Picture, Series, lines};

/// What a sweep gave.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    pub(crate) times: Times,
    pub(crate) rows: Vec<Row>,
}

const HEAD: [&str; 11] = [
    "n",
    "language replicas",
    "score replicas",
    "affinity",
    "requests at once",
    "answers/s",
    "s/answer",
    "language",
    "score",
    "controller",
    "limit",
];

/// The columns that say which case it is.
const CASE: usize = 4;

impl Report {
    /// One line for each case; shares from 0 to 1.
    #[must_use]
    pub fn csv(&self) -> String {
        let mut bytes = Vec::new();
        let mut writer = csv::Writer::from_writer(&mut bytes);
        // Writing to memory does not fail.
        let _ = writer.write_record(HEAD);
        self.rows.iter().for_each(|row| drop(writer.write_record(cells(row, |share| format!("{share:.4}")))));
        drop(writer);
        String::from_utf8(bytes).unwrap_or_default()
    }

    /// The rows as a table of Markdown, and where the times come from.
    #[must_use]
    pub fn markdown(&self) -> String {
        self.lines(|cells| cells.join(" | "))
    }

    /// The same table with one column for all that makes a case, for terminals, which break wide tables behind the first column.
    #[must_use]
    pub fn table(&self) -> String {
        self.lines(|cells| format!("{} | {}", cells[..CASE].join(" / "), cells[CASE..].join(" | ")))
    }

    fn lines(&self, joined: impl Fn(&[String]) -> String) -> String {
        let line = |cells: &[String]| format!("| {} |\n", joined(cells));
        let mut text = line(&HEAD.map(str::to_owned));
        text += &line(&HEAD.map(|_| "---".to_owned()));
        self.rows.iter().for_each(|row| text += &line(&cells(row, |share| format!("{:.0} %", 100.0 * share))));
        let Times { language, score, controller, .. } = &self.times;
        let sources = [("language", &language.source), ("score", &score.source), ("controller", &controller.source)];
        sources.into_iter().for_each(|(part, source)| text += &format!("\n{part}: {}\n", source.trim()));
        text
    }

    /// Answers a second over replicas, a panel for each number of candidates.
    ///
    /// # Errors
    /// [`ScalingError::Plot`].
    pub fn plot(&self) -> Result<Picture, ScalingError> {
        let mut ns: Vec<usize> = self.rows.iter().map(|row| row.case.n).collect();
        ns.dedup();
        let panels = ns.into_iter().map(|n| Panel { title: format!("N = {n}"), series: self.series(n) }).collect();
        let all = Lines { x: "language replicas".into(), y: "answers a second".into(), panels };
        Ok(lines(&all, "scaling", "answers a second over language replicas")?)
    }

    fn series(&self, n: usize) -> Vec<Series> {
        let mut all: Vec<Series> = Vec::new();
        let of_n: Vec<&Row> = self.rows.iter().filter(|row| row.case.n == n).collect();
        for row in &of_n {
            let (name, place) = (name(row), (row.case.language as f64, row.outcome.answers));
            match all.iter_mut().find(|series| series.name == name) {
                Some(series) => series.places.push(place),
                None => all.push(Series { name, places: vec![place] }),
            }
        }
        let limit = Case::controller_limit(&self.times, n);
        let ends = of_n
            .iter()
            .map(|row| row.case.language as f64)
            .fold((f64::MAX, 0.0_f64), |(low, high), x| (low.min(x), high.max(x)));
        all.push(Series { name: "one controller at most".into(), places: vec![(ends.0, limit), (ends.1, limit)] });
        all
    }
}

fn name(row: &Row) -> String {
    let rows = if row.case.affinity { "" } else { ", no affinity" };
    match row.scores {
        1 => format!("1 score replica each{rows}"),
        scores => format!("{scores} score replicas each{rows}"),
    }
}

fn cells(row: &Row, share: impl Fn(f64) -> String) -> [String; 11] {
    let (case, outcome) = (&row.case, &row.outcome);
    let limit = match outcome.limit() {
        Part::Language => "language",
        Part::Score => "score",
        Part::Controller => "controller",
    };
    [
        case.n.to_string(),
        case.language.to_string(),
        case.score.to_string(),
        if case.affinity { "yes" } else { "no" }.to_owned(),
        case.at_once.to_string(),
        digits(outcome.answers),
        digits(outcome.latency),
        share(outcome.language),
        share(outcome.score),
        share(outcome.controller),
        limit.to_owned(),
    ]
}

/// Three digits that count.
fn digits(value: f64) -> String {
    let whole = value.abs().max(f64::MIN_POSITIVE).log10().floor() as i32 + 1;
    format!("{value:.*}", usize::try_from(3 - whole).unwrap_or(0))
}
