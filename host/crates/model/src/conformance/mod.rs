//! What every back end must show before beams are entrusted to it.
//!
//! # Key types
//! - [`language`]: the checks of a [`Model`](crate::Model).
//! - [`generator`]: the checks of a [`BackEnd`](crate::BackEnd), by its abilities.
//! - [`score`]: the checks of a [`ScoreModel`](crate::ScoreModel).
//! - [`ConformanceError`]: the check that failed, and what was found.
//!
//! # Usage
//! Call them from a test of the back end, with a function that makes a fresh model for each check.
//! ```
//! use inferenceguard_model::{conformance::{self, LanguageOptions}, toy::ToyScript};
//! let script = ToyScript::parse("vocab: <eos>* a b c\nafter : a 3, b 2\nafter b a : c 1")?;
//! conformance::language(|| Box::new(script.model()), &LanguageOptions::default())?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! **Invariant**: only what the traits promise is checked; no test framework is needed.

mod generator;
mod language;
mod score;

use crate::{ModelError, ModelInfo, Sampled, Scored, Token};

pub use generator::{Conformity, GeneratorOptions, Skipped, generator};
pub use language::{LanguageOptions, language};
pub use score::{ScoreOptions, score};

/// A promise that a back end does not keep.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConformanceError {
    /// A call failed that should have worked.
    #[error("check '{check}': a call failed that should have worked: {source}")]
    Call {
        /// The check.
        check: &'static str,
        /// The error of the back end.
        source: ModelError,
    },
    /// The answer is not what the trait promises.
    #[error("check '{check}': {found}")]
    Broken {
        /// The check.
        check: &'static str,
        /// What was expected and what was found.
        found: String,
    },
    /// The options do not allow the checks.
    #[error("the options do not fit: {0}")]
    Options(String),
}

/// The tokens of a model that are not special.
struct Ordinary(Vec<Token>);

impl Ordinary {
    /// # Errors
    /// [`ConformanceError::Options`] for a model with fewer than 3 of them, or with a smaller `context`.
    fn of(info: &ModelInfo, context: usize) -> Result<Self, ConformanceError> {
        let all: Vec<Token> = (0..info.vocab as Token).filter(|t| !info.special.contains(t)).collect();
        if all.len() >= 3 && info.context >= context {
            return Ok(Self(all));
        }
        Err(ConformanceError::Options(format!(
            "expected 3 tokens that are not special and a context of {context}, found {} and {}",
            all.len(),
            info.context
        )))
    }

    /// `len` of them, others for another `variant`, neighbours in the list differing.
    fn some(&self, variant: usize, len: usize) -> Vec<Token> {
        let at = |i: usize| (variant * 7 + i * (variant + 5) + i * i * 3) % self.0.len();
        (0..len).map(|i| self.0[at(i)]).collect()
    }
}

/// How a check ends, before its name is added.
enum Failure {
    Call(ModelError),
    Broken(String),
}

type Outcome<T = ()> = Result<T, Failure>;

impl From<ModelError> for Failure {
    fn from(error: ModelError) -> Self {
        Self::Call(error)
    }
}

impl Failure {
    fn named(self, check: &'static str) -> ConformanceError {
        match self {
            Self::Call(source) => ConformanceError::Call { check, source },
            Self::Broken(found) => ConformanceError::Broken { check, found },
        }
    }
}

fn ensure(holds: bool, found: impl FnOnce() -> String) -> Outcome {
    if holds { Ok(()) } else { Err(Failure::Broken(found())) }
}

/// An error of the right kind is due.
fn ensure_error<T>(
    result: Result<T, ModelError>,
    what: &str,
    expected: &str,
    is_it: impl Fn(&ModelError) -> bool,
) -> Outcome {
    match result {
        Ok(_) => Err(Failure::Broken(format!("{what}: expected the error {expected}, but the call succeeded"))),
        Err(error) => ensure(is_it(&error), || format!("{what}: expected the error {expected}, found: {error}")),
    }
}

/// Equal within `tolerance`, absolute for small numbers and relative for large ones. Equal infinities are equal.
fn ensure_close(what: &str, expected: &[f32], found: &[f32], tolerance: f32) -> Outcome {
    let (wanted, got) = (expected.len(), found.len());
    ensure(wanted == got, || format!("{what}: expected {wanted} numbers, found {got}"))?;
    let close = |(a, b): (&f32, &f32)| a == b || (a - b).abs() <= tolerance * a.abs().max(1.0);
    match expected.iter().zip(found).position(|pair| !close(pair)) {
        None => Ok(()),
        Some(i) => {
            let (a, b) = (expected[i], found[i]);
            Err(Failure::Broken(format!("{what}: number {i} should be {a}, found {b} (tolerance {tolerance})")))
        }
    }
}

fn ensure_scores(what: &str, expected: &Scored, found: &Scored, tolerance: f32) -> Outcome {
    ensure_close(what, &expected.tokens, &found.tokens, tolerance)?;
    ensure_close(&format!("{what}, end"), &[expected.end], &[found.end], tolerance)
}

fn ensure_sampled(what: &str, expected: &Sampled, found: &Sampled, tolerance: f32) -> Outcome {
    let (wanted, got) = (expected.token, found.token);
    ensure(wanted == got, || format!("{what}: expected token {wanted}, found {got}"))?;
    ensure_close(what, &[expected.logprob], &[found.logprob], tolerance)
}
