//! What can go wrong when a critic, a cost or a reward is trained by name.

use inferenceguard_bundle::{BundleError, Signature, network::WriteError};
use inferenceguard_catalog::CatalogError;
use inferenceguard_critic::{CriticError, labels::LabelError};
use inferenceguard_eval::EvalError;
use inferenceguard_host::EngineError;
use inferenceguard_model::{from_boxed, from_through};
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
    /// A cost for a bundle that ranks answers by a reward: the manifest that is written has none.
    #[error(
        "--bundle {}: found a bundle with a `task`, which the new manifest would drop; expected a new folder, \
         and `train reward` after this",
        folder.display()
    )]
    WouldDropReward {
        /// The folder.
        folder: PathBuf,
    },
    /// A reward for a folder without a bundle.
    #[error("--bundle {}: found no bundle; make one with `train cost --bundle` or `bundle init` first", folder.display())]
    NoBundle {
        /// The folder.
        folder: PathBuf,
    },
    /// A cost or a reward for a bundle that is signed.
    #[error(
        "--bundle {}: found a signed bundle, whose signature would not hold; remove {} and {}, and sign the bundle again after \
         the training",
        folder.display(), Signature::STATEMENT, Signature::FILE
    )]
    Signed {
        /// The folder.
        folder: PathBuf,
    },
    /// A bundle ranks by another cost.
    #[error("--bundle {}: found task = \"{found}\"; expected no `task`, or the reward of an earlier training: remove the line", folder.display())]
    OtherTask {
        /// The folder.
        folder: PathBuf,
        /// The cost.
        found: String,
    },
    /// A bundle has something else under the name of the reward.
    #[error("--bundle {}: found a cost or network `reward` that does not rank answers; give it another name", folder.display())]
    NameTaken {
        /// The folder.
        folder: PathBuf,
    },
    /// A bundle has a network for another model.
    #[error(
        "--bundle: the network `{network}` is for the model {found}, expected {expected}; train for the bundle's own model"
    )]
    OtherModel {
        /// The network's name.
        network: String,
        /// Its model.
        found: String,
        /// The model of this training.
        expected: String,
    },
    /// Settings of the sampler where nothing is sampled.
    #[error(
        "--temperature and --top-p say how a bundle and own answers are sampled; give --bundle or --harmless-prompts, or leave them out"
    )]
    NothingSampled,
    /// A bundle's folder cannot be made.
    #[error("{}", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A model or bundle cannot be opened, the models are not those that the bundle was made for, the trained cost makes no
    /// bundle, the sandbox does not start, or a file cannot be written.
    #[error(transparent)]
    Catalog(Box<CatalogError>),
    /// The training itself failed.
    #[error(transparent)]
    Critic(Box<CriticError>),
    /// Prompts cannot be read.
    #[error(transparent)]
    Eval(Box<EvalError>),
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
    Label(LabelError)
);

from_through!(TrainingError: CatalogError: EngineError, BundleError, SandboxError);
