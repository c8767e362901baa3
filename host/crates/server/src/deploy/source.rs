//! Where bundles come from, and which of them are trusted.

use super::error::DeployError;
use inferenceguard_bundle::{Bundle, Trust, seconds_since_1970};
use serde::Deserialize;
use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

/// Opens a bundle of the server's machine.
pub type Opener = dyn Fn(&Path) -> Result<Bundle, OpenError> + Send + Sync;

/// Gives a file that a layer names and does not hold, such as a first-party component.
pub type Lender = dyn Fn(&str) -> Option<Vec<u8>> + Send + Sync;

/// Why an [`Opener`] gave no bundle: one sentence for the administrator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct OpenError(String);

impl OpenError {
    /// An opener's own error.
    #[must_use]
    pub fn new(error: impl fmt::Display) -> Self {
        Self(error.to_string())
    }
}

/// What an administrator wants to deploy.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub(crate) enum BundleSource {
    /// A bundle on the server's machine.
    Path(PathBuf),
    /// Another manifest over the files of the active bundle: other budgets, settings or limits.
    Manifest(String),
    /// A bundle that is open already, or why it could not be opened.
    #[serde(skip)]
    Opened(Result<Bundle, OpenError>),
}

impl BundleSource {
    /// The bundle; a manifest is laid over the files of `active`.
    pub(super) fn open(&self, opener: &Opener, active: &Bundle) -> Result<Bundle, DeployError> {
        match self {
            Self::Path(path) => Ok(opener(path)?),
            Self::Manifest(text) => Ok(Bundle::from_parts(text, active.files())?),
            Self::Opened(opened) => Ok(opened.clone()?),
        }
    }
}

/// The file that says which bundles are trusted. Without one, every bundle is.
#[derive(Debug)]
pub(super) struct TrustFile(pub(super) Option<PathBuf>);

impl TrustFile {
    /// Checks whether a bundle may decide. The file is read at every call, so that keys change without a restart.
    pub(super) fn check(&self, bundle: &Bundle) -> Result<(), DeployError> {
        let Some(path) = &self.0 else { return Ok(()) };
        let unreadable = |source| DeployError::NoTrustFile { path: path.clone(), source };
        let text = fs::read_to_string(path).map_err(unreadable)?;
        let wrong = |source| DeployError::BadTrustFile { path: path.clone(), source: Box::new(source) };
        let trust = Trust::parse(&text).map_err(wrong)?;
        trust.check(bundle, seconds_since_1970())?;
        Ok(())
    }
}
