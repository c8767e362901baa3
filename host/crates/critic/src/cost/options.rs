//! The options of a run.

use super::{aim::RewardObjective, conformal::needed, objective::CostObjective};
use crate::{
    error::{CriticError, Result},
    fit::Recipe,
    reading::Reading,
    split::Shares,
};
use inferenceguard_bundle::network::LayerActivation;
use inferenceguard_candle::DeviceChoice;
use inferenceguard_model::LatentSelector;
use std::{fmt, path::PathBuf, str::FromStr};

/// What a head reads: the latents of one selector, or of several side by side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeadInputs(pub Vec<LatentSelector>);

impl fmt::Display for HeadInputs {
    /// As a network's metadata and the setting `latent` of `linear-cost` write it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = self.0.iter().map(|place| Reading::Latent(*place).to_string()).collect();
        f.write_str(&names.join("+"))
    }
}

impl FromStr for HeadInputs {
    type Err = CriticError;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || CriticError::option("latents", text, "final-norm or layer:N, several joined by +, each once");
        let place = |one: &str| one.trim().parse::<Reading>().ok().and_then(Reading::latent).ok_or_else(wrong);
        let places: Vec<LatentSelector> = text.split('+').map(place).collect::<Result<_>>()?;
        let twice = places.iter().enumerate().any(|(at, place)| places[..at].contains(place));
        if twice { Err(wrong()) } else { Ok(Self(places)) }
    }
}

/// What trainings of costs and rewards have in common: the latents of labelled answers, one head for each of `readings`, and the
/// best of them.
#[derive(Debug, Clone, PartialEq)]
pub struct HeadOptions {
    /// Receives `latents/`, checkpoints, the network, its report and its plot.
    pub out: PathBuf,
    /// What each head reads; the one with the least loss on the validation is written.
    pub readings: Vec<HeadInputs>,
    /// The most tokens of an answer that are read.
    pub max_tokens: usize,
    /// How prompts are split.
    pub shares: Shares,
    /// How heads are trained; a depth of 0 is a linear head.
    pub recipe: Recipe,
    /// Where heads are trained.
    pub device: DeviceChoice,
    /// The most bytes of latents that lie in memory; the training reads the others from their files. It changes no number.
    pub memory: usize,
}

/// The training of a cost.
#[derive(Debug, Clone, PartialEq)]
pub struct CostOptions {
    /// The heads. The network is `cost.safetensors`; beside it lie `cost.json` and `reliability.svg`.
    pub heads: HeadOptions,
    /// What they learn.
    pub objective: CostObjective,
    /// The least `harm` of a harmful answer.
    pub threshold: f64,
    /// Whether harmful and harmless answers count as much in sum.
    pub balanced: bool,
    /// The share of harmless answers that a budget may refuse, where one is to be found for it.
    pub alpha: Option<f64>,
}

/// The training of a reward.
#[derive(Debug, Clone, PartialEq)]
pub struct RewardOptions {
    /// The heads, each of one latent. The network is `reward.safetensors`; beside it lie `reward.json` and `reliability.svg`.
    pub heads: HeadOptions,
    /// What they learn.
    pub objective: RewardObjective,
}

/// A linear head: minutes on one core for a model of 135 million parameters.
#[must_use]
pub fn cost_recipe() -> Recipe {
    Recipe {
        hidden: 64,
        depth: 0,
        activation: LayerActivation::Silu,
        rate: 1e-3,
        weight_decay: 0.1,
        epochs: 60,
        patience: 10,
        ..Recipe::default()
    }
}

impl HeadOptions {
    fn check(&self) -> Result<()> {
        self.recipe.check()?;
        if self.readings.is_empty() {
            return Err(nothing_to_read());
        }
        if self.max_tokens == 0 {
            return Err(CriticError::option("max-tokens", 0, "at least 1"));
        }
        Ok(())
    }

    /// All selectors that some head reads, each once.
    pub(super) fn places(&self) -> Vec<LatentSelector> {
        let mut places = Vec::new();
        for place in self.readings.iter().flat_map(|reading| &reading.0) {
            if !places.contains(place) {
                places.push(*place);
            }
        }
        places
    }
}

pub(super) fn nothing_to_read() -> CriticError {
    CriticError::option("latents", "nothing", "at least one, such as final-norm")
}

impl CostOptions {
    pub(super) fn check(&self) -> Result<()> {
        self.heads.check()?;
        self.alpha.map_or(Ok(0), needed)?;
        match self.threshold {
            threshold if threshold > 0.0 && threshold <= 1.0 => Ok(()),
            threshold => Err(CriticError::option("harmful-from", threshold, "a number above 0, at most 1")),
        }
    }
}

impl RewardOptions {
    pub(super) fn check(&self) -> Result<()> {
        self.heads.check()?;
        match self.heads.readings.iter().find(|places| places.0.len() > 1) {
            Some(places) => Err(CriticError::option("latents", places, "one latent for each head: a reward reads one")),
            None => Ok(()),
        }
    }
}
