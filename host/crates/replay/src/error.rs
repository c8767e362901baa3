//! What can be wrong with records that are checked, decided again or judged again.

use inferenceguard_catalog::CatalogError;
use inferenceguard_host::EngineError;
use inferenceguard_model::{from_boxed, from_through};
use inferenceguard_record::{RecordError, Wrong};
use inferenceguard_sandbox::SandboxError;
use std::{
    io,
    path::{Path, PathBuf},
};

/// Records that do not hold, or that cannot be checked. Each variant says what was found and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// One record is wrong.
    #[error("{}, record {number}", path.display())]
    At {
        /// The file.
        path: PathBuf,
        /// The record's number.
        number: u64,
        /// What is wrong.
        source: Box<ReplayError>,
    },
    /// No record that was asked for has a body.
    #[error("{}: no such record with a body; found {found} with one and {skipped} without", path.display())]
    NotShown {
        /// The file.
        path: PathBuf,
        /// The records with a body.
        found: u64,
        /// The records without a body.
        skipped: u64,
    },
    /// The folder of a server's store cannot be read.
    #[error("{}", path.display())]
    Store {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The bundle that decided is not at hand.
    #[error("it was decided by the bundle {name} {version}, {digest}; name that with --bundle or --state")]
    NoBundle {
        /// Its name.
        name: String,
        /// Its version.
        version: String,
        /// Its digest.
        digest: String,
    },
    /// A record does not say which text each token has.
    #[error(
        "no cost that decided it read its text, so it does not hold the text of each token; name the model with --model"
    )]
    NoText,
    /// A record without a bundle.
    #[error("no bundle decided it")]
    NoneDecided,
    /// A record names other bundles than those whose constraints held.
    #[error("its bundles have the constraints {expected}; it was held to {found}")]
    Constraints {
        /// The constraints of its bundles.
        expected: String,
        /// The constraints in the record.
        found: String,
    },
    /// The model does not report a constraint of the record.
    #[error("`{constraint}` was not reported")]
    NotReported {
        /// The constraint, with its suffix.
        constraint: String,
    },
    /// Sums differ from the record.
    #[error("{found}")]
    Apart {
        /// How far, and how far they may.
        found: String,
    },
    /// A component failed while it judged again.
    #[error("{failure}")]
    Failed {
        /// Which, and why.
        failure: String,
    },
    /// The file or one of its records does not verify.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A record is wrong.
    #[error(transparent)]
    Wrong(#[from] Wrong),
    /// A model or bundle cannot be opened, a bundle does not fit the models, or the sandbox does not start.
    #[error(transparent)]
    Catalog(Box<CatalogError>),
}

from_boxed!(ReplayError: Catalog(CatalogError));
from_through!(ReplayError: CatalogError: EngineError, SandboxError);

impl ReplayError {
    /// For `map_err`: names the record that an error concerns.
    pub(crate) fn at(path: &Path, number: u64) -> impl Fn(Self) -> Self + use<> {
        let path = path.to_owned();
        move |error| Self::At { path: path.clone(), number, source: Box::new(error) }
    }
}
