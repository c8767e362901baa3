//! Pricing rows: scores, prices, tracker. `priced` and `safe` are decided here.

use super::{Phase, Session};
use crate::{
    Advanced, Batch, CostGrain, FailureKind, Granularity, Need, OnExhausted, Pricing, Role, RoleFailure, ScoreNeed,
    SearchError, Tracked,
    beam::{Beam, ROOT, ScoreTrack},
    check::Check,
};
use inferenceguard_model::Scored;

impl Session {
    /// Begins to price these rows.
    pub(super) fn price_rows(&mut self, targets: Vec<usize>) {
        self.targets = targets.into_iter().filter(|i| !self.rows[*i].priced && !self.rows[*i].failed).collect();
        if self.targets.is_empty() {
            self.phase = Phase::Select;
        } else {
            self.next_price(0);
        }
    }

    /// Whether this row's task cost is computed. With pricing on demand it is computed only for rows that can be
    /// emitted: not for unsafe rows where the host refuses rather than falls back, and not for a double, which only checks
    /// another row.
    fn task_due(&self, row: usize) -> bool {
        // A double only checks another row's constraints.
        if self.checking.is_some() && self.config.revision >= 1 {
            return false;
        }
        let Some(plan) = self.plan.as_ref().filter(|plan| !plan.task_cost) else { return true };
        let (beam, falls_back) = (&self.rows[row], self.config.on_exhausted != OnExhausted::Refuse);
        let emittable = plan.pricing == Pricing::All || falls_back || beam.within(&self.constraints);
        beam.finished() && emittable && self.checking.is_none()
    }

    /// The score models that the cost at `at` reads of this row; the policy's own come with the first.
    pub(super) fn models_for(&self, row: usize, at: usize) -> Vec<String> {
        let task = at == self.config.constraints.len();
        let cost = self.cost_at(at).filter(|_| !task || self.task_due(row));
        let mut models =
            cost.and_then(|name| self.roles.costs.get(name)).map_or(Vec::new(), |c| c.needs.scores.clone());
        if at == 0 {
            models.extend(self.roles.policy.scores.clone());
        }
        models.sort();
        models.dedup();
        models
    }

    /// What must be scored before the cost at `at` can price.
    pub(super) fn score_needs(&self, at: usize) -> Vec<ScoreNeed> {
        let mut needs = Vec::new();
        for &row in self.targets.iter().filter(|row| !self.rows[**row].failed) {
            let beam = &self.rows[row];
            for model in self.models_for(row, at) {
                let (anchor, handed, ended) =
                    beam.scores.get(&model).map_or((ROOT, 0, false), |t| (t.anchor, t.handed, t.ended));
                if handed < beam.tokens.len() || (beam.finished() && !ended) {
                    let tokens = beam.tokens[handed..].to_vec();
                    needs.push(ScoreNeed { model, beam: beam.key, anchor, tokens, ended: beam.finished() });
                } else {
                    needs.extend(beam.tail_need(model));
                }
            }
        }
        needs
    }

    pub(super) fn take_scores(
        &mut self,
        needs: &[ScoreNeed],
        out: Vec<Result<Scored, FailureKind>>,
    ) -> Result<(), SearchError> {
        let mut failures = Vec::new();
        for (need, scored) in needs.iter().zip(out) {
            self.usage.scored_positions += need.tokens.len() as u64;
            if !self.scored.contains(&need.beam) {
                self.scored.push(need.beam);
            }
            let taken = match self.rows.iter_mut().find(|b| b.key == need.beam) {
                Some(beam) => beam.take_scores(need, scored),
                None => self.take_tail(need, scored),
            };
            failures.extend(taken.err());
        }
        let Phase::Score(at) = self.phase else { return Ok(()) };
        let component = self.cost_at(at).unwrap_or_default().to_owned();
        for kind in failures {
            let failure = RoleFailure { role: Role::Cost, component: component.clone(), kind };
            // Many rows may fail in the same way.
            if !self.failures.contains(&failure) {
                self.fail(failure);
            }
        }
        self.next_price(at);
        Ok(())
    }

    /// Costs in order: one per constraint, then the task.
    fn cost_at(&self, at: usize) -> Option<&str> {
        match self.config.constraints.get(at) {
            Some(priced) => Some(&priced.cost),
            None if at == self.config.constraints.len() => self.config.task.as_deref(),
            None => None,
        }
    }

    /// Moves to the first cost from `at` on that has rows to score or to price.
    pub(super) fn next_price(&mut self, at: usize) {
        for at in at..=self.config.constraints.len() {
            self.foresee(at);
            if !self.score_needs(at).is_empty() {
                self.phase = Phase::Score(at);
                return;
            }
            if !self.price_ranges(at).is_empty() {
                self.phase = Phase::Price(at);
                return;
            }
            if !self.tail_ranges(at).is_empty() {
                self.phase = Phase::PriceTail(at);
                return;
            }
        }
        self.targets_priced();
    }

    /// Rows to price at this cost, with their range of answer tokens.
    pub(super) fn price_ranges(&self, at: usize) -> Vec<(usize, usize, usize)> {
        let Some(info) = self.cost_at(at).and_then(|name| self.roles.costs.get(name)) else { return Vec::new() };
        let range = |row: &usize| {
            let beam = &self.rows[*row];
            let task = at == self.config.constraints.len();
            let to = if task { beam.foreseen(&info.needs.scores) } else { beam.scorable(&info.needs.scores) };
            let from = match self.config.constraints.get(at) {
                Some(c) if c.granularity == Granularity::Terminal && !beam.finished() => to,
                Some(_) => beam.ledgers[at].charged,
                None if self.task_due(*row) => 0,
                None => to,
            };
            (*row, from, to)
        };
        let ranges = self.targets.iter().filter(|i| !self.rows[**i].failed).map(range);
        ranges.filter(|(_, from, to)| from < to).collect()
    }

    pub(super) fn price_need(&self, at: usize) -> Need {
        let cost = self.cost_at(at).unwrap_or_default().to_owned();
        let tails = at == self.config.constraints.len();
        let batch = self.price_batch(&cost, &self.price_ranges(at), tails);
        Need::Price { cost, batch }
    }

    pub(super) fn take_prices(
        &mut self,
        cost: &str,
        batch: &Batch,
        out: Result<Vec<Vec<f64>>, RoleFailure>,
    ) -> Result<(), SearchError> {
        let Phase::Price(at) = self.phase else { return Ok(()) };
        let ranges = self.price_ranges(at);
        let task = at == self.config.constraints.len();
        let grain = self.roles.costs.get(cost).map_or(CostGrain::Token, |c| c.grain);
        let grain = if task { CostGrain::Chunk } else { grain };
        let lens: Vec<usize> = batch.rows.iter().map(|r| r.tokens.len()).collect();
        let check = Check { role: Role::Cost, component: cost };
        match out.and_then(|out| check.prices(out, &lens, grain)) {
            Ok(prices) if task => {
                ranges.iter().zip(prices).for_each(|((i, ..), p)| self.rows[*i].task_cost = Some(p[0]));
                self.next_price(at + 1);
            }
            Ok(prices) => {
                let granularity = self.config.constraints[at].granularity;
                let spread =
                    |((i, from, to), p): (&(usize, usize, usize), Vec<f64>)| (*i, spread(p, to - from, granularity));
                self.charges = ranges.iter().zip(prices).map(spread).collect();
                self.phase = Phase::Advance(at);
            }
            Err(failure) => {
                ranges.iter().for_each(|(i, ..)| self.rows[*i].failed = true);
                self.fail(failure);
                self.next_price(at + 1);
            }
        }
        Ok(())
    }

    pub(super) fn advance_need(&self, at: usize) -> Need {
        let row = |(i, costs): &(usize, Vec<f64>)| Tracked {
            state: self.rows[*i].ledgers[at].state.clone(),
            costs: costs.clone(),
            ended: self.rows[*i].finished(),
        };
        Need::Advance { constraint: self.constraints[at].clone(), rows: self.charges.iter().map(row).collect() }
    }

    pub(super) fn take_states(
        &mut self,
        asked: &[Tracked],
        out: Result<Vec<Advanced>, RoleFailure>,
    ) -> Result<(), SearchError> {
        let Phase::Advance(at) = self.phase else { return Ok(()) };
        let check = Check { role: Role::Tracker, component: "tracker" };
        let charges = std::mem::take(&mut self.charges);
        match out.and_then(|out| check.advanced(out, asked)) {
            Ok(out) => self.charge(at, charges, out),
            Err(failure) => {
                charges.iter().for_each(|(i, _)| self.rows[*i].failed = true);
                self.fail(failure);
            }
        }
        self.next_after_charge(at);
        Ok(())
    }

    /// Charges rows. A tracker whose z contradicts the host's own sum fails on that row; the first failure is reported.
    fn charge(&mut self, at: usize, charges: Vec<(usize, Vec<f64>)>, advanced: Vec<Advanced>) {
        let mut first = None;
        for ((row, costs), advanced) in charges.into_iter().zip(advanced) {
            let charged = self.rows[row].ledgers[at].charge(&self.constraints[at], &costs, advanced);
            if let Err(failure) = charged {
                self.rows[row].failed = true;
                first.get_or_insert(failure);
            }
        }
        self.failures.extend(first);
    }

    fn targets_priced(&mut self) {
        for i in std::mem::take(&mut self.targets) {
            self.usage.priced_beams += 1;
            self.rows[i].priced = true;
        }
        self.phase = Phase::Select;
        self.take_double_verdict();
    }
}

/// Whether a score model gave one score per token. A missing or an extra score would shift later scores onto other tokens.
pub(super) fn sound(track: &ScoreTrack, need: &ScoreNeed) -> Result<(), FailureKind> {
    let (found, handed) = (track.tokens.len(), track.handed);
    let bad = |found, expected| Err(FailureKind::Scores { model: need.model.clone(), found, expected });
    if found > handed || (need.ended && found < handed) {
        let least = if need.ended { "" } else { "at most " };
        return bad(format!("scores of {found} tokens"), format!("{least}{handed}"));
    }
    match track.tokens.iter().chain([&track.end]).find(|score| !score.is_finite()) {
        Some(score) => Err(FailureKind::not_finite(&need.model, *score)),
        None => Ok(()),
    }
}

impl Beam {
    fn take_scores(&mut self, need: &ScoreNeed, scored: Result<Scored, FailureKind>) -> Result<(), FailureKind> {
        let track = self.scores.entry(need.model.clone()).or_default();
        track.anchor = need.beam;
        track.handed += need.tokens.len();
        track.ended = need.ended;
        track.tail = None;
        let sound = scored.and_then(|scored| {
            track.tokens.extend(scored.tokens);
            track.end = scored.end;
            sound(track, need)
        });
        self.failed |= sound.is_err();
        sound
    }
}

/// Prices as one cost per token: spread as they are, or summed at the last token.
pub(crate) fn spread(prices: Vec<f64>, tokens: usize, granularity: Granularity) -> Vec<f64> {
    if prices.len() == tokens && granularity == Granularity::Token {
        return prices;
    }
    let mut out = vec![0.0; tokens];
    out[tokens - 1] = prices.iter().sum();
    out
}
