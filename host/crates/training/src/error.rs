//! What can go wrong when a critic or a cost is trained by name.

use inferenceguard_bundle::{BundleError, network::WriteError};
use inferenceguard_catalog::CatalogError;
use inferenceguard_critic::{CriticError, labels::LabelError};
use inferenceguard_eval::EvalError;
use inferenceguard_host::EngineError;
use inferenceguard_model::from_boxed;
use inferenceguard_sandbox::SandboxError;
use std::{io, path::PathBuf};

/// A training that cannot begin or go on. Each variant says what was found and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainingError {
    /// A critic for a bundle that guards nothing.
    #[error("the bundle has no constraint, so there is no safety to foresee; add one, or train a --value")]
    NoConstraint,
    /// A discount out of its range.
    #[error("--gamma {found}: expected a number above 0, at most 1")]
    Gamma {
        /// What was given.
        found: f64,
    },
    /// Too few or too many ranges of budgets.
    #[error("--budgets names {found} ranges; expected one, or one for each of {expected}")]
    Ranges {
        /// How many were given.
        found: usize,
        /// How many constraints there are.
        expected: usize,
    },
    /// A range of budgets that cannot be read.
    #[error("--budgets {found}: expected LOW..HIGH, such as 2..40")]
    Range {
        /// What was given.
        found: String,
    },
    /// A bundle's folder without a name.
    #[error("--bundle {}: expected a folder with a name", folder.display())]
    NoName {
        /// The folder.
        folder: PathBuf,
    },
    /// A manifest that is there cannot be read.
    #[error("--bundle {}", path.display())]
    ManifestFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A manifest that is there is no TOML.
    #[error("--bundle {}", path.display())]
    ManifestText {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<toml::de::Error>,
    },
    /// A folder with the bundle of somebody else.
    #[error(
        "--bundle {}: found a bundle without [networks.cost]; expected a new folder, or a bundle of `train cost`",
        folder.display()
    )]
    OtherBundle {
        /// The folder.
        folder: PathBuf,
    },
    /// A bundle's folder cannot be made.
    #[error("{}", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A model or bundle cannot be opened, or a file cannot be written.
    #[error(transparent)]
    Catalog(Box<CatalogError>),
    /// The training itself failed.
    #[error(transparent)]
    Critic(Box<CriticError>),
    /// Prompts cannot be read.
    #[error(transparent)]
    Eval(Box<EvalError>),
    /// The models are not those that the bundle was made for.
    #[error(transparent)]
    Engine(Box<EngineError>),
    /// The trained cost makes no bundle.
    #[error(transparent)]
    Bundle(Box<BundleError>),
    /// The sandbox does not start.
    #[error(transparent)]
    Sandbox(Box<SandboxError>),
    /// The bundle's costs cannot price answers.
    #[error(transparent)]
    Label(Box<LabelError>),
    /// The trained network cannot be written.
    #[error(transparent)]
    Network(#[from] WriteError),
}

from_boxed!(
    TrainingError:
    Catalog(CatalogError),
    Critic(CriticError),
    Eval(EvalError),
    Engine(EngineError),
    Bundle(BundleError),
    Sandbox(SandboxError),
    Label(LabelError)
);
