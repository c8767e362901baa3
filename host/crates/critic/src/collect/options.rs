//! How trajectories are sampled, and the setting that their files carry.

use super::rows::MEMORY;
use crate::{
    error::{CriticError, Result},
    files::{LATENTS, OFF, Setting, hex},
    reading::Reading,
};
use inferenceguard_model::{LatentSelector, ModelInfo};
use inferenceguard_search::Sampling;
use sha2::{Digest, Sha256};

/// How trajectories are sampled.
#[derive(Debug, Clone, PartialEq)]
pub struct CollectOptions {
    /// Answers per prompt (5 in the paper's reviews).
    pub answers: usize,
    /// Latents are kept at every multiple of this many answer tokens, at the answer's end, and before its first token.
    pub spacing: usize,
    /// The most answer tokens.
    pub max_tokens: usize,
    /// The seed of all draws.
    pub seed: u64,
    /// How the language model is sampled.
    pub sampling: Sampling,
    /// Which latents are kept; each once.
    pub latents: Vec<LatentSelector>,
    /// Prompts answered at once, and kept in one file.
    pub batch: usize,
    /// The most bytes of latents that lie in memory; the training reads the others from their files. It changes no number.
    pub memory: usize,
}

impl Default for CollectOptions {
    fn default() -> Self {
        Self {
            answers: 5,
            spacing: 8,
            max_tokens: 128,
            seed: 0,
            sampling: Sampling::default(),
            latents: vec![LatentSelector::FinalNorm],
            batch: 16,
            memory: MEMORY,
        }
    }
}

impl CollectOptions {
    pub(super) fn check(&self) -> Result<()> {
        let counts = [
            ("answers", self.answers),
            ("every", self.spacing),
            ("max-tokens", self.max_tokens),
            ("prompts-at-once", self.batch),
        ];
        if let Some((name, count)) = counts.iter().find(|(_, count)| *count == 0) {
            return Err(CriticError::option(name, count, "at least 1"));
        }
        match self.sampling.out_of_range() {
            None => Ok(()),
            Some(wrong) => Err(CriticError::option(wrong.field, wrong.found, wrong.expected)),
        }
    }
}

/// Everything that the content of a file of trajectories follows from.
pub(super) fn setting(
    model: &ModelInfo,
    labels: String,
    constraints: &[String],
    prompts: &[String],
    options: &CollectOptions,
) -> Setting {
    let latents: Vec<String> = options.latents.iter().map(|one| Reading::Latent(*one).to_string()).collect();
    let mut entries = vec![
        ("format", "inferenceguard trajectories 1".to_owned()),
        ("model", model.fingerprint.clone()),
        ("labels", labels),
        ("constraints", constraints.join(",")),
        ("prompts", digest(prompts)),
        (LATENTS, latents.join(",")),
        ("answers", options.answers.to_string()),
        ("every", options.spacing.to_string()),
        ("max-tokens", options.max_tokens.to_string()),
        ("seed", options.seed.to_string()),
        ("temperature", options.sampling.temperature.to_string()),
        ("top-k", options.sampling.top_k.to_string()),
        ("top-p", options.sampling.top_p.to_string()),
        ("prompts-at-once", options.batch.to_string()),
    ];
    let later = [("min-p", options.sampling.min_p), ("repetition-penalty", options.sampling.repetition_penalty)];
    let later = later.map(|(name, value)| (name, value.to_string()));
    entries.extend(later.into_iter().filter(|(name, value)| !OFF.contains(&(*name, value.as_str()))));
    Setting::new(entries)
}

fn digest(texts: &[String]) -> String {
    let mut hash = Sha256::new();
    for text in texts {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    }
    format!("{} with sha256:{}", texts.len(), hex(hash))
}
