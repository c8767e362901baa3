//! Tokens that score models withhold, priced as if the answer ended.
//!
//! A score model with another tokenizer withholds the newest word, because the next token may change how it is cut. A
//! decision between candidates that differ in that word alone would be blind. There the tail is scored as if the answer
//! ended here, on a scored beam of its own, for the task cost and for the sums that rankings read. Constraints are charged
//! only what is certain: `priced`, `safe` and all margins stay as they are without tails.

use super::{Phase, Session, price::sound};
use crate::{
    Batch, CostGrain, FailureKind, Granularity, Need, Role, RoleFailure, ScoreNeed, SearchError,
    beam::{Beam, ScoreTrack, Tail},
    check::Check,
};
use inferenceguard_model::Scored;

impl Session {
    /// Opens a tail for every score model that the cost at `at` reads and that has not scored the newest tokens.
    pub(super) fn foresee(&mut self, at: usize) {
        // Records of older versions are replayed without tails.
        if self.config.revision < 1 {
            return;
        }
        for row in self.targets.clone() {
            for model in self.models_for(row, at) {
                if self.rows[row].is_unseen(&model, self.chunk_len) {
                    let tail = Tail { key: self.new_key(), scored: None };
                    self.rows[row].scores.entry(model).or_default().tail = Some(tail);
                }
            }
        }
    }

    /// Takes the scores of a tail; a row that is gone needs none.
    pub(super) fn take_tail(
        &mut self,
        need: &ScoreNeed,
        scored: Result<Scored, FailureKind>,
    ) -> Result<(), FailureKind> {
        let Some(beam) = self.rows.iter_mut().find(|beam| beam.tail_key(&need.model) == Some(need.beam)) else {
            return Ok(());
        };
        let track = beam.scores.entry(need.model.clone()).or_default();
        self.usage.scored_positions += (track.handed - track.tokens.len()) as u64;
        let sound = scored.and_then(|scored| {
            let whole = [&track.tokens[..], &scored.tokens].concat();
            let sound = sound(&ScoreTrack { tokens: whole, end: scored.end, tail: None, ..track.clone() }, need);
            if let Some(tail) = &mut track.tail {
                tail.scored = Some(scored);
            }
            sound
        });
        beam.failed |= sound.is_err();
        sound
    }

    /// Rows with a tail that the cost at `at` can price, with the range of its tokens. The task cost needs none: it
    /// is priced again at every decision, tail included.
    pub(super) fn tail_ranges(&self, at: usize) -> Vec<(usize, usize, usize)> {
        let Some(priced) = self.config.constraints.get(at) else { return Vec::new() };
        let Some(cost) = self.roles.costs.get(&priced.cost) else { return Vec::new() };
        if priced.granularity == Granularity::Terminal {
            return Vec::new();
        }
        let range =
            |row: &usize| (*row, self.rows[*row].ledgers[at].charged, self.rows[*row].foreseen(&cost.needs.scores));
        let rows = self.targets.iter().filter(|row| !self.rows[**row].failed).map(range);
        rows.filter(|(_, from, to)| from < to).collect()
    }

    pub(super) fn tail_need(&self, at: usize) -> Need {
        let cost = self.config.constraints.get(at).map(|priced| priced.cost.clone()).unwrap_or_default();
        let batch = self.price_batch(&cost, &self.tail_ranges(at), true);
        Need::PriceTail { cost, batch }
    }

    pub(super) fn take_tail_prices(
        &mut self,
        cost: &str,
        batch: &Batch,
        out: Result<Vec<Vec<f64>>, RoleFailure>,
    ) -> Result<(), SearchError> {
        let Phase::PriceTail(at) = self.phase else { return Ok(()) };
        let ranges = self.tail_ranges(at);
        let grain = self.roles.costs.get(cost).map_or(CostGrain::Token, |cost| cost.grain);
        let lens: Vec<usize> = batch.rows.iter().map(|row| row.tokens.len()).collect();
        let check = Check { role: Role::Cost, component: cost };
        match out.and_then(|out| check.prices(out, &lens, grain)) {
            Ok(prices) => {
                ranges.iter().zip(prices).for_each(|((i, ..), p)| self.rows[*i].ledgers[at].tail = p.iter().sum());
            }
            Err(failure) => {
                ranges.iter().for_each(|(i, ..)| self.rows[*i].failed = true);
                self.fail(failure);
            }
        }
        self.next_price(at + 1);
        Ok(())
    }

    /// What comes after a constraint was charged: its tail, if there is one.
    pub(super) fn next_after_charge(&mut self, at: usize) {
        if self.tail_ranges(at).is_empty() {
            self.next_price(at + 1);
        } else {
            self.phase = Phase::PriceTail(at);
        }
    }
}

impl Beam {
    /// Whether this model has all tokens of an unfinished beam and withholds scores: of any token, where chunks are one token
    /// long; else of all tokens of the chunk.
    fn is_unseen(&self, model: &str, chunk_len: u32) -> bool {
        let Some(track) = self.scores.get(model) else { return false };
        let (scored, handed) = (track.tokens.len(), track.handed);
        let blind = if chunk_len <= 1 { scored < handed } else { scored <= self.born && scored < handed };
        !self.failed && !self.finished() && handed == self.tokens.len() && track.tail.is_none() && blind
    }

    fn tail_key(&self, model: &str) -> Option<crate::BeamKey> {
        Some(self.scores.get(model)?.tail.as_ref()?.key)
    }

    /// What must be scored of a tail that was opened.
    pub(super) fn tail_need(&self, model: String) -> Option<ScoreNeed> {
        let track = self.scores.get(&model)?;
        let tail = track.tail.as_ref().filter(|tail| tail.scored.is_none())?;
        Some(ScoreNeed { beam: tail.key, anchor: track.anchor, tokens: Vec::new(), ended: true, model })
    }
}
