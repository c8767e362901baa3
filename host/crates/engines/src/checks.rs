//! What every answer must fit, whatever the engine.

use crate::{Contradiction, Fault, http::Failed};
use inferenceguard_model::Token;

/// The text that both tokenizers must cut alike: words, numbers, spaces, code, characters of two to four bytes.
pub(crate) const CANARY: &str =
    "The kitchen knife costs 1,234.50 – naïve? «Ja!»\n\n  def f(x):\treturn x**2  # 你好 🙂 don't";

/// How far above 0 rounding may put a log-probability.
const ABOVE: f32 = 1e-3;

/// What an answer must fit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) prompt: &'a [Token],
    pub(crate) max: usize,
    pub(crate) end: &'a [Token],
    pub(crate) vocab: usize,
}

impl Asked<'_> {
    /// The positions of prompt and answer that the engine says it computed, together; at most as many as there are. The engine's
    /// numbers may be any, and they are added up.
    pub(crate) fn positions(&self, (prompt, answer): (u64, u64)) -> u64 {
        prompt.saturating_add(answer).min((self.prompt.len() + self.max) as u64)
    }
}

/// Checks that this is a log-probability.
pub(crate) fn logprob(found: Option<f32>, at: usize) -> Result<f32, Contradiction> {
    found.filter(|value| value.is_finite() && *value <= ABOVE).ok_or(Contradiction::Logprob { at })
}

/// Checks that the model has this token.
pub(crate) fn token(id: i64, vocab: usize) -> Result<Token, Contradiction> {
    let known = Token::try_from(id).ok().filter(|token| (*token as usize) < vocab);
    known.ok_or(Contradiction::Token { token: id, vocab })
}

pub(crate) fn unwrapped<T>(result: Result<T, Failed>) -> Result<T, Fault> {
    result.map_err(|failed| failed.fault)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_call_computes_more_positions_than_it_was_asked_for() {
        let asked = Asked { prompt: &[1, 2, 3], max: 4, end: &[], vocab: 9 };
        for (found, counted) in [((3, 4), 7), ((0, 2), 2), ((3, u64::MAX), 7), ((u64::MAX, u64::MAX), 7)] {
            assert_eq!(asked.positions(found), counted, "{found:?}");
        }
    }
}
