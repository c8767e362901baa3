//! What can go wrong with a registry.

use inferenceguard_bundle::BundleError;
use oci_client::{ParseError, errors::OciDistributionError};
use std::{io, string::FromUtf8Error};

/// A bundle that cannot be pushed or pulled. Each variant says what was found and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// The reference is malformed.
    #[error("{found}: expected REGISTRY/NAME:TAG")]
    Reference {
        /// What was given.
        found: String,
        /// What is wrong.
        source: ParseError,
    },
    /// Only one of user and password is set.
    #[error("set both INFERGUARD_REGISTRY_USER and INFERGUARD_REGISTRY_PASSWORD, or none")]
    Credentials,
    /// The bundle was not pushed.
    #[error("{reference}: not pushed")]
    Push {
        /// Where to.
        reference: String,
        /// Why.
        source: Box<OciDistributionError>,
    },
    /// The bundle was not pulled.
    #[error("{reference}: not pulled")]
    Pull {
        /// Where from.
        reference: String,
        /// Why.
        source: Box<RegistryError>,
    },
    /// One file was not pulled.
    #[error("{file}")]
    File {
        /// Its path in the bundle.
        file: String,
        /// Why.
        source: Box<OciDistributionError>,
    },
    /// A text file is not UTF-8.
    #[error("{file}")]
    Text {
        /// Its path in the bundle.
        file: String,
        /// Why.
        source: FromUtf8Error,
    },
    /// The registry holds something else than was expected.
    #[error("{problem}")]
    Content {
        /// What was found, and what was expected.
        problem: String,
    },
    /// No registry answers.
    #[error("{url}: no registry answers there")]
    NoAnswer {
        /// The address.
        url: String,
        /// Why.
        source: Box<ureq::Error>,
    },
    /// The registry wants the password sent where it must not go.
    #[error("{url}: {problem}")]
    Password {
        /// The address, of the registry or of the other host.
        url: String,
        /// What it wants, and what to do.
        problem: String,
    },
    /// The registry fails.
    #[error(transparent)]
    Registry(#[from] Box<OciDistributionError>),
    /// What was pulled is not a bundle.
    #[error(transparent)]
    Bundle(#[from] Box<BundleError>),
    /// The system refuses threads.
    #[error(transparent)]
    System(#[from] io::Error),
}
