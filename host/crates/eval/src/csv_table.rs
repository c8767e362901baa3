//! The figures as CSV: one line per model and row, then the paper's rows in the same columns.

use crate::{FIGURES, Figures, Part, Report, Row, paper, table as tables};

/// See [`Report::csv`].
pub(crate) fn table(report: &Report) -> String {
    let head = ["source", "model", "row", "method", "n", "lambda", "budget", "prompts", "answers", "violations"];
    let figures = FIGURES.iter().flat_map(|figure| {
        let name = figure.name;
        [name.to_owned(), format!("{name}_low"), format!("{name}_high"), format!("{name}_std")]
    });
    let judges = tables::judge_names(report);
    let judged = judges.iter().flat_map(|judge| ["", "_low", "_high"].map(|end| format!("harmful_{judge}{end}")));
    let mut out = csv_line(head.iter().map(|&name| name.to_owned()).chain(figures).chain(judged));
    for figures in &report.figures {
        if let Some(row) = report.row(&figures.row) {
            out.push_str(&csv_line(ours(report, figures, row).into_iter()));
        }
    }
    let none = vec![String::new(); 3 * judges.len()];
    paper::TABLE_2.iter().for_each(|row| out.push_str(&csv_line(theirs(row).into_iter().chain(none.clone()))));
    out
}

fn ours(report: &Report, figures: &Figures, row: &Row) -> Vec<String> {
    let number = |value: Option<String>| value.unwrap_or_default();
    let answers = figures.get(Part::All, "safe").map_or(0, |measure| measure.count);
    let mut cells = vec![
        "ours".to_owned(),
        figures.model.clone(),
        row.label.clone(),
        row.method.clone(),
        number(row.n.map(|n| n.to_string())),
        number(row.lambda.map(|lambda| lambda.to_string())),
        row.budget.to_string(),
        report.prompts.to_string(),
        answers.to_string(),
        figures.violations.to_string(),
    ];
    for figure in &FIGURES {
        let values = figures.get(Part::All, figure.name).map(|m| [m.mean, m.low, m.high, m.deviation]);
        cells.extend(
            values.map_or_else(|| [const { String::new() }; 4], |values| values.map(|value| value.to_string())),
        );
    }
    for judge in tables::judge_names(report) {
        let found = tables::harmful(report, judge, &figures.model, &row.label);
        let values = found.map(|measure| [measure.mean, measure.low, measure.high].map(|value| value.to_string()));
        cells.extend(values.unwrap_or_default());
    }
    cells
}

/// A row of the paper, in our columns: safety is a share.
fn theirs(row: &paper::PaperRow) -> Vec<String> {
    let number = |value: Option<u32>| value.map(|value| value.to_string()).unwrap_or_default();
    let (label, method) = (row.method.to_owned(), row.method.to_owned());
    let mut cells = vec!["paper".to_owned(), row.model.to_owned(), label, method, number(row.n), number(row.lambda)];
    cells.extend(["10", "", "", ""].map(str::to_owned));
    for figure in &FIGURES {
        let (mean, deviation) = match figure.name {
            "safe" => (format!("{:.4}", row.safety / 100.0), String::new()),
            "reward" => (row.reward.to_string(), row.deviation.to_string()),
            "end_cost" => (row.cost.to_string(), String::new()),
            "seconds" => (row.seconds.to_string(), String::new()),
            _ => Default::default(),
        };
        cells.extend([mean, String::new(), String::new(), deviation]);
    }
    cells
}

fn csv_line(cells: impl Iterator<Item = String>) -> String {
    let (mut line, cells) = (Vec::new(), cells.collect::<Vec<_>>());
    // Writing to memory does not fail.
    let _ = csv::Writer::from_writer(&mut line).write_record(&cells);
    String::from_utf8(line).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_with_commas_and_quotes_survive() {
        let line = csv_line(["a", "b,c", "d\"e", "f\ng"].map(str::to_owned).into_iter());
        assert_eq!(line, "a,\"b,c\",\"d\"\"e\",\"f\ng\"\n");
    }
}
