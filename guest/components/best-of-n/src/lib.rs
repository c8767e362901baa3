//! The policy `best-of-n`: n whole answers, and the best of them. Baseline of the paper (section 5).

use inferenceguard_guest::ranking::{Objective, spread};
use inferenceguard_guest::{BatchView, Decision, Description, Need, Plan, Policy, RoleError, Settings, Setup};
use inferenceguard_guest::{Value, describe, register_policy};

/// What the operator chose.
#[derive(Debug)]
pub struct BestOfN {
    n: u32,
    objective: Objective,
}

impl Setup for BestOfN {
    fn describe() -> Description {
        let description = describe!("Samples n whole answers and takes the best.");
        Objective::described(description.setting("n", Value::Integer(32), "How many answers; 1 to 4096."))
    }

    fn configure(settings: &Settings) -> Result<Self, String> {
        Ok(Self { n: settings.integer("n", 1..=4096)?, objective: Objective::configured(settings)? })
    }

    fn needs(&self) -> Vec<Need> {
        self.objective.needs()
    }
}

impl Policy for BestOfN {
    fn plan(&mut self, rows: &dyn BatchView) -> Result<Plan, RoleError> {
        // If the host cuts the chunk short, later chunks continue each answer on its own.
        let candidates = if rows.chunk() == 0 { spread(self.n, rows.len()) } else { vec![1; rows.len() as usize] };
        Ok(Plan { candidates, chunk_len: rows.max_depth().max(1), task_cost: true, ..Plan::default() })
    }

    fn select(&mut self, rows: &dyn BatchView) -> Result<Decision, RoleError> {
        let ranked = self.objective.rank(rows)?;
        let unfinished = ranked.iter().any(|one| !one.finished);
        Ok(match ranked.first() {
            None => Decision::Exhausted,
            Some(_) if unfinished && !rows.last() => Decision::Keep(ranked.iter().map(|one| one.row).collect()),
            Some(best) => Decision::Answer(best.row),
        })
    }
}

register_policy!(BestOfN);
