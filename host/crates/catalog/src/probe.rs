//! What a model computes at every position of a text, and how far two devices are apart.

use crate::CatalogError;
use inferenceguard_candle::{HfTokenizer, LoadOptions, Probe, Prober};
use inferenceguard_model::{Token, Tokenizer, top_k};
use serde::Serialize;
use std::{fmt, path::Path};

/// What a model computes along a text.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The model's name.
    pub model: String,
    /// One entry per token.
    pub positions: Vec<Position>,
}

/// One token of the text.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Position {
    /// The token.
    pub token: Token,
    /// Its text; empty for special tokens.
    pub text: String,
    /// The Euclidean norm of the latent.
    pub latent_norm: f64,
    /// The largest logits of the next token.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub top: Vec<Top>,
    /// The score, for a score model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score: Option<f32>,
}

/// A token that may follow.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Top {
    /// The token.
    pub token: Token,
    /// Its text.
    pub text: String,
    /// Its logit.
    pub logit: f32,
}

impl Report {
    /// The report of a probe, with the `top` largest logits of each position.
    #[must_use]
    pub fn new(model: &str, probe: &Probe, tokenizer: &HfTokenizer, top: usize) -> Self {
        Self { model: model.to_owned(), positions: positions(probe, tokenizer, top) }
    }
}

/// How far two devices are apart on one text.
#[derive(Debug, Clone, PartialEq)]
pub struct Apart {
    /// The two devices.
    devices: String,
    latents: f32,
    heads: f32,
}

/// The largest allowed difference between two devices, as a share of the largest number.
const FAR: f32 = 0.02;

impl Apart {
    /// Compares what was found on the device `here` with what the device `there` computes in f32.
    ///
    /// # Errors
    /// [`CatalogError::Model`] for a device that is not there, or a model that it cannot run.
    pub fn measure(
        folder: &Path,
        text: &str,
        (here, found): (&str, &Probe),
        there: &str,
    ) -> Result<Self, CatalogError> {
        let reference = LoadOptions { device: there.parse()?, ..LoadOptions::default() };
        let expected = Prober::load(folder, &reference)?.run(text)?;
        let (latents, heads) = differences(found, &expected);
        Ok(Self { devices: format!("{here} and {there}"), latents, heads })
    }

    /// Refuses more than 2 %.
    ///
    /// # Errors
    /// [`CatalogError::Apart`].
    pub fn check(&self) -> Result<(), CatalogError> {
        let fits = self.latents <= FAR && self.heads <= FAR;
        fits.then_some(()).ok_or_else(|| CatalogError::Apart { devices: self.devices.clone(), most: FAR })
    }
}

impl fmt::Display for Apart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { devices, latents, heads } = self;
        write!(f, "{devices}: latents {latents:.2e} apart, logits or scores {heads:.2e}")
    }
}

/// How far two probes of the same text are apart, as the largest difference over the largest number: of the latents, then of the
/// logits or scores. Infinite if the lengths differ or a number is not finite.
#[must_use]
pub fn differences(found: &Probe, expected: &Probe) -> (f32, f32) {
    let head = |probe: &Probe| probe.logits.as_ref().map(|table| table.data.clone()).or_else(|| probe.scores.clone());
    let (found_head, expected_head) = (head(found).unwrap_or_default(), head(expected).unwrap_or_default());
    (apart(&found.latents.data, &expected.latents.data), apart(&found_head, &expected_head))
}

/// The largest difference over the largest number; infinite if the lengths differ or a number is not finite.
fn apart(found: &[f32], expected: &[f32]) -> f32 {
    let scale = expected.iter().fold(f32::MIN_POSITIVE, |most, value| most.max(value.abs()));
    let all = found.iter().zip(expected).fold(0.0f32, |most, (a, b)| {
        let difference = (a - b).abs();
        if difference.is_finite() { most.max(difference) } else { f32::INFINITY }
    });
    if found.len() == expected.len() { all / scale } else { f32::INFINITY }
}

fn positions(probe: &Probe, tokenizer: &HfTokenizer, top: usize) -> Vec<Position> {
    let one = |(at, token): (usize, &Token)| {
        let latent = &probe.latents.data[at * probe.latents.width..(at + 1) * probe.latents.width];
        let logits = probe.logits.as_ref().map(|table| &table.data[at * table.width..(at + 1) * table.width]);
        let best = logits.map(|logits| top_k(logits, top)).unwrap_or_default();
        Position {
            token: *token,
            text: text(tokenizer, *token),
            latent_norm: latent.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt(),
            top: best.into_iter().map(|(token, logit)| Top { token, text: text(tokenizer, token), logit }).collect(),
            score: probe.scores.as_ref().map(|scores| scores[at]),
        }
    };
    probe.tokens.iter().enumerate().map(one).collect()
}

/// The text of a token; empty for special tokens and for ids beyond the tokenizer's vocabulary.
fn text(tokenizer: &HfTokenizer, token: Token) -> String {
    tokenizer.decode(&[token]).unwrap_or_default()
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = self.positions.iter().enumerate().map(|(at, position)| {
            let top = position.top.iter().map(|top| format!("{:?} {:.3}", top.text, top.logit)).collect::<Vec<_>>();
            let found = position.score.map_or_else(|| top.join("  "), |score| format!("score {score:.4}"));
            let text = format!("{:?}", position.text);
            format!("{at:>4} {:>7} {text:<16} |h| {:>9.3}  {found}", position.token, position.latent_norm)
        });
        f.write_str(&lines.collect::<Vec<_>>().join("\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::apart;

    #[test]
    fn differences_are_shares_of_the_largest_number() {
        assert_eq!(apart(&[1.0, -4.0], &[1.0, -4.0]), 0.0);
        assert_eq!(apart(&[1.0, -3.0], &[1.0, -4.0]), 0.25);
        for wrong in [&[1.0][..], &[1.0, f32::NAN], &[f32::INFINITY, -4.0]] {
            assert_eq!(apart(wrong, &[1.0, -4.0]), f32::INFINITY, "{wrong:?}");
        }
    }
}
