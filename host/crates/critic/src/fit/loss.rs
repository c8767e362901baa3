//! The loss: cross-entropy of every logit, and the squared error of the scaled value, averaged over examples.
//!
//! No class is weighted. Cross-entropy is least at the true probabilities however rare a class is, so nothing has to be
//! undone later; a rare class is helped by beginning at the base rate instead.

use candle_core::{Result, Tensor};

/// Of a batch: outputs `[rows, logits + 1]`, `safe [rows, logits]` of 0 and 1, `values [rows, 1]`, scaled.
pub(super) fn loss(outputs: &Tensor, safe: Option<&Tensor>, values: &Tensor) -> Result<Tensor> {
    let logits = outputs.dim(1)? - 1;
    let squares = outputs.narrow(1, logits, 1)?.sub(values)?.sqr()?.mean_all()?;
    let Some(safe) = safe else { return Ok(squares) };
    let found = outputs.narrow(1, 0, logits)?;
    // max(x, 0) - x y + ln(1 + e^-|x|): the cross-entropy without overflow.
    let tail = (found.abs()?.neg()?.exp()? + 1.0)?.log()?;
    let entropy = ((found.relu()? - (&found * safe)?)? + tail)?;
    entropy.sum(1)?.mean_all()?.add(&squares)
}

/// The cross-entropy of one logit, in nats.
pub(crate) fn entropy(logit: f64, safe: f64) -> f64 {
    logit.max(0.0) - logit * safe + (-logit.abs()).exp().ln_1p()
}

/// 1 / (1 + e^-x).
pub(crate) fn sigmoid(logit: f64) -> f64 {
    1.0 / (1.0 + (-logit).exp())
}
