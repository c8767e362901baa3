//! The policy `beam-search`: n candidates a chunk, the best kept, until every beam has ended. Baseline of the paper
//! (section 5); with the objective `augmented` it is InferenceGuard without retries.

use inferenceguard_guest::ranking::{Objective, distinct, keep, spread, width};
use inferenceguard_guest::{BatchView, Decision, Description, Need, Plan, Policy, RoleError, Settings, Setup};
use inferenceguard_guest::{Value, describe, register_policy};

/// What the operator chose.
#[derive(Debug)]
pub struct BeamSearch {
    n: u32,
    keep: usize,
    chunk_len: u32,
    drop_duplicates: bool,
    objective: Objective,
}

impl Setup for BeamSearch {
    fn describe() -> Description {
        let description = describe!("Grows beams chunk by chunk and keeps the best.")
            .setting("n", Value::Integer(32), "Candidates per chunk, over all beams; 1 to 4096.")
            .setting("keep", Value::Integer(0), "Beams kept after a chunk; 0 means a quarter of n.")
            .setting("chunk-len", Value::Integer(32), "Tokens of a chunk; at least 1.")
            .setting("drop-duplicates", Value::Flag(true), "Whether of identical beams only one is kept.");
        Objective::described(description)
    }

    fn configure(settings: &Settings) -> Result<Self, String> {
        let n = settings.integer("n", 1..=4096)?;
        Ok(Self {
            n,
            keep: width(settings.integer("keep", 0..=n)?, n),
            chunk_len: settings.integer("chunk-len", 1..)?,
            drop_duplicates: settings.flag("drop-duplicates")?,
            objective: Objective::configured(settings)?,
        })
    }

    fn needs(&self) -> Vec<Need> {
        self.objective.needs()
    }
}

impl Policy for BeamSearch {
    fn plan(&mut self, rows: &dyn BatchView) -> Result<Plan, RoleError> {
        let candidates = spread(self.n, rows.len());
        let keep = Some(self.keep as u32);
        Ok(Plan { candidates, chunk_len: self.chunk_len, task_cost: true, keep, ..Plan::default() })
    }

    fn select(&mut self, rows: &dyn BatchView) -> Result<Decision, RoleError> {
        let mut ranked = self.objective.rank(rows)?;
        if self.drop_duplicates {
            ranked = distinct(rows, ranked)?;
        }
        let unfinished = ranked.iter().any(|one| !one.finished);
        Ok(match ranked.first() {
            None => Decision::Exhausted,
            Some(_) if unfinished && !rows.last() => Decision::Keep(keep(&ranked, self.keep, self.keep)),
            Some(best) => Decision::Answer(best.row),
        })
    }
}

register_policy!(BeamSearch);
