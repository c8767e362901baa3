//! Growing token by token: where latents are steered before each token, and in replays of traces that were made so.

use super::{Phase, Session};
use crate::{RoleFailure, SampleNeed, SearchError};
use inferenceguard_model::{SampleRequest, Sampled};

impl Session {
    pub(super) fn take_steering(&mut self, done: Result<(), RoleFailure>) -> Result<(), SearchError> {
        let Phase::Steer { then, .. } = self.phase.clone() else { return Ok(()) };
        if let Err(failure) = done {
            return self.abandon(failure);
        }
        self.phase = *then;
        self.enter();
        Ok(())
    }

    fn sampling_rows(&self) -> Vec<usize> {
        (0..self.candidates).filter(|i| !self.rows[*i].finished()).collect()
    }

    pub(super) fn sample_needs(&self) -> Vec<SampleNeed> {
        let penalties = self.penalties(self.offset);
        let need = |row: usize| {
            let beam = &self.rows[row];
            let from = if self.offset == 0 { beam.parent } else { beam.key };
            let (pick, penalties) = (self.pick(row, self.offset), penalties.clone());
            SampleNeed { from, request: SampleRequest { pick, penalties, ..self.sampling(&beam.tokens) } }
        };
        self.sampling_rows().into_iter().map(need).collect()
    }

    pub(super) fn take_samples(&mut self, out: &[Sampled]) -> Result<(), SearchError> {
        for (row, sample) in self.sampling_rows().into_iter().zip(out) {
            self.append(row, sample.token, sample.logprob)?;
        }
        self.usage.sampled_tokens += out.len() as u64;
        self.offset += 1;
        let going = !self.sampling_rows().is_empty();
        if self.offset < self.chunk_len && going {
            self.phase = Phase::StepCandidates;
            self.skip_empty_step();
        } else {
            self.chunk_grown();
        }
        Ok(())
    }
}
