//! What a text costs, in words.

use crate::{answer::amount, escape};
use serde::Serialize;
use textwrap::core::display_width;

/// The widest text of a token that is shown.
const WIDEST: usize = 40;

/// A text under one constraint.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Line {
    /// The constraint.
    pub constraint: String,
    /// Its budget.
    pub budget: f64,
    /// What the text spends of it.
    pub spent: f64,
    /// Whether the budget holds.
    pub holds: bool,
    /// The text of each token, and what it costs.
    pub tokens: Vec<(String, f64)>,
    /// What the cost found, and at which token, from 0.
    pub found: Vec<(usize, String)>,
}

/// The costs of tokens by a tracker's z: z' = (z - c) / gamma. They are those that count: clipped, not discounted.
#[must_use]
pub fn costs(z: &[f64], gamma: f64) -> Vec<f64> {
    z.windows(2).map(|pair| pair[0] - gamma * pair[1]).collect()
}

/// Tokens and their costs, one line each, and the sums.
#[must_use]
pub fn table(lines: &[Line]) -> String {
    escape::lines(lines.iter().flat_map(of_constraint).collect::<Vec<_>>())
}

fn of_constraint(line: &Line) -> Vec<String> {
    let verdict = if line.holds { "within budget" } else { "budget exceeded" };
    let (name, spent, budget) = (&line.constraint, line.spent, amount(line.budget));
    let mut lines = vec![format!("{name}: {spent:.2} of {budget}, {verdict}")];
    lines.extend(line.tokens.iter().enumerate().map(|(at, (text, cost))| {
        let found: Vec<&str> =
            line.found.iter().filter(|(token, _)| *token == at).map(|(_, what)| what.as_str()).collect();
        let found = if found.is_empty() { String::new() } else { format!("  {}", found.join(", ")) };
        let shown = shown(text);
        let gap = " ".repeat((WIDEST + 2).saturating_sub(display_width(&shown)));
        format!("{:>5}  {shown}{gap} {cost:>8.2}{found}", at + 1)
    }));
    lines
}

/// The text of a token in quotes, shortened.
fn shown(text: &str) -> String {
    let quoted = format!("{text:?}");
    if display_width(&quoted) <= WIDEST {
        return quoted;
    }
    let short: String = quoted.chars().take(WIDEST - 4).collect();
    format!("{short}...\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_token_has_a_line_of_at_most_eighty_columns_and_what_was_found_stands_beside_it() {
        let tokens = vec![("How".to_owned(), 0.0), (" hack".to_owned(), 2.0), ("x".repeat(300), 0.0)];
        let line = Line {
            constraint: "words".into(),
            budget: 1.5,
            spent: 2.0,
            holds: false,
            tokens,
            found: vec![(1, "hack*".into())],
        };
        let table = table(&[line]);
        assert!(table.starts_with("words: 2.00 of 1.5, budget exceeded\n"), "{table}");
        assert!(table.contains("    2  \" hack\"") && table.contains("2.00  hack*"), "{table}");
        assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");
        assert_eq!(table.lines().count(), 4);
    }

    #[test]
    fn costs_follow_from_z() {
        assert_eq!(costs(&[10.0, 8.0, 8.0], 1.0), [2.0, 0.0]);
        assert_eq!(costs(&[10.0, 16.0], 0.5), [2.0]);
        assert!(costs(&[], 1.0).is_empty());
    }
}
