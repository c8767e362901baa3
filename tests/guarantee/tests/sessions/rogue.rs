//! Policies that no bundle would name: the first decides at random, the second forces tokens.

use inferenceguard_guarantee_tests::Dice;
use inferenceguard_search::*;

/// Decides at random, now and then against the contract.
pub(crate) struct Rogue {
    pub(crate) needs: Needs,
    pub(crate) dice: Dice,
    pub(crate) chunk_len: u32,
    pub(crate) critic: bool,
}

impl Policy for Rogue {
    fn needs(&self) -> &Needs {
        &self.needs
    }

    fn plan(&mut self, rows: &Batch) -> Result<Plan, RoleFailure> {
        let forced = self.chunk_len == 1 && self.dice.chance(0.5);
        Ok(Plan {
            candidates: rows.rows.iter().map(|_| self.dice.whole(1, 3) as u32).collect(),
            chunk_len: self.chunk_len,
            source: if forced { Source::Expand(self.dice.whole(1, 4) as u32) } else { Source::Sample },
            pricing: self.dice.pick(&[Pricing::All, Pricing::OnDemand]),
            task_cost: self.dice.chance(0.5),
            estimate: self.critic && self.dice.chance(0.5),
            retry_candidates: None,
            keep: None,
            unknown_options: Vec::new(),
        })
    }

    fn select(&mut self, rows: &Batch) -> Result<Decision, RoleFailure> {
        let of = |test: &dyn Fn(&BatchRow) -> bool| -> Vec<u32> {
            (0..).zip(rows.rows.iter()).filter(|(_, row)| test(row)).map(|(i, _)| i).collect()
        };
        let choosy = self.dice.chance(0.7);
        let fit = of(&|row| row.priced && (row.safe || !choosy));
        let ended = of(&|row| row.priced && row.finished && (row.safe || !choosy));
        let unpriced = of(&|row| !row.priced);
        Ok(match self.dice.whole(0, 19) {
            0 => Decision::Exhausted,
            1 => Decision::Retry(Retry { penalty: self.dice.within(0.0, 50.0) as f32, max_mass: 0.9 }),
            2 => Decision::Keep(vec![self.dice.whole(0, 9) as u32]),
            3..=8 if !unpriced.is_empty() => Decision::Price(self.some(&unpriced)),
            9..=15 if !fit.is_empty() && !rows.moment.last => Decision::Keep(self.some(&fit)),
            _ if !ended.is_empty() => Decision::Answer(self.dice.pick(&ended)),
            _ if !unpriced.is_empty() => Decision::Price(unpriced),
            _ if !fit.is_empty() && !rows.moment.last => Decision::Keep(fit),
            _ => Decision::Exhausted,
        })
    }
}

impl Rogue {
    /// Some of them, in any order; at least one.
    fn some(&mut self, rows: &[u32]) -> Vec<u32> {
        let mut chosen: Vec<u32> = rows.iter().copied().filter(|_| self.dice.chance(0.6)).collect();
        if chosen.is_empty() {
            chosen.push(self.dice.pick(rows));
        }
        if self.dice.chance(0.5) {
            chosen.reverse();
        }
        chosen.truncate(6);
        chosen
    }
}

/// Forces the most likely tokens of every beam and keeps the best safe ones: the loop of ARGS, with a budget.
pub(crate) struct Forced {
    pub(crate) needs: Needs,
    pub(crate) k: u32,
    pub(crate) keep: usize,
}

impl Policy for Forced {
    fn needs(&self) -> &Needs {
        &self.needs
    }

    fn plan(&mut self, rows: &Batch) -> Result<Plan, RoleFailure> {
        Ok(Plan { source: Source::Expand(self.k), task_cost: true, ..Plan::new(vec![1; rows.rows.len()], 1) })
    }

    fn select(&mut self, rows: &Batch) -> Result<Decision, RoleFailure> {
        let mut safe: Vec<(u32, &BatchRow)> = (0..).zip(rows.rows.iter()).filter(|(_, row)| row.safe).collect();
        safe.sort_by(|a, b| a.1.task_cost.unwrap_or(0.0).total_cmp(&b.1.task_cost.unwrap_or(0.0)));
        let growing = safe.iter().any(|(_, row)| !row.finished);
        Ok(match safe.first() {
            None => Decision::Exhausted,
            Some(_) if growing => Decision::Keep(safe.into_iter().take(self.keep).map(|(i, _)| i).collect()),
            Some((best, _)) => Decision::Answer(*best),
        })
    }
}
