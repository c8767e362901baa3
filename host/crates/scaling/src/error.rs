//! What can be wrong with times and cases.

use inferenceguard_eval::EvalError;
use std::{io, path::PathBuf};

/// Why nothing can be simulated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScalingError {
    /// The file is not as the page of [`crate::Times`] describes it.
    #[error("the times cannot be read: {0}")]
    Times(#[from] toml::de::Error),
    /// The file of times cannot be read.
    #[error("{} cannot be read", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A number that cannot be simulated.
    #[error("`{name}` is {found}; expected {expected}")]
    Number {
        /// The key, or the option.
        name: &'static str,
        /// What stands there.
        found: String,
        /// What may stand there.
        expected: &'static str,
    },
    /// The plot could not be drawn.
    #[error(transparent)]
    Plot(#[from] EvalError),
}

impl ScalingError {
    pub(crate) fn number(name: &'static str, found: impl ToString, expected: &'static str) -> Self {
        Self::Number { name, found: found.to_string(), expected }
    }
}
