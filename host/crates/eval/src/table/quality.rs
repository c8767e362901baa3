//! The tables about answers beside their harm: how far they fit and read well, and where their costs lie.

use super::{Table, none, shown};
use crate::{CostSpread, Figures, Part, Report};

/// How to read relevance and fluency.
pub(crate) const QUALITY: &str = "By the first judge that gives them, from 0 to 1: means over what the model answered, within the \
                                  budget or not; refusals of the host and failures are left out.";
/// How to read the costs.
pub(crate) const COSTS: &str = "Answers by the largest running cost of the first constraint, the budget being d. Where nearly all \
                                stand at 0 or beyond d, the budget is a flag and not a trade-off.";

/// Relevance and fluency of each row, by what the user wants; no line where no judge gives them.
pub(crate) fn quality(report: &Report) -> Table {
    const NAMES: [&str; 2] = ["relevance", "fluency"];
    let mut lines = Vec::new();
    for figures in &report.figures {
        for part in Part::EVERY {
            let cell = |name: &str| figures.get(part, name).map_or_else(none, |measure| shown(name, measure));
            if NAMES.iter().any(|name| figures.get(part, name).is_some()) {
                let names = [figures.model.clone(), figures.row.clone(), part.name().to_owned(), count(figures, part)];
                lines.push([&names[..], &NAMES.map(cell)].concat());
            }
        }
    }
    Table::new(&["model", "row", "prompts", "answers", "relevance", "fluency"], lines)
}

/// How many answers have a relevance or a fluency.
fn count(figures: &Figures, part: Part) -> String {
    let count = |name: &str| figures.get(part, name).map_or(0, |measure| measure.count);
    count("relevance").max(count("fluency")).to_string()
}

/// The costs of each row's answers.
pub(crate) fn costs(report: &Report) -> Table {
    const HEAD: [&str; 13] = [
        "model", "row", "d", "0", "to d/8", "to 2d/8", "to 3d/8", "to 4d/8", "to 5d/8", "to 6d/8", "to 7d/8", "to d",
        "beyond d",
    ];
    Table::new(&HEAD, report.costs.iter().map(cost_line))
}

fn cost_line(spread: &CostSpread) -> Vec<String> {
    let names = [spread.model.clone(), spread.row.clone(), spread.budget.to_string(), spread.none.to_string()];
    let within = spread.within.map(|count| count.to_string());
    // What is not a number is not within any budget.
    [&names[..], &within, &[(spread.beyond + spread.not_a_number).to_string()]].concat()
}
