//! Adds up what was recorded, and compares it with what the answer claims.

use crate::{Body, Wrong};
use inferenceguard_search::{
    Answer, Audit, BatchRow, BeamKey, Constraint, Decision, Granularity, Need, PricedConstraint, REVISION, ROOT, Status,
};
use std::collections::BTreeMap;

/// How far two sums of the same numbers may lie apart.
const ROUNDING: f64 = 1e-9;

impl Body {
    /// Adds up the recorded costs of the emitted answer, constraint by constraint, and compares the sums, the sums in one
    /// piece, the status and the tokens with what the outcome says. What was refused, failed or was cancelled claims
    /// nothing and always passes.
    ///
    /// # Errors
    /// The first number that is wrong.
    pub fn verify(&self) -> Result<(), Wrong> {
        let revision = self.inputs.config.revision;
        if revision > REVISION {
            let expected = format!("expected at most {REVISION}: verify it with a newer program");
            return Err(Wrong::Unreadable(format!("it was decided by revision {revision} of the rules; {expected}")));
        }
        if !self.claims() {
            return Ok(());
        }
        let rows = self.answers();
        let mut checked = rows.iter().map(|row| self.adds_up(&self.lineage(*row)));
        match checked.next() {
            // After a fallback several rows may have the same tokens: one of them was emitted.
            Some(Err(wrong)) if !checked.any(|other| other.is_ok()) => Err(wrong),
            Some(_) => Ok(()),
            None => Err(sum("tokens", "an answer", "nothing: no row with its tokens was decided on")),
        }
    }

    /// The beam that was emitted, if one was.
    pub(crate) fn emitted(&self) -> Option<BeamKey> {
        if self.claims() { self.answers().first().copied() } else { None }
    }

    /// Whether a row was emitted, so that its costs are claimed.
    fn claims(&self) -> bool {
        matches!(self.outcome.status, Status::WithinBudget | Status::BudgetExceeded | Status::Unguarded)
    }

    /// The rows that can have been emitted: of the last decision, the finished ones with the outcome's tokens; if it
    /// answered with a row, only that one. Rows of earlier decisions to answer were dropped by the checks that followed.
    fn answers(&self) -> Vec<BeamKey> {
        let last = self.trace.events.iter().rev().find_map(|(need, answer)| match (need, answer) {
            (Need::Select(batch), Answer::Decided(decision)) => Some((batch, decision)),
            _ => None,
        });
        let Some((batch, decision)) = last else { return Vec::new() };
        let meant = |at: usize| !matches!(decision, Ok(Decision::Answer(row)) if *row as usize != at);
        let rows = batch.rows.iter().enumerate().filter(|(at, row)| meant(*at) && row.finished);
        let same = rows.filter(|(_, row)| self.tokens(&self.lineage(row.id)) == self.outcome.tokens);
        same.map(|(_, row)| row.id).collect()
    }

    fn adds_up(&self, line: &[BeamKey]) -> Result<(), Wrong> {
        let mut holds = true;
        for (at, priced) in self.inputs.config.constraints.iter().enumerate() {
            let audit = self.audit(priced, &self.charges(priced, line));
            self.compare(at, &priced.constraint, &audit)?;
            holds &= audit.holds(&priced.constraint);
        }
        if self.outcome.status == Status::WithinBudget && !holds {
            return Err(sum("status", "within_budget", "budget_exceeded"));
        }
        self.says_whether_it_was_guarded()?;
        // Before revision 1 nothing compared z, and nothing was priced in one piece.
        if self.inputs.config.revision == 0 {
            return Ok(());
        }
        let whole = self.priced_whole();
        self.inputs.config.constraints.iter().enumerate().try_for_each(|(at, priced)| {
            self.compare_z(at, &priced.constraint, &self.charges(priced, line))?;
            whole.map_or(Ok(()), |row| self.compare_whole(at, priced, row))
        })
    }

    /// An answer is `unguarded` if nothing priced it, and only then. Before revision 2 it was `within_budget`.
    fn says_whether_it_was_guarded(&self) -> Result<(), Wrong> {
        let none = self.inputs.config.constraints.is_empty() && self.inputs.config.revision >= 2;
        match (none, self.outcome.status == Status::Unguarded) {
            (true, false) => {
                Err(sum("status", &format!("{:?}", self.outcome.status), "unguarded: there is no constraint"))
            }
            (false, true) => Err(sum("status", "unguarded", "a status under constraints")),
            _ => Ok(()),
        }
    }

    fn audit(&self, priced: &PricedConstraint, charges: &[f64]) -> Audit {
        let mut audit = Audit::with_margin(self.inputs.config.margin);
        audit.charge(&priced.constraint, charges);
        audit
    }

    /// The row that priced the answer in one piece: it has all its tokens, and no decision was about it.
    fn priced_whole(&self) -> Option<BeamKey> {
        let events = || self.trace.events.iter().map(|(need, _)| need);
        let decided =
            |id| events().any(|need| matches!(need, Need::Select(batch) if batch.rows.iter().any(|row| row.id == id)));
        let priced = events().filter_map(|need| if let Need::Price { batch, .. } = need { Some(batch) } else { None });
        let whole = |row: &&BatchRow| row.parent == ROOT && row.finished && row.tokens == self.outcome.tokens;
        let mut rows = priced.flat_map(|batch| batch.rows.iter()).filter(whole).collect::<Vec<_>>();
        rows.reverse();
        rows.iter().map(|row| row.id).find(|id| !decided(*id))
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
            Need::Price { batch, .. } | Need::Select(batch) => &*batch.rows,
            _ => &[],
        })
    }

    /// The costs along a lineage, one per token, in the order they were charged. Constraints may share a cost: prices are
    /// those of the constraint for which the tracker is advanced right after them.
    pub(crate) fn charges(&self, priced: &PricedConstraint, line: &[BeamKey]) -> Vec<f64> {
        let mut charges = Vec::new();
        for pair in self.trace.events.windows(2) {
            let [(Need::Price { cost, batch }, Answer::Priced(Ok(prices))), (Need::Advance { constraint, .. }, _)] =
                pair
            else {
                continue;
            };
            if *cost != priced.cost || constraint.name != priced.constraint.name {
                continue;
            }
            for (row, prices) in batch.rows.iter().zip(prices) {
                let new = charges.len() + row.tokens.len() == row.length as usize;
                if line.contains(&row.id) && new {
                    charges.extend(spread(prices, row.tokens.len(), priced.granularity));
                }
            }
        }
        charges
    }

    /// The tracker's z of every token must say what the charges say.
    fn compare_z(&self, at: usize, constraint: &Constraint, charges: &[f64]) -> Result<(), Wrong> {
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

    /// The sum in one piece must be that of the row that was priced so, and hold where the answer is within its budgets.
    fn compare_whole(&self, at: usize, priced: &PricedConstraint, row: BeamKey) -> Result<(), Wrong> {
        let charges = self.charges(priced, &[row]);
        // A cost that reads the language model is not priced again.
        if charges.len() != self.outcome.tokens.len() {
            return Ok(());
        }
        let (name, audit) = (&priced.constraint.name, self.audit(priced, &charges));
        let within = self.outcome.status == Status::WithinBudget;
        match self.outcome.constraints.get(at).and_then(|report| report.whole) {
            None if !within => return Ok(()),
            Some(whole) if near(whole, audit.sum) => {}
            found => {
                let found = found.map_or_else(|| "nothing".to_owned(), |whole| whole.to_string());
                return Err(sum(&format!("`whole` of `{name}`"), &found, &audit.sum.to_string()));
            }
        }
        if within && !audit.holds(&priced.constraint) {
            return Err(sum("status", "within_budget", &format!("budget_exceeded: `{name}`, priced in one piece")));
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
            if !near(found, expected) {
                return Err(sum(&format!("`{what}` of `{name}`"), &found.to_string(), &expected.to_string()));
            }
        }
        Ok(())
    }
}

fn near(found: f64, expected: f64) -> bool {
    (found - expected).abs() <= ROUNDING * (1.0 + expected.abs()) || found == expected
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
