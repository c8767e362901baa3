//! The report as a short text.

use super::{NetworkReport, Probabilities, Report};
use std::fmt;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ((train, validation, test), (.., answers)) = (self.prompts, self.answers);
        writeln!(
            f,
            "{}: learnt from {train} prompts, stopped by {validation}, measured on {test} ({answers} answers)",
            self.objective
        )?;
        if self.skipped > 0 {
            writeln!(f, "{} prompts left no room for an answer", self.skipped)?;
        }
        for (at, constraint) in self.constraints().into_iter().enumerate() {
            let share = 100.0 * self.within_budget.get(at).copied().unwrap_or(f64::NAN);
            writeln!(f, "\n{constraint}: {share:.1} % of the answers stay within the budget; P(safe to the end):")?;
            writeln!(
                f,
                "{:<22} {:>9} {:>7} {:>7} {:>7} {:>7} {:>7}",
                "reads", "positions", "safe", "Brier", "skill", "ECE", "AUC"
            )?;
            for network in &self.networks {
                network.write_head(f, at)?;
            }
        }
        let what = if self.constraints().is_empty() { "value" } else { "task cost of the finished answer" };
        writeln!(f, "\n{what}: explained variance, and by answer tokens so far")?;
        for network in &self.networks {
            let by_position = network.r_squared_by_position.iter().map(|(from, r)| format!("{from}: {}", number(*r)));
            let by_position = by_position.collect::<Vec<_>>().join("  ");
            writeln!(f, "{:<22} {:>7}   {by_position}", network.name(), number(network.r_squared))?;
        }
        write!(
            f,
            "\nskill: 1 is perfect, 0 is always saying the base rate; ECE: calibration error; safe: share of positions"
        )
    }
}

impl Report {
    fn constraints(&self) -> Vec<&str> {
        let heads = self.networks.first().map(|network| network.heads.iter());
        heads.into_iter().flatten().map(|head| head.constraint.as_str()).collect()
    }
}

impl NetworkReport {
    fn name(&self) -> &str {
        if self.reading == "none" { "none (budgets, length)" } else { &self.reading }
    }

    fn write_head(&self, f: &mut fmt::Formatter<'_>, at: usize) -> fmt::Result {
        let Some(head) = self.heads.get(at) else { return Ok(()) };
        line(f, self.name(), &head.overall)?;
        for (budget, found) in &head.by_budget {
            line(f, &format!("  at budget {budget}"), found)?;
        }
        for (from, found) in &head.by_position {
            line(f, &format!("  after {from} tokens"), found)?;
        }
        Ok(())
    }
}

fn line(f: &mut fmt::Formatter<'_>, name: &str, found: &Probabilities) -> fmt::Result {
    let Probabilities { count, base_rate, brier, skill, calibration_error, auc } = found;
    let safe = format!("{:.1} %", 100.0 * base_rate);
    writeln!(
        f,
        "{name:<22} {count:>9} {safe:>7} {brier:>7.4} {skill:>7.3} {calibration_error:>7.4} {:>7}",
        number(*auc)
    )
}

fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.3}"))
}
