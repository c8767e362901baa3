//! What another engine may append to its answer, and what that does to the budgets.

use inferenceguard_model::Token;

/// How far above 0 rounding may put a log-probability.
const ABOVE: f32 = 1e-3;

/// One token that another engine may append.
#[derive(Debug, Clone, PartialEq)]
pub struct Piece {
    /// Its id there.
    pub token: Token,
    /// What it adds to the text, in UTF-8: perhaps a part of a character. Costs see a character once it is whole.
    pub bytes: Vec<u8>,
    /// Its log-probability, if that is known. Under a cost that reads log-probabilities, a piece without a finite one of at most 0,
    /// up to rounding, is a failure of that cost, and unsafe.
    pub logprob: Option<f32>,
    /// Whether the answer ends with it.
    pub ended: bool,
}

impl Piece {
    /// Its log-probability, if it is one: a logit or a probability in its place would make text look cheaper than it is.
    pub(crate) fn known_logprob(&self) -> Option<f32> {
        self.logprob.filter(|logprob| logprob.is_finite() && *logprob <= ABOVE)
    }

    /// Its part of the sum, which costs may read without a need. An unknown log-probability counts as the least likely of all.
    pub(crate) fn logprob_in_sum(&self) -> f64 {
        self.known_logprob().map_or(f64::NEG_INFINITY, f64::from)
    }
}

/// What a piece would do, or did.
#[derive(Debug, Clone, PartialEq)]
pub struct Metered {
    /// Whether tracker and audit hold every constraint with it.
    pub safe: bool,
    /// What is left of each budget, in the order of the constraints; negative infinity where a component failed.
    pub margins: Vec<f64>,
}
