//! Scoring with another tokenizer: the text of the answer is encoded again with the score model's tokens.
//!
//! The text grows while the answer does, and its last word may still be split differently. So a tail is withheld: a token is
//! stable when whitespace has followed its word, when enough tokens have come after it, or when the answer has ended. If a
//! stable token changes nevertheless, the cache goes back to the last token that both encodings share; scores that were reported
//! stay.

use crate::{
    marked::Marked,
    tokenizer::{HfTokenizer, Spans},
};
use inferenceguard_model::{GrowingText, ModelError, Token, Tokenizer};
use std::sync::Arc;

/// Tokens that have this many after them are stable in any text, whitespace or not.
const TAIL: usize = 16;

/// How many of the prompt's last tokens may change when the answer follows.
const JOINT: usize = 4;

/// One token of the score model that is in the cache, after the prefix.
#[derive(Clone, Copy)]
struct ScoredToken {
    token: Token,
    /// Where it ends in the text, in bytes.
    end: usize,
    score: f32,
}

/// An answer in the tokens of the language model and in those of the score model.
#[derive(Clone)]
pub(crate) struct Retokenized {
    language: Arc<dyn Tokenizer>,
    /// The prompt, in the score model's template.
    prompt: Arc<Marked>,
    frame: bool,
    /// The tokens of the cache's prefix.
    prefix: Arc<[Token]>,
    /// The score at the prefix's last token.
    opening: f32,
    scored: Vec<ScoredToken>,
    /// The language model's tokens.
    answer: Vec<Token>,
    /// What they say; a cut character does not count.
    text: GrowingText,
    reported: usize,
    /// The text is scored up to this byte.
    stable: usize,
    /// Whether the last answer token is an end token with a score of its own.
    closed: bool,
}

/// How the cache changes with the text.
pub(crate) struct Update {
    /// How many tokens after the prefix stay.
    pub(crate) keep: usize,
    /// What comes after them.
    pub(crate) tokens: Vec<Token>,
    ends: Vec<usize>,
}

impl Retokenized {
    /// Begins an answer; returns the tokens of the prefix and those after it.
    pub(crate) fn new(
        language: Arc<dyn Tokenizer>,
        tokenizer: &HfTokenizer,
        prompt: Marked,
        frame: bool,
    ) -> Result<(Self, Update), ModelError> {
        let spans = tokenizer.encode_spans(&prompt, frame)?;
        if spans.tokens.is_empty() {
            return Err(ModelError::EmptyPrompt);
        }
        let prefix = spans.tokens.len().saturating_sub(JOINT).max(1);
        let retokenized = Self {
            language,
            prompt: prompt.into(),
            frame,
            prefix: spans.tokens[..prefix].into(),
            opening: f32::NAN,
            scored: Vec::new(),
            answer: Vec::new(),
            text: GrowingText::default(),
            reported: 0,
            stable: 0,
            closed: false,
        };
        let update = Update::from(&spans, prefix, 0, spans.tokens.len());
        Ok((retokenized, update))
    }

    /// The prefix's tokens.
    pub(crate) fn prefix(&self) -> &[Token] {
        &self.prefix
    }

    /// The tokens after the prefix whose scores stay.
    pub(crate) fn scored_tokens(&self) -> impl Iterator<Item = Token> {
        self.scored.iter().map(|scored| scored.token)
    }

    /// Takes the score at the prefix's last token.
    pub(crate) fn open(&mut self, score: f32) {
        self.opening = score;
    }

    /// Appends tokens of the language model; returns what the cache must do. `eos` closes answers that ended with an
    /// end token.
    pub(crate) fn extend(
        &mut self,
        tokenizer: &HfTokenizer,
        tokens: &[Token],
        ended: bool,
        eos: Option<Token>,
    ) -> Result<Update, ModelError> {
        for token in tokens {
            self.text.push(self.language.as_ref(), *token)?;
            self.answer.push(*token);
        }
        let whole = Marked::clone(&self.prompt).and_words(self.text.text());
        let mut spans = tokenizer.encode_spans(&whole, self.frame)?;
        let mut stable =
            if ended { spans.tokens.len() } else { stable_tokens(&spans, whole.text(), self.prompt.text().len()) };
        if let (true, Some(eos)) = (ended && self.ends_with_special()?, eos) {
            spans.tokens.push(eos);
            spans.spans.push(whole.text().len()..whole.text().len());
            stable = spans.tokens.len();
            self.closed = true;
        }
        self.stable = if ended { usize::MAX } else { end_of(&spans, stable) };
        Ok(self.follow(&spans, stable, ended))
    }

    /// Whether the last token says nothing, not even a part of a character.
    fn ends_with_special(&self) -> Result<bool, ModelError> {
        let Some(token) = self.answer.last() else { return Ok(false) };
        let mut bytes = Vec::new();
        self.language.spell(&mut self.language.continued(), *token, &mut bytes)?;
        Ok(bytes.is_empty())
    }

    /// What turns the tokens in the cache into those of the new encoding.
    fn follow(&mut self, spans: &Spans, stable: usize, ended: bool) -> Update {
        let from = self.prefix.len().min(stable);
        let new = &spans.tokens[from..stable];
        let common = self.scored.iter().zip(new).take_while(|(old, new)| old.token == **new).count();
        if common == new.len() && !ended {
            // The new encoding is shorter for now: the tokens in the cache stay until more text comes.
            return Update { keep: self.scored.len(), tokens: Vec::new(), ends: Vec::new() };
        }
        self.scored.truncate(common);
        Update::from(spans, from + common, common, stable)
    }

    /// Takes the scores of an update's tokens.
    pub(crate) fn take(&mut self, update: &Update, scores: &[f32]) {
        let new = update.tokens.iter().zip(&update.ends).zip(scores);
        self.scored.extend(new.map(|((token, end), score)| ScoredToken { token: *token, end: *end, score: *score }));
    }

    /// Scores of answer tokens that became scorable: each is the score at the last of our tokens that ends no later.
    pub(crate) fn report(&mut self) -> Vec<f32> {
        let mut scores = Vec::new();
        while self.reported < self.answer.len() {
            let end = self.prompt.text().len() + self.text.end(self.reported + 1);
            let last = self.reported + 1 == self.answer.len();
            if end > self.stable {
                break;
            }
            scores.push(if last && self.closed { self.end() } else { self.score_at(end) });
            self.reported += 1;
        }
        scores
    }

    fn score_at(&self, end: usize) -> f32 {
        // The end token's empty span lies at the end of the text and belongs to no other token.
        let scored = &self.scored[..self.scored.len().saturating_sub(usize::from(self.closed))];
        scored.iter().rfind(|t| t.end <= end).map_or(self.opening, |t| t.score)
    }

    /// The score at the last scored token.
    pub(crate) fn end(&self) -> f32 {
        self.scored.last().map_or(self.opening, |t| t.score)
    }
}

impl Update {
    fn from(spans: &Spans, from: usize, keep: usize, to: usize) -> Self {
        let mut end = 0;
        let ends = spans.spans[from..to].iter().map(|span| {
            end = end.max(span.end);
            end
        });
        Self { keep, ends: ends.collect(), tokens: spans.tokens[from..to].to_vec() }
    }
}

fn end_of(spans: &Spans, tokens: usize) -> usize {
    spans.spans[..tokens].iter().map(|span| span.end).max().unwrap_or(0)
}

/// How many tokens of an unfinished text are stable; those of the prompt count when a word has followed.
fn stable_tokens(spans: &Spans, whole: &str, prompt: usize) -> usize {
    let answer = &whole[prompt..];
    let space = answer.rfind(char::is_whitespace).map(|at| answer[..at].trim_end().len());
    // Before the first whitespace of the answer even the prompt's last tokens may change.
    let cut = space.map_or(0, |at| prompt + at);
    let closed = spans.spans.iter().take_while(|span| span.end <= cut).count();
    closed.max(spans.tokens.len().saturating_sub(TAIL))
}
