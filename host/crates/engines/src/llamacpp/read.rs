//! Reads answers of `/completion`, and checks every field.

use super::wire::{COMPLETION, Completed, Probability};
use crate::{
    Contradiction, Fault,
    checks::{Asked, logprob, token},
    error::quoted,
    http::malformed,
};
use inferenceguard_model::{ByteText, Likely, Token, Tokenizer};

/// A row that was checked, except for log-probabilities that the server left out.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Found {
    pub(crate) tokens: Vec<Token>,
    /// Nothing at a token that leaves a character unfinished: the server gives none there.
    pub(crate) logprobs: Vec<Option<f32>>,
    pub(crate) positions: u64,
}

/// The tokens of an answer up to an end token.
pub(crate) fn row(bytes: &[u8], asked: Asked<'_>, tokenizer: &dyn Tokenizer) -> Result<Found, Fault> {
    let answer = completed(bytes, asked)?;
    let mut tokens = known(answer.tokens.iter().copied(), asked.vocab)?;
    let mut logprobs = aligned(&tokens, &answer.completion_probabilities, tokenizer)?;
    ended(&answer.stop_type, &tokens, asked)?;
    // Its own list of end tokens may be shorter than the model's.
    let kept = tokens.iter().position(|token| asked.end.contains(token)).map_or(tokens.len(), |at| at + 1);
    tokens.truncate(kept);
    logprobs.truncate(kept);
    Ok(Found { tokens, logprobs, positions: asked.positions(answer.timings.positions()) })
}

fn completed(bytes: &[u8], asked: Asked<'_>) -> Result<Completed, Fault> {
    let answer: Completed = serde_json::from_slice(bytes).map_err(|error| malformed(COMPLETION, &error))?;
    let (found, sent) = (answer.tokens_evaluated, asked.prompt.len());
    if found != sent {
        return Err(Contradiction::Prompt { found, sent }.into());
    }
    if answer.truncated {
        return Err(Contradiction::Clipped { found: answer.tokens.len(), max: asked.max }.into());
    }
    Ok(answer)
}

fn known(ids: impl Iterator<Item = i64>, vocab: usize) -> Result<Vec<Token>, Contradiction> {
    ids.map(|id| token(id, vocab)).collect()
}

fn ended(stop: &str, tokens: &[Token], asked: Asked<'_>) -> Result<(), Contradiction> {
    let Some(last) = tokens.last() else { return Err(Contradiction::Empty) };
    let (found, max) = (tokens.len(), asked.max);
    if found > max {
        return Err(Contradiction::TooMany { found, max });
    }
    match stop {
        "eos" if asked.end.contains(last) => Ok(()),
        "eos" => Err(Contradiction::OtherEnd { token: *last }),
        "limit" if found == max => Ok(()),
        "limit" => Err(Contradiction::Clipped { found, max }),
        other => Err(Contradiction::Finish { found: quoted(other) }),
    }
}

/// One log-probability for each token, where there is one.
fn aligned(tokens: &[Token], given: &[Probability], tokenizer: &dyn Tokenizer) -> Result<Vec<Option<f32>>, Fault> {
    let wrong = || Fault::from(Contradiction::Logprobs { found: given.len(), expected: tokens.len() });
    let mut given = given.iter();
    let whole = given.len() == tokens.len();
    let (mut text, mut state) = (ByteText::default(), tokenizer.continued());
    let mut aligned = Vec::with_capacity(tokens.len());
    for (at, token) in tokens.iter().enumerate() {
        let mut bytes = Vec::new();
        let spelled = tokenizer.spell(&mut state, *token, &mut bytes);
        spelled.map_err(|error| Fault::Malformed { path: COMPLETION, reason: quoted(&error.to_string()) })?;
        text.push(&bytes);
        if !whole && !text.pending().is_empty() {
            aligned.push(None);
            continue;
        }
        let one = given.next().filter(|one| one.id == i64::from(*token)).ok_or_else(wrong)?;
        aligned.push(Some(logprob(one.logprob, at)?));
    }
    if given.next().is_some() { Err(wrong()) } else { Ok(aligned) }
}

/// The most likely tokens at the first position, best first, ties by token.
pub(crate) fn likely(bytes: &[u8], asked: Asked<'_>) -> Result<(Vec<Likely>, u64), Fault> {
    let answer = completed(bytes, asked)?;
    let Some(first) = answer.completion_probabilities.first() else {
        return Err(Contradiction::Logprobs { found: 0, expected: 1 }.into());
    };
    let tokens = known(first.top_logprobs.iter().map(|top| top.id), asked.vocab)?;
    let values = first.top_logprobs.iter().map(|top| logprob(top.logprob, 0)).collect::<Result<Vec<_>, _>>()?;
    let mut best: Vec<Likely> =
        tokens.into_iter().zip(values).map(|(token, logprob)| Likely { token, logit: logprob, logprob }).collect();
    best.sort_by(|a, b| b.logprob.total_cmp(&a.logprob).then(a.token.cmp(&b.token)));
    Ok((best, asked.positions(answer.timings.positions())))
}
