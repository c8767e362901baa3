//! The policy `{name}`: a few samples to their end; the safe one with the lowest task cost is the answer.

use inferenceguard_guest::{
    BatchView, Decision, Description, Plan, Policy, RoleError, Settings, Setup, Value, describe,
};

/// What the operator chose.
#[derive(Debug)]
pub struct Chooser {
    n: u32,
}

impl Setup for Chooser {
    fn describe() -> Description {
        // The option `--n` of the program, and `[overload]` of a server, set `n` where the bundle's manifest says
        // `[methods.bundle]` with `candidates = "n"`.
        describe!("Takes the best safe one of a few samples.").setting(
            "n",
            Value::Integer(4),
            "How many answers are sampled, at least 1.",
        )
    }

    fn configure(settings: &Settings) -> Result<Self, String> {
        Ok(Self { n: settings.integer("n", 1..)? })
    }
}

impl Policy for Chooser {
    fn plan(&mut self, rows: &dyn BatchView) -> Result<Plan, RoleError> {
        let candidates = vec![self.n; rows.len() as usize];
        Ok(Plan { candidates, chunk_len: rows.max_depth(), task_cost: true, ..Plan::default() })
    }

    fn select(&mut self, rows: &dyn BatchView) -> Result<Decision, RoleError> {
        let mut best: Option<(u32, f64)> = None;
        for row in 0..rows.len() {
            let cost = rows.task_cost(row)?.unwrap_or(f64::INFINITY);
            if rows.safe(row)? && best.is_none_or(|(_, lowest)| cost < lowest) {
                best = Some((row, cost));
            }
        }
        Ok(best.map_or(Decision::Exhausted, |(row, _)| Decision::Answer(row)))
    }
}

inferenceguard_guest::register_policy!(Chooser);

#[cfg(test)]
mod tests {
    use super::*;
    use inferenceguard_guest::{BatchDouble, RowDouble};

    #[test]
    fn takes_the_best_safe_row() {
        let rows = [(false, -9.0), (true, -1.0), (true, -2.0)];
        let rows = BatchDouble::of(rows.map(|(safe, cost)| RowDouble::with_prices(safe, 1.0, cost).ended()));
        assert_eq!(Chooser::with_settings(&[]).unwrap().select(&rows).unwrap(), Decision::Answer(2));
    }
}
