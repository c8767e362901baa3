//! What a server is made of, and why it does not run.

use crate::{
    deploy::{DeployError, Lender, OpenError, Opener, Store, StoreError},
    judge::Face,
    settings::Settings,
    settings_check::SettingsError,
};
use inferenceguard_bundle::Bundle;
use inferenceguard_host::{Engine, EngineError};
use inferenceguard_record::Journal;
use std::{
    collections::BTreeSet,
    sync::{Arc, atomic::AtomicU64},
};

/// What a [`Server`](crate::Server) is made of. Only the engine and its bundle are required: [`ServerConfig::new`] has defaults for
/// the rest.
pub struct ServerConfig {
    /// The engine. With a store that has a state, it is built either with the bundle and the generation that the state has
    /// [for its model](crate::SavedState::for_model), or with another bundle and the
    /// [next number](crate::SavedState::next_number).
    pub engine: Arc<Engine>,
    /// The bundle that the engine runs.
    pub active: Bundle,
    /// The gateways that are served beside clients; none if not given. While any are, every bundle must judge text alone.
    pub faces: BTreeSet<Face>,
    /// What clients may do; the defaults if not given.
    pub settings: Settings,
    /// Opens the bundles that administrators name by a path; refuses all if not given.
    pub opener: Box<Opener>,
    /// Gives files that tenants' layers name and do not hold; gives none if not given.
    pub lender: Box<Lender>,
    /// Keeps what is active for the next server. Without one, a server begins with `active`.
    pub store: Option<Store>,
    /// Keeps a record of every answer. An answer whose record cannot be written ends with an error.
    /// [`Server::keep_records`](crate::Server::keep_records) takes a journal that is opened later.
    pub records: Option<Journal>,
    /// How many spans could not be sent, for `/metrics`.
    pub lost_spans: Arc<AtomicU64>,
}

impl ServerConfig {
    /// A server over an engine that runs `active`, with defaults for everything else.
    #[must_use]
    pub fn new(engine: Arc<Engine>, active: Bundle) -> Self {
        Self {
            engine,
            active,
            faces: BTreeSet::new(),
            settings: Settings::default(),
            opener: Box::new(|_| Err(OpenError::new("this server opens no bundles by their paths"))),
            lender: Box::new(|_| None),
            store: None,
            records: None,
            lost_spans: Arc::default(),
        }
    }
}

impl std::fmt::Debug for ServerConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerConfig").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// Why a server does not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// A setting is out of range.
    #[error("settings of the server, {0}")]
    Settings(#[from] SettingsError),
    /// The bundle to begin with is not trusted.
    #[error("the first bundle is refused: {0}")]
    Untrusted(#[source] Box<DeployError>),
    /// A tenant's layer or budget does not fit the bundle.
    #[error("a tenant is refused: {0}")]
    Layer(#[source] Box<DeployError>),
    /// The bundle to begin with cannot judge what gateways send.
    #[error("a gateway cannot be served: {0}")]
    Face(#[source] Box<DeployError>),
    /// The engine cannot price earlier turns, and the settings make budgets those of conversations.
    #[error("`budget_per = \"conversation\"`: {0}")]
    Conversation(#[source] Box<EngineError>),
    /// The store cannot be read or written.
    #[error("the server's store, {0}")]
    Store(#[from] StoreError),
    /// The server keeps records in another journal.
    #[error("found a second journal of records; expected at most one for a server")]
    SecondJournal,
    /// The network failed.
    #[error("the server's network failed: {0}")]
    Network(#[from] std::io::Error),
}

impl ServerError {
    /// Makes errors of a [`DeployError`]: [`ServerError::Store`] if the store failed, and `refusal` otherwise.
    pub(crate) fn or_store(refusal: fn(Box<DeployError>) -> Self) -> impl Fn(DeployError) -> Self {
        move |error| match error {
            DeployError::Store(error) => Self::Store(error),
            error => refusal(Box::new(error)),
        }
    }
}
