//! What can keep a server from starting.

use inferenceguard_catalog::CatalogError;
#[cfg(feature = "gateways")]
use inferenceguard_envoy::EnvoyError;
use inferenceguard_server::{ServerError, SettingsError, StoreError};
use inferenceguard_telemetry::TelemetryError;
use std::{io, path::PathBuf};

/// A server that cannot start or go on. Each variant says what was found and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServiceError {
    /// The file of settings cannot be read.
    #[error("{}", path.display())]
    SettingsFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file of settings is malformed.
    #[error("{}", path.display())]
    SettingsText {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: Box<toml::de::Error>,
    },
    /// A setting is out of its range.
    #[error("{}", path.display())]
    Settings {
        /// The file.
        path: PathBuf,
        /// Which setting.
        source: SettingsError,
    },
    /// The key of all clients is empty.
    #[error("--api-key (or INFERGUARD_API_KEY): the key is empty; give the text that clients send")]
    EmptyKey,
    /// A key of all clients beside tenants with keys of their own.
    #[error(
        "--api-key (or INFERGUARD_API_KEY): the settings of --config name tenants with keys of their own; leave out one of them"
    )]
    KeyBesideTenants,
    /// There is no bundle to start with.
    #[error("the program carries no bundle; name one with --bundle")]
    NoBundle,
    /// The saved state is older than the record of models.
    #[error("the saved state does not name the model that ran last; start the server once without --fresh and --watch")]
    UnknownModel,
    /// The saved bundle cannot be read.
    #[error("the saved bundle cannot be read; begin with another one: --bundle BUNDLE --fresh")]
    SavedBundle(#[source] StoreError),
    /// The saved bundle does not fit.
    #[error("a server cannot begin with the saved bundle; --bundle BUNDLE --fresh begins with another one")]
    Saved(#[source] Box<ServiceError>),
    /// An address cannot be listened on.
    #[error("{address}: cannot listen there; choose another address with {option}")]
    Listen {
        /// The option, or options.
        option: &'static str,
        /// Its value.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// The system refuses threads, signals or addresses.
    #[error(transparent)]
    System(#[from] io::Error),
    /// A model or bundle cannot be opened, or the two do not fit together.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The server refuses its configuration, or stops with an error.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// Envoy is served at one address.
    #[error("--face envoy={found}: found a second address for Envoy; expected one")]
    SecondEnvoy {
        /// The second address.
        found: String,
    },
    /// Envoy is asked for in a build without it.
    #[error("--face envoy: this build has no Envoy; build it with the feature gateways")]
    NoEnvoy,
    /// Envoy can no longer be served.
    #[cfg(feature = "gateways")]
    #[error(transparent)]
    Envoy(#[from] EnvoyError),
    /// The saved state cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Spans cannot be sent as the environment asks.
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
}
