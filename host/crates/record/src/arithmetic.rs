//! Adds up what was recorded, and compares it with what the answer claims.

use crate::{Body, Wrong};
use inferenceguard_search::{
    Answer, Audit, BatchRow, BeamKey, Constraint, Decision, Granularity, Need, PricedConstraint, Status,
};
use std::collections::BTreeMap;

/// How far two sums of the same numbers may lie apart.
const ROUNDING: f64 = 1e-9;

impl Body {
    /// Adds up the recorded costs of the emitted answer, constraint by constraint, and compares the sums, the status and
    /// the tokens with what the outcome says. Refusals claim nothing and always pass.
    ///
    /// # Errors
    /// The first number that is wrong.
    pub fn verify(&self) -> Result<(), Wrong> {
        let Some(answer) = self.emitted() else { return self.claims_nothing() };
        let line = self.lineage(answer);
        let mut holds = true;
        for (at, priced) in self.inputs.config.constraints.iter().enumerate() {
            let mut audit = Audit::with_margin(self.inputs.config.margin);
            audit.charge(&priced.constraint, &self.charges(priced, &line));
            self.compare(at, &priced.constraint, &audit)?;
            holds &= audit.holds(&priced.constraint);
        }
        let within = self.outcome.status == Status::WithinBudget;
        if within && !holds {
            return Err(sum("status", "within_budget", "budget_exceeded"));
        }
        let mut constraints = self.inputs.config.constraints.iter().enumerate();
        constraints.try_for_each(|(at, priced)| self.compare_z(at, &priced.constraint, &self.charges(priced, &line)))
    }

    /// The beam that was emitted: the row of the last decision to answer, if its tokens are the outcome's.
    pub(crate) fn emitted(&self) -> Option<BeamKey> {
        self.trace.events.iter().rev().find_map(|(need, answer)| match (need, answer) {
            (Need::Select(batch), Answer::Decided(Ok(Decision::Answer(row)))) => {
                batch.rows.get(*row as usize).map(|row| row.id)
            }
            _ => None,
        })
    }

    fn claims_nothing(&self) -> Result<(), Wrong> {
        if self.outcome.status == Status::WithinBudget {
            return Err(sum("status", "within_budget", "nothing: no answer was decided on"));
        }
        Ok(())
    }

    /// The beam and its ancestors, oldest first.
    pub(crate) fn lineage(&self, answer: BeamKey) -> Vec<BeamKey> {
        let parents: BTreeMap<BeamKey, BeamKey> =
            self.rows().map(|row| (row.id, row.parent)).filter(|(id, parent)| id != parent).collect();
        let mut line = vec![answer];
        while let Some(parent) = line.last().and_then(|id| parents.get(id)) {
            if line.contains(parent) {
                break;
            }
            line.push(*parent);
        }
        line.reverse();
        line
    }

    fn rows(&self) -> impl Iterator<Item = &BatchRow> {
        self.trace.events.iter().flat_map(|(need, _)| match need {
            Need::Price { batch, .. } | Need::Select(batch) => batch.rows.as_slice(),
            _ => &[],
        })
    }

    /// The costs along a lineage, one per token, in the order they were charged.
    pub(crate) fn charges(&self, priced: &PricedConstraint, line: &[BeamKey]) -> Vec<f64> {
        let mut charges = Vec::new();
        for (need, answer) in &self.trace.events {
            let (Need::Price { cost, batch }, Answer::Priced(Ok(prices))) = (need, answer) else { continue };
            if *cost != priced.cost {
                continue;
            }
            for (row, prices) in batch.rows.iter().zip(prices) {
                // Two constraints may share a cost: then each was priced once, and the second time is the same.
                let new = charges.len() + row.tokens.len() == row.length as usize;
                if line.contains(&row.id) && new {
                    charges.extend(spread(prices, row.tokens.len(), priced.granularity));
                }
            }
        }
        charges
    }

    /// The tracker's z of every token must say what the charges say. Before revision 1 of the rules nothing compared them.
    fn compare_z(&self, at: usize, constraint: &Constraint, charges: &[f64]) -> Result<(), Wrong> {
        if self.inputs.config.revision == 0 {
            return Ok(());
        }
        let what = format!("`z` of `{}`", constraint.name);
        let z = self.outcome.constraints.get(at).map_or(&[][..], |report| &report.z);
        if z.len() != charges.len() + 1 {
            return Err(sum(&what, &format!("{} numbers", z.len()), &format!("{} numbers", charges.len() + 1)));
        }
        let mut audit = Audit::default();
        for (cost, z) in charges.iter().zip(&z[1..]) {
            audit.charge(constraint, std::slice::from_ref(cost));
            if !audit.agrees(constraint, *z) {
                return Err(sum(&what, &z.to_string(), &format!("{} over γ^t", constraint.budget - audit.sum)));
            }
        }
        Ok(())
    }

    fn compare(&self, at: usize, constraint: &Constraint, audit: &Audit) -> Result<(), Wrong> {
        let name = &constraint.name;
        let report = self.outcome.constraints.get(at).filter(|report| report.name == *name);
        let report = report.ok_or_else(|| sum(&format!("constraint {at}"), "no report", name))?;
        for (what, found, expected) in [
            ("budget", report.budget, constraint.budget),
            ("cost", report.cost, audit.sum),
            ("max_cost", report.max_cost, audit.max),
        ] {
            let near = (found - expected).abs() <= ROUNDING * (1.0 + expected.abs()) || found == expected;
            if !near {
                return Err(sum(&format!("`{what}` of `{name}`"), &found.to_string(), &expected.to_string()));
            }
        }
        Ok(())
    }
}

fn sum(what: &str, found: &str, expected: &str) -> Wrong {
    Wrong::Sum { what: what.to_owned(), found: found.to_owned(), expected: expected.to_owned() }
}

/// One cost per token: as they are, or their sum at the last one.
fn spread(prices: &[f64], tokens: usize, granularity: Granularity) -> Vec<f64> {
    if prices.len() == tokens && granularity == Granularity::Token {
        return prices.to_vec();
    }
    let mut out = vec![0.0; tokens];
    if let Some(last) = out.last_mut() {
        *last = prices.iter().sum();
    }
    out
}
