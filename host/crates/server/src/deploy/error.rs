//! Why a change of what decides did not happen.

use super::{source::OpenError, store::StoreError};
use inferenceguard_bundle::{BundleError, SignatureError};
use inferenceguard_host::EngineError;
use inferenceguard_model::from_boxed;
use std::{io, path::PathBuf};

/// Why a bundle was not activated, rolled back to, promoted or put on trial. What decided before still decides.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeployError {
    /// The bundle could not be opened.
    #[error(transparent)]
    Unreadable(#[from] OpenError),
    /// The manifest and the files make no bundle.
    #[error(transparent)]
    Invalid(#[from] Box<BundleError>),
    /// The file that says which bundles are trusted could not be read, so no bundle is trusted.
    #[error("{}: {source}", path.display())]
    NoTrustFile {
        /// The file.
        path: PathBuf,
        /// What the system reported.
        #[source]
        source: io::Error,
    },
    /// The file that says which bundles are trusted has an error, so no bundle is trusted.
    #[error("{}: {source}", path.display())]
    BadTrustFile {
        /// The file.
        path: PathBuf,
        /// The error.
        #[source]
        source: Box<SignatureError>,
    },
    /// The bundle is not signed by a trusted key, or is too old.
    #[error(transparent)]
    Untrusted(#[from] Box<SignatureError>),
    /// The bundle does not compile, or does not fit the engine's models.
    #[error(transparent)]
    DoesNotFit(#[from] Box<EngineError>),
    /// A tenant's layer could not be read, or cannot be laid over the bundle.
    #[error("tenant {tenant}, {}: {source}", path.display())]
    BadLayer {
        /// The tenant.
        tenant: String,
        /// The layer's folder.
        path: PathBuf,
        /// The error.
        #[source]
        source: Box<BundleError>,
    },
    /// The bundle under a tenant's layer does not compile, or does not fit the engine's models.
    #[error("tenant {tenant}, {}: {source}", path.display())]
    LayerDoesNotFit {
        /// The tenant.
        tenant: String,
        /// The layer's folder.
        path: PathBuf,
        /// The error.
        #[source]
        source: Box<EngineError>,
    },
    /// A layer is asked for of a tenant without one.
    #[error("tenant {tenant} has no layer; name its folder as `layer` in the settings")]
    NoLayer {
        /// The tenant.
        tenant: String,
    },
    /// A tenant has a budget for a constraint that the bundle does not have.
    #[error("tenant {tenant} has a budget for `{constraint}`, which is no constraint")]
    UnknownTenantBudget {
        /// The tenant.
        tenant: String,
        /// The name of the constraint.
        constraint: String,
    },
    /// The bundle's policy has no setting that the reduced mode could lower.
    #[error(
        "overload: nothing says which setting of {component} is its number of candidates; add `[methods.bundle]` with `candidates = \"NAME OF THE SETTING\"` to the bundle's manifest, or remove `[overload]`"
    )]
    NoReducedMode {
        /// The policy's component.
        component: String,
    },
    /// The manifest of the reduced mode could not be written as TOML.
    #[error("overload: {0}")]
    ReducedManifest(#[from] toml::ser::Error),
    /// The bundle with fewer candidates does not fit the engine's models.
    #[error("overload: {0}")]
    ReducedDoesNotFit(#[source] Box<EngineError>),
    /// A cost reads what the text of a gateway does not bring.
    #[error(
        "the cost `{cost}` reads {reads} of the language model, and a text from a gateway has none; activate a bundle whose costs read text or score models, or serve without `--face`"
    )]
    ReadsModel {
        /// The cost.
        cost: String,
        /// What it reads.
        reads: &'static str,
    },
    /// The change could not be saved: the disk is full, for instance.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no bundle to roll back to.
    #[error("there is no earlier bundle to go back to; the active one stays")]
    NothingBefore,
    /// There is no canary or no shadow.
    #[error("no {what} is running")]
    NoTrial {
        /// `canary` or `shadow`.
        what: &'static str,
    },
}

from_boxed!(DeployError: DoesNotFit(EngineError), Invalid(BundleError), Untrusted(SignatureError));
