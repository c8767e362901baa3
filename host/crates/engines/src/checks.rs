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
