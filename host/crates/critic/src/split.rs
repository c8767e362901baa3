//! Splits prompts into three parts: for learning, for early stopping, and for measuring. A prompt's answers stay together.

use super::{
    collect::Trajectories,
    error::{CriticError, Result},
};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// How prompts are split.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shares {
    /// The share of prompts for early stopping and calibration.
    pub validation: f64,
    /// The share of prompts for the report, which take part in no decision.
    pub test: f64,
    /// The seed of the split.
    pub seed: u64,
}

impl Default for Shares {
    fn default() -> Self {
        Self { validation: 0.15, test: 0.15, seed: 0 }
    }
}

/// What each part has, as places: of answers in [`Trajectories::all`], or of labelled answers and pairs in their list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Split {
    /// For learning.
    pub train: Vec<usize>,
    /// For early stopping and calibration.
    pub validation: Vec<usize>,
    /// For the report.
    pub test: Vec<usize>,
}

impl Split {
    /// Splits by prompt: texts in the order of a seeded digest, so that prompts of the same text stay together and other
    /// prompts do not move a prompt far.
    ///
    /// # Errors
    /// When a share is not in (0, 1), both leave nothing to learn from, or there are fewer than three distinct prompts
    /// with answers.
    pub fn new(data: &Trajectories, shares: &Shares) -> Result<Self> {
        let texts = data.all.iter().map(|one| data.prompts[one.prompt].as_str());
        Self::by_text(texts, shares, "different prompts with answers")
    }

    /// Splits what has these texts, in the order of a seeded digest: places of equal texts stay together. `what` names the texts
    /// where they are too few.
    pub(crate) fn by_text<T: AsRef<str> + Ord>(
        texts: impl Iterator<Item = T>,
        shares: &Shares,
        what: &'static str,
    ) -> Result<Self> {
        check(shares)?;
        let mut groups: BTreeMap<(Vec<u8>, T), Vec<usize>> = BTreeMap::new();
        for (place, text) in texts.enumerate() {
            groups.entry((key(text.as_ref(), shares.seed), text)).or_default().push(place);
        }
        let found = groups.len();
        if found < 3 {
            return Err(CriticError::TooFew { what, found, expected: 3 });
        }
        let count = |share: f64| ((share * found as f64).round() as usize).clamp(1, found - 2);
        let validation = count(shares.validation);
        let test = count(shares.test).min(found - 1 - validation);
        let mut split = Self::default();
        for (at, places) in groups.into_values().enumerate() {
            let part = match at {
                at if at < validation => &mut split.validation,
                at if at < validation + test => &mut split.test,
                _ => &mut split.train,
            };
            part.extend(places);
        }
        for part in [&mut split.train, &mut split.validation, &mut split.test] {
            part.sort_unstable();
        }
        Ok(split)
    }
}

/// Refuses shares outside of (0, 1), and shares that leave nothing to learn from.
fn check(shares: &Shares) -> Result<()> {
    for (name, share) in [("validation", shares.validation), ("test", shares.test)] {
        if !(share > 0.0 && share < 1.0) {
            return Err(CriticError::option(name, share, "a share above 0, below 1"));
        }
    }
    if shares.validation + shares.test >= 1.0 {
        let found = format!("{} beside test {}", shares.validation, shares.test);
        return Err(CriticError::option("validation", found, "shares that leave something to learn from"));
    }
    Ok(())
}

/// The place of a text in a seeded order.
fn key(text: &str, seed: u64) -> Vec<u8> {
    let mut hash = Sha256::new();
    hash.update(seed.to_le_bytes());
    hash.update(text);
    hash.finalize().to_vec()
}
