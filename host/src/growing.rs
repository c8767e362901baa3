//! Grows the rows of a chunk token by token.

use crate::{EngineError, driver::Driver};
use inferenceguard_model::{GrowingText, Grown, Growth, ModelError, Sampled, Tokenizer};
use inferenceguard_search::{BeamKey, FailureKind, GrowNeed, SampleNeed};
use std::collections::VecDeque;

/// One row on its way.
struct Growing {
    need: GrowNeed,
    text: GrowingText,
    grown: Grown,
    ended: bool,
}

impl Growing {
    fn new(need: GrowNeed) -> Self {
        Self { text: need.row.text.clone(), need, grown: Grown::default(), ended: false }
    }

    /// The first token is drawn from the parent: all rows of one parent share its logits.
    fn source(&self) -> BeamKey {
        if self.grown.tokens.is_empty() { self.need.row.parent } else { self.need.beam }
    }

    fn push(&mut self, growth: &Growth, tokenizer: &dyn Tokenizer, one: Sampled) -> Result<(), ModelError> {
        let searched = self.text.text().len();
        self.text.push(tokenizer, one.token)?;
        self.grown.tokens.push(one.token);
        self.grown.logprobs.push(one.logprob);
        self.ended = growth.ends(one.token, &self.text, searched);
        Ok(())
    }
}

impl Driver<'_> {
    /// Grows every row to its end or to the length of the chunk.
    pub(crate) fn grow(
        &mut self,
        growth: &Growth,
        needs: Vec<GrowNeed>,
    ) -> Result<Vec<Result<Grown, FailureKind>>, EngineError> {
        let tokenizer = self.beams.tokenizer();
        let forks: Vec<(BeamKey, BeamKey)> = needs.iter().map(|need| (need.row.parent, need.beam)).collect();
        self.beams.step(&forks, &[])?;
        let mut rows: Vec<Growing> = needs.into_iter().map(Growing::new).collect();
        for _ in 0..growth.max_tokens {
            let mut going: Vec<&mut Growing> = rows.iter_mut().filter(|row| !row.ended).collect();
            if going.is_empty() {
                break;
            }
            self.extend(&going)?;
            let drawn = self.draw(growth, &going)?;
            for (row, one) in going.iter_mut().zip(drawn) {
                row.push(growth, tokenizer.as_ref(), one)?;
            }
        }
        Ok(rows.into_iter().map(|row| Ok(row.grown)).collect())
    }

    /// Appends the newest token of each row to its beam.
    fn extend(&mut self, going: &[&mut Growing]) -> Result<(), EngineError> {
        let newest = |row: &&mut Growing| Some((row.need.beam, *row.grown.tokens.last()?));
        let rows: Vec<_> = going.iter().filter_map(newest).collect();
        self.watch.step(rows.len());
        Ok(self.beams.step(&[], &rows)?)
    }

    fn draw(&mut self, growth: &Growth, going: &[&mut Growing]) -> Result<Vec<Sampled>, EngineError> {
        let need = |row: &&mut Growing| SampleNeed {
            from: row.source(),
            request: growth.request(&row.need.row, &row.grown.tokens),
        };
        let needs: Vec<SampleNeed> = going.iter().map(need).collect();
        Ok(match self.forced.as_mut().map(VecDeque::pop_front) {
            Some(token) => self.beams.take(&needs, token)?,
            None => self.beams.sample(needs)?,
        })
    }
}
