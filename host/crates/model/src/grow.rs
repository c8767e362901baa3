//! Growing rows by chunks: the unit in which a search asks for tokens.

use crate::{BeamId, GrowingText, Pick, SampleRequest, Token, stop_at};
use serde::{Deserialize, Serialize};

/// What all rows of one call have in common.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Growth {
    /// Tokens per row, at least 1; a row ends earlier only by `end` or `stop`.
    pub max_tokens: u32,
    /// How every token is sampled. Each token's own `pick`, `repeated` and `penalties` replace those of this request.
    pub sampling: SampleRequest,
    /// Penalties by offset in the chunk: entry `o` is the `penalties` of every row's token at offset `o`. Offsets beyond the
    /// last entry have none. `sampling.penalty_mass` caps each offset.
    pub penalties: Vec<Vec<(Token, f32)>>,
    /// Tokens that end a row. They are part of it.
    pub end: Vec<Token>,
    /// Texts that end a row at the token that completes them.
    pub stop: Vec<String>,
}

impl Growth {
    /// The request for the next token of `row` to the reference sampler. `grown` are the row's own tokens so far; the token's
    /// offset is their number.
    #[must_use]
    pub fn request<B>(&self, row: &GrowRow<B>, grown: &[Token]) -> SampleRequest {
        let offset = grown.len();
        SampleRequest {
            pick: row.picks.get(offset).copied().unwrap_or(self.sampling.pick),
            penalties: self.penalties.get(offset).cloned().unwrap_or_default(),
            repeated: self.repeated(&row.repeated, grown),
            ..self.sampling.clone()
        }
    }

    /// As [`SampleRequest::repeated`]: `before` and the tokens that came since, in rising order, each once.
    fn repeated(&self, before: &[Token], grown: &[Token]) -> Vec<Token> {
        if self.sampling.repetition_penalty == 1.0 {
            return Vec::new();
        }
        let new = |token: &Token| self.sampling.prompt.binary_search(token).is_err();
        let mut repeated: Vec<Token> = before.iter().copied().chain(grown.iter().copied().filter(new)).collect();
        repeated.sort_unstable();
        repeated.dedup();
        repeated
    }

    /// Whether a row ends with `token`, the newest one of `text`. The first `searched` bytes of the text hold no stop text.
    #[must_use]
    pub fn ends(&self, token: Token, text: &GrowingText, searched: usize) -> bool {
        self.end.contains(&token) || stop_at(text.text(), searched, &self.stop).is_some()
    }
}

/// One row to grow: a new beam that continues `parent`. `B` names beams: [`BeamId`] for a back end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GrowRow<B = BeamId> {
    /// The beam that it continues; it stays as it is. Several rows may have one parent.
    pub parent: B,
    /// How the token at each offset is chosen, one entry per token of the chunk: for back ends that draw by the reference
    /// sampler.
    pub picks: Vec<Pick>,
    /// The seed of the row, for engines that draw by themselves. It depends on the request's seed, the row's lineage and the
    /// attempt; two rows of one call never share it.
    pub seed: u64,
    /// [`SampleRequest::repeated`] of the first token: tokens of the answer so far. The back end adds the row's own tokens.
    /// Empty where repetition is not penalised.
    #[serde(skip)]
    pub repeated: Vec<Token>,
    /// The text of the answer so far, in which stop texts may begin. Empty where there are none.
    #[serde(skip)]
    pub text: GrowingText,
}

impl<B> GrowRow<B> {
    /// The same row, with its parent named in another way.
    #[must_use]
    pub fn of<C>(self, parent: C) -> GrowRow<C> {
        let Self { parent: _, picks, seed, repeated, text } = self;
        GrowRow { parent, picks, seed, repeated, text }
    }
}

/// One row as it was grown: at least one token.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Grown {
    /// The tokens, the token that ended the row included.
    pub tokens: Vec<Token>,
    /// The log-probability of each token under the model: before penalties, temperature and truncation.
    pub logprobs: Vec<f32>,
}
