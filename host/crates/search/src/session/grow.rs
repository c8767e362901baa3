//! Growing whole chunks: what is asked of the back end, and what is checked of its answer.

use super::Session;
use crate::{FailureKind, GrowNeed, Need, Role, RoleFailure, SearchError};
use inferenceguard_model::{GrowRow, GrowingText, Grown, Growth, Token};

/// How far above 0 rounding may lift a log-probability.
const ROUNDING: f32 = 1e-3;

impl Session {
    pub(super) fn grow_need(&self) -> Need {
        Need::Grow { growth: self.growth(), rows: (0..self.candidates).map(|row| self.grow_row(row)).collect() }
    }

    /// What all candidates of the chunk have in common.
    fn growth(&self) -> Growth {
        let penalised = if self.retry.is_some() { self.chunk_len } else { 0 };
        Growth {
            max_tokens: self.chunk_len,
            sampling: self.sampling(&[]),
            penalties: (0..penalised).map(|offset| self.penalties(offset)).collect(),
            end: self.vocabulary.eos.clone(),
            stop: self.config.stop.clone(),
        }
    }

    fn grow_row(&self, row: usize) -> GrowNeed {
        let beam = &self.rows[row];
        let searched = !self.config.stop.is_empty();
        let row = GrowRow {
            parent: beam.parent,
            picks: self.picks(row),
            seed: beam.lineage.seed(self.config.seed, self.attempt),
            repeated: self.sampling(&beam.tokens).repeated,
            text: if searched { beam.text.clone() } else { GrowingText::default() },
        };
        GrowNeed { beam: beam.key, row }
    }

    /// Takes the rows as they were grown. Those that are not as asked are dropped; without any other the request fails.
    pub(super) fn take_growth(&mut self, out: Vec<Result<Grown, FailureKind>>) -> Result<(), SearchError> {
        self.usage.sampled_tokens += out.iter().flatten().map(|grown| grown.tokens.len() as u64).sum::<u64>();
        let taken: Vec<_> = out.into_iter().enumerate().map(|(row, grown)| self.take_row(row, grown)).collect();
        let mut kept = taken.iter().map(Result::is_ok);
        self.rows.retain(|_| kept.next().unwrap_or(false));
        self.candidates = self.rows.len();
        self.usage.lost_rows += (taken.len() - self.candidates) as u64;
        self.lost_row = taken.into_iter().find_map(Result::err);
        if self.rows.is_empty() && self.lost_row.is_some() {
            self.count_lost();
            return self.refuse();
        }
        self.chunk_grown();
        Ok(())
    }

    /// Rows of the newest attempt that were lost become a failure of the language model.
    pub(super) fn count_lost(&mut self) {
        if let Some(kind) = self.lost_row.take() {
            self.fail(RoleFailure { role: Role::Model, component: "language".into(), kind });
        }
    }

    /// Appends what a candidate was grown by, if that is what was asked for.
    fn take_row(&mut self, row: usize, grown: Result<Grown, FailureKind>) -> Result<(), FailureKind> {
        let Grown { tokens, logprobs } = grown?;
        // The back end has a beam of it, whatever it holds: it is released like any other.
        self.rows[row].held = true;
        self.held.push(self.rows[row].key);
        self.check_row(&tokens, &logprobs)?;
        for (at, (token, logprob)) in tokens.iter().zip(logprobs).enumerate() {
            if self.rows[row].finished() {
                return Err(bad(format!("{} tokens", tokens.len()), format!("{at}: it ends with the last of these")));
            }
            self.append(row, *token, logprob).map_err(|error| bad(error.to_string(), "tokens of the vocabulary"))?;
        }
        if tokens.len() < self.chunk_len as usize && !self.rows[row].finished() {
            return Err(bad(
                format!("{} tokens without an end", tokens.len()),
                format!("{}, or fewer with an end", self.chunk_len),
            ));
        }
        Ok(())
    }

    /// Checks what can be checked without the text.
    fn check_row(&self, tokens: &[Token], logprobs: &[f32]) -> Result<(), FailureKind> {
        if tokens.is_empty() || tokens.len() > self.chunk_len as usize {
            return Err(bad(format!("{} tokens", tokens.len()), format!("1 to {}", self.chunk_len)));
        }
        if logprobs.len() != tokens.len() {
            let found = format!("{} log-probabilities", logprobs.len());
            return Err(bad(found, format!("{}, as many as tokens", tokens.len())));
        }
        if let Some(token) = tokens.iter().find(|token| **token >= self.vocabulary.size) {
            return Err(bad(format!("the token {token}"), format!("tokens below {}", self.vocabulary.size)));
        }
        match logprobs.iter().find(|logprob| logprob.is_nan() || **logprob > ROUNDING) {
            Some(wrong) => Err(bad(format!("the log-probability {wrong}"), "numbers that are 0 or below")),
            None => Ok(()),
        }
    }
}

fn bad(found: impl Into<String>, expected: impl Into<String>) -> FailureKind {
    FailureKind::BadOutput { found: found.into(), expected: expected.into() }
}
