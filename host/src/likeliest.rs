//! The most likely tokens at each position of an answer, for requests that ask for them.

use crate::{CancelToken, EngineError, back_ends, beams::Beams};
use inferenceguard_model::{Abilities, Generator, Token};
use inferenceguard_search::{Outcome, ROOT};

/// Whether the engine gives as many.
///
/// # Errors
/// [`EngineError::TopLogprobs`].
pub(crate) fn check(asked: u32, vocab: usize, abilities: &Abilities) -> Result<(), EngineError> {
    let (found, most) = (asked.min(u32::try_from(vocab).unwrap_or(u32::MAX)), abilities.likeliest);
    if found <= most {
        return Ok(());
    }
    Err(EngineError::TopLogprobs { found: asked, most, engine: back_ends::engine(&abilities.engine) })
}

/// Reads prompt and answer once more. Gives, for each token of the answer, the `most` most likely tokens at its position with
/// their log-probabilities, likeliest first, without impossible tokens. A cancelled call gives fewer positions.
pub(crate) fn likeliest(
    model: &mut dyn Generator,
    prompt: &[Token],
    answer: &Outcome,
    most: u32,
    cancel: &CancelToken,
) -> Result<Vec<Vec<(Token, f32)>>, EngineError> {
    let (mut places, mut beams) = (Vec::new(), Beams::new(model));
    let wanted = if most == 0 { &[] } else { answer.tokens.as_slice() };
    for (at, token) in wanted.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|before| wanted.get(before));
        match place(&mut beams, prompt, before, most) {
            _ if cancel.is_cancelled() => break,
            Ok(found) => places.push(kept(found, *token, answer.logprobs.get(at).copied())),
            Err(error) => return Err(error),
        }
    }
    Ok(places)
}

/// The most likely tokens after the prompt, or after one token more than before.
fn place(
    beams: &mut Beams<'_>,
    prompt: &[Token],
    before: Option<&Token>,
    most: u32,
) -> Result<Vec<(Token, f32)>, EngineError> {
    match before {
        None => beams.prefill(prompt)?,
        Some(before) => beams.step(&[], &[(ROOT, *before)])?,
    }
    let found = beams.likeliest(&[ROOT], most)?.into_iter().flatten();
    Ok(found.filter(|one| one.logprob.is_finite()).map(|one| (one.token, one.logprob)).collect())
}

/// The answer's own token keeps the number of the answer: another batch may round differently.
fn kept(mut found: Vec<(Token, f32)>, token: Token, logprob: Option<f32>) -> Vec<(Token, f32)> {
    for (other, number) in &mut found {
        if *other == token {
            *number = logprob.unwrap_or(*number);
        }
    }
    found
}
