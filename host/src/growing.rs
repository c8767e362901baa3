//! Grows the rows of a chunk: by the model, or with the tokens of an answer that exists already.

use crate::{EngineError, abilities, beams::Beams, driver::Driver};
use inferenceguard_model::{GrowingText, Grown, Growth, ModelError, Token, Tokenizer};
use inferenceguard_search::{BeamKey, FailureKind, GrowNeed, SearchError};
use std::{collections::VecDeque, sync::Arc};

/// The tokens of an answer that exists already. They are taken one after the other instead of drawn ones.
pub(crate) struct Forced {
    tokens: VecDeque<Token>,
    /// Whether a role reads their log-probabilities. An engine behind HTTP has to be asked for each.
    logprobs: bool,
}

impl Forced {
    pub(crate) fn new(tokens: &[Token], logprobs: bool) -> Self {
        Self { tokens: tokens.iter().copied().collect(), logprobs }
    }

    /// What the roles see as the log-probabilities of these tokens: zeros where none of them reads any.
    fn logprobs(&self, beams: &mut Beams<'_>, asked: &[(BeamKey, Token)]) -> Result<Vec<f32>, ModelError> {
        if self.logprobs { beams.logprobs(asked) } else { Ok(vec![0.0; asked.len()]) }
    }
}

/// A row that takes given tokens.
struct Taking {
    need: GrowNeed,
    text: GrowingText,
    grown: Grown,
    ended: bool,
}

impl Taking {
    fn new(need: GrowNeed) -> Self {
        Self { text: need.row.text.clone(), need, grown: Grown::default(), ended: false }
    }

    fn push(&mut self, growth: &Growth, by: &dyn Tokenizer, token: Token, logprob: f32) -> Result<(), ModelError> {
        let searched = self.text.text().len();
        self.text.push(by, token)?;
        self.grown.tokens.push(token);
        self.grown.logprobs.push(logprob);
        self.ended = growth.ends(token, &self.text, searched);
        Ok(())
    }
}

impl Driver<'_> {
    /// Grows every row to its end or to the length of the chunk.
    pub(crate) fn grow(
        &mut self,
        growth: Growth,
        needs: Vec<GrowNeed>,
    ) -> Result<Vec<Result<Grown, FailureKind>>, EngineError> {
        match &mut self.forced {
            None => {
                let growth = abilities::check_penalties(&self.method, growth, &self.abilities)?;
                Ok(self.beams.grow(&growth, needs)?)
            }
            Some(forced) => Ok(force_tokens(&mut self.beams, &growth, needs, forced)?.into_iter().map(Ok).collect()),
        }
    }
}

/// Grows every row with the next of the given tokens: the same for all rows.
fn force_tokens(
    beams: &mut Beams<'_>,
    growth: &Growth,
    needs: Vec<GrowNeed>,
    forced: &mut Forced,
) -> Result<Vec<Grown>, EngineError> {
    let forks: Vec<(BeamKey, BeamKey)> = needs.iter().map(|need| (need.row.parent, need.beam)).collect();
    beams.step(&forks, &[])?;
    let (mut rows, tokenizer): (Vec<Taking>, Arc<_>) =
        (needs.into_iter().map(Taking::new).collect(), beams.tokenizer());
    for _ in 0..growth.max_tokens {
        let mut going: Vec<&mut Taking> = rows.iter_mut().filter(|row| !row.ended).collect();
        if going.is_empty() {
            break;
        }
        let token = forced.tokens.pop_front().ok_or_else(used_up)?;
        let newest = going.iter().filter_map(|row| Some((row.need.beam, *row.grown.tokens.last()?)));
        beams.step(&[], &newest.collect::<Vec<_>>())?;
        let asked: Vec<(BeamKey, Token)> = going.iter().map(|row| (row.need.beam, token)).collect();
        for (row, logprob) in going.iter_mut().zip(forced.logprobs(beams, &asked)?) {
            row.push(growth, tokenizer.as_ref(), token, logprob)?;
        }
    }
    Ok(rows.into_iter().map(|row| row.grown).collect())
}

/// The error for a search that goes on after the last given token.
fn used_up() -> SearchError {
    SearchError::Protocol {
        need: "to price an answer",
        answer: "it asks for more tokens than the answer has".to_owned(),
    }
}
