//! Which part of the language model a network reads.

use super::error::CriticError;
use inferenceguard_model::LatentSelector;
use std::{fmt, str::FromStr};

/// A latent, or none: the control, which reads only budgets and length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// This latent.
    Latent(LatentSelector),
    /// None.
    Nothing,
}

impl Reading {
    /// The latent, if it reads one.
    #[must_use]
    pub fn latent(self) -> Option<LatentSelector> {
        match self {
            Self::Latent(selector) => Some(selector),
            Self::Nothing => None,
        }
    }

    /// Its name in the names of folders.
    #[must_use]
    pub fn folder(self) -> String {
        self.to_string().replace(':', "-")
    }
}

impl fmt::Display for Reading {
    /// As a network's metadata writes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Latent(LatentSelector::FinalNorm) => f.write_str("final-norm"),
            Self::Latent(LatentSelector::Layer(layer)) => write!(f, "layer:{layer}"),
            Self::Nothing => f.write_str("none"),
        }
    }
}

impl FromStr for Reading {
    type Err = CriticError;

    fn from_str(text: &str) -> Result<Self, CriticError> {
        let layer = text.strip_prefix("layer:").and_then(|number| number.parse().ok());
        match (text, layer) {
            ("final-norm", _) => Ok(Self::Latent(LatentSelector::FinalNorm)),
            ("none", _) => Ok(Self::Nothing),
            (_, Some(layer)) => Ok(Self::Latent(LatentSelector::Layer(layer))),
            _ => Err(CriticError::option("latents", text, "final-norm, layer:N, or none")),
        }
    }
}
