//! The most likely tokens at each position of an answer, for requests that ask for them.

use crate::{CancelToken, EngineError, beams::Beams};
use inferenceguard_model::{Model, Token};
use inferenceguard_search::{Outcome, ROOT};

/// Reads prompt and answer once more. Gives, for each token of the answer, the `most` most likely tokens at its position with
/// their log-probabilities, likeliest first, without impossible tokens. A cancelled call gives fewer positions.
pub(crate) fn likeliest(
    model: &mut dyn Model,
    prompt: &[Token],
    answer: &Outcome,
    most: u32,
    cancel: &CancelToken,
) -> Result<Vec<Vec<(Token, f32)>>, EngineError> {
    let (mut places, mut beams) = (Vec::new(), Beams::new(model));
    let wanted = if most == 0 { &[] } else { answer.tokens.as_slice() };
    for (at, (token, logprob)) in wanted.iter().zip(&answer.logprobs).enumerate() {
        if cancel.is_cancelled() {
            break;
        }
        match at.checked_sub(1).and_then(|before| wanted.get(before)) {
            None => beams.prefill(prompt)?,
            Some(before) => beams.step(&[], &[(ROOT, *before)])?,
        }
        let found = beams.expand(&[ROOT], most)?.into_iter().flatten().filter(|one| one.logprob.is_finite());
        // The answer's own token keeps the number of the answer: another batch may round differently.
        places.push(found.map(|one| (one.token, if one.token == *token { *logprob } else { one.logprob })).collect());
    }
    Ok(places)
}
