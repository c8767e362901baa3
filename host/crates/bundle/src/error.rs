//! Why a bundle was not taken.

use crate::network::NetworkError;
use std::path::PathBuf;

/// Everything that can be wrong with a bundle before its components are compiled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// A file or folder could not be read.
    #[error("{}: {source}; expected a readable {expected}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// What was expected there.
        expected: &'static str,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The manifest is no TOML, or has a key or type it should not have.
    #[error("{file}, line {line}, key `{key}`: {problem}")]
    Manifest {
        /// The file.
        file: String,
        /// The line, from 1; 0 for the whole file.
        line: usize,
        /// The key on that line.
        key: String,
        /// What was found and what was expected, in the reader's words.
        problem: String,
    },
    /// A key has a value out of range, or one that does not fit another key.
    #[error("{file}, key `{key}`: found {found}; expected {expected}")]
    Value {
        /// The file.
        file: String,
        /// The key, with the tables around it.
        key: String,
        /// What was found.
        found: String,
        /// What is allowed.
        expected: String,
    },
    /// A file is named that the bundle may not reach.
    #[error(
        "{file}, key `{key}`: found the path `{found}`; expected the relative path of a file inside the bundle, with `/` between folders, without `..` and not through a link that leads out"
    )]
    Path {
        /// The file.
        file: String,
        /// The key.
        key: String,
        /// The path.
        found: String,
    },
    /// A file is named that is not there.
    #[error("{file}, key `{key}`: the bundle has no file `{found}`; put it into the bundle or correct the path")]
    Missing {
        /// The file.
        file: String,
        /// The key.
        key: String,
        /// The path.
        found: String,
    },
    /// A file is larger than allowed.
    #[error("{}: {found} bytes; at most {limit} are allowed: {remedy}", path.display())]
    TooLarge {
        /// Which.
        path: PathBuf,
        /// Its size in bytes.
        found: u64,
        /// The most allowed.
        limit: u64,
        /// What to do.
        remedy: &'static str,
    },
    /// A network's file cannot be used.
    #[error("{file}, `[networks.{network}]`: {source}")]
    Network {
        /// The file.
        file: String,
        /// The network.
        network: String,
        /// What is wrong with it.
        #[source]
        source: NetworkError,
    },
}
