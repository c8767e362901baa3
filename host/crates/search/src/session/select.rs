//! Decisions: keep, price, retry, answer, and what happens when nothing is fit.

use super::{Phase, Session};
use crate::{
    Batch, Decision, Finish, OnExhausted, PricedConstraint, Release, Retry, Role, RoleFailure, SearchError, Source,
    beam::{Beam, Ledger, Recheck},
    check::Check,
};
use inferenceguard_model::{GrowingText, Token};

impl Session {
    pub(super) fn take_decision(
        &mut self,
        batch: &Batch,
        decision: Result<Decision, RoleFailure>,
    ) -> Result<(), SearchError> {
        let check = Check { role: Role::Policy, component: "policy" };
        match decision.and_then(|d| check.decision(d, batch)) {
            // After a failure of a component, an unsafe row is neither kept nor emitted.
            Ok(Decision::Keep(rows)) if self.forsaken(&rows) => self.exhausted(),
            Ok(Decision::Answer(row)) if self.forsaken(&[row]) => self.exhausted(),
            Ok(Decision::Keep(rows)) => self.keep(&rows),
            Ok(Decision::Price(rows)) => {
                self.price_rows(rows.iter().map(|r| *r as usize).collect());
                // Rows on which a component failed cannot be priced; they are settled, and unsafe.
                for r in rows {
                    self.rows[r as usize].priced |= self.rows[r as usize].failed;
                }
                Ok(())
            }
            Ok(Decision::Retry(retry)) => self.again(retry),
            Ok(Decision::Answer(row)) => self.answer(row as usize),
            Ok(Decision::Exhausted) => self.exhausted(),
            Err(failure) => self.abandon(failure),
        }
    }

    /// Whether a component failed in this request and one of these rows is not safe.
    fn forsaken(&self, rows: &[u32]) -> bool {
        !self.failures.is_empty() && rows.iter().any(|row| !self.rows[*row as usize].safe(&self.constraints))
    }

    fn keep(&mut self, rows: &[u32]) -> Result<(), SearchError> {
        let picked: Vec<Beam> = rows.iter().map(|r| self.rows[*r as usize].clone()).collect();
        self.runners_up = self.runners_up_of(rows);
        let (pool, live): (Vec<_>, Vec<_>) = picked.into_iter().partition(Beam::finished);
        (self.pool, self.live) = (pool, live);
        self.next_chunk(rows.first().is_some_and(|r| self.rows[*r as usize].finished()))
    }

    fn runners_up_of(&self, kept: &[u32]) -> Vec<Beam> {
        if !self.config.backtrack {
            return Vec::new();
        }
        let spare =
            |(i, b): &(usize, &Beam)| !kept.contains(&(*i as u32)) && !b.finished() && b.safe(&self.constraints);
        self.rows.iter().enumerate().filter(spare).map(|(_, b)| b.clone()).take(kept.len()).collect()
    }

    fn next_chunk(&mut self, best_finished: bool) -> Result<(), SearchError> {
        self.chunk += 1;
        self.commit(best_finished);
        self.release_agreed()?;
        if self.live.is_empty() || self.chunk >= self.config.limits.chunks {
            self.stop_growing();
        } else {
            self.phase = Phase::Plan;
        }
        Ok(())
    }

    /// Ends all rows. Rows that could have grown are priced once more, as ended ones, so that prices due at the end and
    /// withheld tails are charged.
    fn stop_growing(&mut self) {
        for beam in &mut self.live {
            beam.finish = Some(Finish::Length);
            beam.priced = beam.failed;
        }
        self.rows = std::mem::take(&mut self.live);
        self.rows.extend(self.pool.iter().cloned());
        self.candidates = 0;
        self.price_rows((0..self.rows.len()).collect());
    }

    /// With `commit(c)`, every c chunks only the best beam goes on.
    fn commit(&mut self, best_finished: bool) {
        let Release::Commit(every) = self.config.release else { return };
        if !self.chunk.is_multiple_of(every) {
            return;
        }
        if best_finished {
            self.live.clear();
            self.pool.truncate(1);
        } else {
            self.live.truncate(1);
            self.pool.clear();
        }
    }

    fn again(&mut self, retry: Retry) -> Result<(), SearchError> {
        let forced = matches!(self.plan.as_ref().map(|plan| plan.source), Some(Source::Expand(_)));
        let spent = self.attempt >= self.config.limits.retries;
        // The same tokens would be forced again, and a failed component fails again.
        if forced || spent || !self.failures.is_empty() || self.candidates == 0 || self.lost() {
            return self.exhausted();
        }
        for beam in &self.rows[..self.candidates] {
            for (offset, token) in beam.tokens[beam.born..].iter().enumerate() {
                if let Some(counts) = self.failed_tokens.get_mut(offset) {
                    *counts.entry(*token).or_default() += 1;
                }
            }
        }
        if let Some(plan) = &mut self.plan
            && let Some(total) = plan.retry_candidates
        {
            plan.candidates = spread(total, plan.candidates.len());
        }
        self.usage.retries += 1;
        self.attempt += 1;
        self.retry = Some(retry);
        self.rows.clear();
        self.offset = 0;
        self.begin_chunk();
        Ok(())
    }

    /// Whether every parent of the chunk has broken a budget for good, so that all further candidates would break it too.
    fn lost(&self) -> bool {
        self.config.revision >= 1 && self.live.iter().all(|beam| beam.lost(&self.constraints))
    }

    /// Emits the row, after a safe one was also priced in one piece, and as its re-tokenised text.
    fn answer(&mut self, row: usize) -> Result<(), SearchError> {
        if self.rows[row].safe(&self.constraints)
            && let Some(double) = self.double(row)?
        {
            self.checking = Some(row);
            self.rows.push(double);
            self.price_rows(vec![self.rows.len() - 1]);
            return Ok(());
        }
        let beam = self.rows[row].clone();
        self.emit(&beam)
    }

    /// The next check of a row that would be the answer: a beam of the same text to price from its first token on, or
    /// nothing if all checks were done.
    fn double(&mut self, row: usize) -> Result<Option<Beam>, SearchError> {
        let costs = || self.config.constraints.iter().map(|priced| priced.cost.as_str());
        let bound: Vec<bool> = costs().map(|cost| self.reads_model(cost)).collect();
        let fixed: Vec<bool> = costs().map(|cost| self.reads_beam(cost)).collect();
        if fixed.iter().all(|fixed| *fixed) {
            return Ok(None);
        }
        let done = std::mem::replace(&mut self.rows[row].rechecked, Recheck::Respelled);
        let some = bound.iter().any(|bound| !bound);
        if done == Recheck::None && self.config.revision >= 1 && some {
            self.rows[row].rechecked = Recheck::Whole;
            return Ok(Some(self.twin(row, self.rows[row].tokens.clone(), &bound)?));
        }
        if done == Recheck::Respelled {
            return Ok(None);
        }
        let tokens = self.respelled(row)?;
        let differs = !tokens.is_empty() && tokens != self.rows[row].tokens;
        differs.then(|| self.twin(row, tokens, &fixed)).transpose()
    }

    /// The ids of the row's text as it would be emitted, encoded again after the prompt.
    fn respelled(&self, row: usize) -> Result<Vec<Token>, SearchError> {
        let beam = &self.rows[row];
        let mut tokens = self.encoded_again(beam)?;
        if beam.finish == Some(Finish::Eos) {
            tokens.extend(beam.tokens.last());
        }
        Ok(tokens)
    }

    /// A beam with these tokens and the row's end, charged for nothing yet. What cannot be priced is taken over from the row.
    fn twin(&mut self, row: usize, tokens: Vec<Token>, bound: &[bool]) -> Result<Beam, SearchError> {
        let (finish, ledgers) = (self.rows[row].finish, self.rows[row].ledgers.clone());
        let mut twin = Beam::root(self.states.clone(), self.config.margin).child(self.new_key(), self.chunk, 0);
        for (i, ledger) in ledgers.into_iter().enumerate().filter(|(i, _)| bound[*i]) {
            twin.ledgers[i] = Ledger { charged: tokens.len(), ..ledger };
        }
        twin.logprobs = vec![0.0; tokens.len()];
        twin.text = GrowingText::default().with(self.tokenizer.as_ref(), &tokens)?;
        (twin.tokens, twin.finish) = (tokens, finish);
        Ok(twin)
    }

    /// The tokens of the beam's answer as a text that goes on from the prompt, with the space that it may begin with.
    fn encoded_again(&self, beam: &Beam) -> Result<Vec<Token>, SearchError> {
        let tokenizer = self.tokenizer.as_ref();
        let whole = GrowingText::continued(tokenizer).with(tokenizer, &beam.tokens)?;
        let (whole, text, answer) = (whole.text(), beam.text.text(), beam.answer_text());
        let space = whole.strip_suffix(text).unwrap_or_default();
        Ok(tokenizer.encode_continued(&[space, answer].concat())?)
    }

    /// Whether a cost reads what only the language model gives.
    fn reads_model(&self, cost: &str) -> bool {
        self.roles.costs.get(cost).is_some_and(|cost| cost.needs.newest_position() || cost.needs.logprobs)
    }

    /// Whether a cost reads what only a beam of the search has. The latents of every token are none of that: the language model
    /// gives them for any text, if it reads it once more.
    fn reads_beam(&self, cost: &str) -> bool {
        let Some(needs) = self.roles.costs.get(cost).map(|cost| &cost.needs) else { return false };
        let newest = needs.top_k > 0 || needs.logits || needs.latents.is_some() || needs.logprobs;
        newest || (self.config.revision < 3 && !needs.token_latents.is_empty())
    }

    /// Takes the verdict on a double, if there is one, and lets the policy decide again.
    pub(super) fn take_double_verdict(&mut self) {
        let Some(row) = self.checking.take() else { return };
        let Some(double) = self.rows.pop() else { return };
        if !double.safe(&self.constraints) {
            self.rows[row].failed = true;
        }
        if self.rows[row].rechecked == Recheck::Whole {
            self.rows[row].whole = self.sums(&double);
        }
    }

    /// The sum of each constraint; none where the language model would have had to run over the tokens again.
    fn sums(&self, double: &Beam) -> Vec<Option<f64>> {
        let sum = |(priced, ledger): (&PricedConstraint, &Ledger)| {
            (!self.reads_model(&priced.cost)).then_some(ledger.audit.sum)
        };
        self.config.constraints.iter().zip(&double.ledgers).map(sum).collect()
    }

    fn exhausted(&mut self) -> Result<(), SearchError> {
        let released = self.released.clone();
        let runners_up = std::mem::take(&mut self.runners_up);
        if !runners_up.is_empty() && self.failures.is_empty() && released.is_empty() {
            self.usage.backtracks += 1;
            self.live = runners_up;
            self.phase = Phase::Plan;
            return Ok(());
        }
        // Rows that were lost may have been fit: whether anything was fit is not known.
        self.count_lost();
        if self.config.on_exhausted == OnExhausted::Refuse || !self.failures.is_empty() {
            return self.refuse();
        }
        self.fall_back()
    }

    /// Continues with the rows that break budgets least, or pay best: as many as the policy keeps. Never called after a
    /// component failed, or the newest attempt lost rows.
    fn fall_back(&mut self) -> Result<(), SearchError> {
        let mut rows: Vec<u32> = (0..self.rows.len() as u32).filter(|r| self.rows[*r as usize].priced).collect();
        let failed = |r: &u32| self.rows[*r as usize].failed;
        let key = |r: &u32| {
            let beam = &self.rows[*r as usize];
            match self.config.on_exhausted {
                OnExhausted::LeastViolation => -beam.least_margin(&self.constraints),
                _ => beam.task_cost.unwrap_or(f64::INFINITY),
            }
        };
        rows.sort_by(|a, b| failed(a).cmp(&failed(b)).then(key(a).total_cmp(&key(b))).then(a.cmp(b)));
        rows.truncate(
            self.plan.as_ref().and_then(|plan| plan.keep).map_or(self.live.len().max(1), |keep| keep as usize),
        );
        match rows.first() {
            None => self.refuse(),
            Some(best) if self.rows[*best as usize].finished() => self.answer(*best as usize),
            Some(_) => self.keep(&rows),
        }
    }
}

/// Spreads `total` evenly over the beams: better beams get the rest, and each gets at least one.
fn spread(total: u32, beams: usize) -> Vec<u32> {
    let beams = beams.max(1) as u32;
    (0..beams).map(|beam| (total / beams + u32::from(beam < total % beams)).max(1)).collect()
}
