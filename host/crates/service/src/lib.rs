//! The server as a process: models and bundle from options, saved state, signals, a watched bundle and watched layers.
//!
//! 1. [`serve`] installs signal handlers and telemetry before anything else.
//! 2. `start` chooses the bundle: the saved one of the model, or the named one.
//! 3. Once models, bundle, settings and addresses are accepted, the file of records is opened, then the state is saved.
//! 4. `reload` activates the bundle again on SIGHUP, and `watch` when it changes; both do so for the tenants' layers.
//!
//! [`administration`] is the other side of a running server: what administrators ask of it.
//!
//! **Invariant**: a server that is refused before step 3 has changed neither the records nor the saved state.

pub mod administration;
#[cfg(feature = "gateways")]
mod envoy;
#[cfg(not(feature = "gateways"))]
#[path = "without_envoy.rs"]
mod envoy;
mod error;
mod faces;
mod reload;
mod signals;
mod start;
mod watch;
mod watched;

pub use error::ServiceError;
pub use faces::FaceOption;

use inferenceguard_bundle::SigningKey;
use inferenceguard_catalog::{
    Choice,
    journals::{self, Damaged},
    keys::signing_key,
};
use inferenceguard_server::{REQUEST_LINES, REQUEST_SPANS, Server};
use inferenceguard_telemetry::Spans;
use signals::Signals;
use std::path::PathBuf;
use tokio::{net::TcpListener, runtime::Runtime};
use watched::{Identity, WatchedBundle, WatchedLayer};

/// How to serve.
#[derive(Debug)]
pub struct ServeOptions {
    /// Model, score models and bundle. Its notes also show what the server does.
    pub choice: Choice,
    /// The clients' address.
    pub listen: String,
    /// The administrators' address; `None` serves no administrators.
    pub admin_listen: Option<String>,
    /// The file of settings.
    pub config: Option<PathBuf>,
    /// Methods that requests may name; the bundle's own if empty.
    pub methods: Vec<String>,
    /// `[NAME=]D`, each a budget.
    pub budgets: Vec<String>,
    /// The folder that saves what is active.
    pub state: Option<PathBuf>,
    /// Starts with the named bundle in place of the saved one.
    pub fresh: bool,
    /// Goes on with other score models than those of the last server.
    pub accept_models: bool,
    /// Activates the bundle and the tenants' layers whenever they change.
    pub watch: bool,
    /// The file of records.
    pub records: Option<PathBuf>,
    /// Whether records hold prompts and answers.
    pub bodies: bool,
    /// The file with the secret key that signs records.
    pub record_key: Option<PathBuf>,
    /// The collector of spans, before the environment's.
    pub otlp: Option<String>,
    /// The most requests that run at the same time.
    pub max_live: usize,
    /// The gateways that are served beside clients.
    pub faces: Vec<FaceOption>,
    /// The name of the model that clients send, before that of the settings.
    pub served_model_name: Option<String>,
    /// The key of all clients, where the settings name none.
    pub api_key: Option<String>,
    /// Whether every request has a log line.
    pub verbose: bool,
}

/// A host and a port as an address; a host with colons is an address of IPv6.
#[must_use]
pub fn address(host: &str, port: u16) -> String {
    match host.contains(':') {
        true => format!("[{}]:{port}", host.trim_matches(['[', ']'])),
        false => format!("{host}:{port}"),
    }
}

/// Serves until SIGTERM or SIGINT.
///
/// # Errors
/// Whatever keeps the server from starting; an error of the listeners afterwards.
pub fn serve(options: ServeOptions) -> Result<(), ServiceError> {
    // First, so that every signal finds a handler.
    let runtime = Runtime::new()?;
    let signals = Signals::listen(runtime.handle(), options.choice.loading.note)?;
    let lines = if options.verbose { format!("warn,{REQUEST_LINES}=info") } else { "warn".to_owned() };
    let telemetry =
        inferenceguard_telemetry::begin(Spans::from_environment(options.otlp.as_deref())?, REQUEST_SPANS, &lines)?;
    faces::check(&options.faces)?;
    let record_key = options.record_key.as_deref().map(signing_key).transpose()?;
    // Before a large model is read, so that an address that is taken is reported at once.
    runtime.block_on(listeners(&options)).map(drop)?;
    let (server, named) = start::server(&options, telemetry.lost_spans())?;
    let done = runtime.block_on(run(&options, &server, named, record_key, &signals));
    // All spans have ended before the last of them are sent.
    drop((server, runtime));
    done
}

async fn run(
    options: &ServeOptions,
    server: &Server,
    named: Option<Identity>,
    record_key: Option<SigningKey>,
    signals: &Signals,
) -> Result<(), ServiceError> {
    let note = options.choice.loading.note;
    let (clients, admin, envoy) = listeners(options).await?;
    keep_records(options, server, record_key)?;
    note(&format!("model           {}", server.model()));
    note(&format!("clients         http://{}/v1", clients.local_addr()?));
    if let Some(admin) = &admin {
        note(&format!("administrators  http://{}/admin/", admin.local_addr()?));
    }
    if let Some(envoy) = &envoy {
        note(&format!("Envoy           grpc://{}", envoy.local_addr()?));
    }
    server.begin()?;
    let bundle = options.choice.bundle.as_deref();
    reload::on_hangup(server, bundle, signals, note);
    if let (true, Some(bundle), Some(known)) = (options.watch, bundle, named) {
        let bundle = WatchedBundle::new(bundle, known, note);
        bundle.save(server);
        watch::on_change(server, bundle, WatchedLayer::all(server, note), note);
    }
    signals.serve();
    faces::run(server, (clients, admin), envoy, signals.clone().stopped()).await
}

/// The listeners for clients, for administrators and for Envoy.
async fn listeners(
    options: &ServeOptions,
) -> Result<(TcpListener, Option<TcpListener>, Option<TcpListener>), ServiceError> {
    let clients = listen(&options.listen, "--port or --listen").await?;
    let admin = match &options.admin_listen {
        None => None,
        Some(address) => Some(listen(address, "--admin-listen").await?),
    };
    Ok((clients, admin, faces::listen(&options.faces).await?))
}

/// Opens the file of records. Damaged records are set aside here, so everything that can refuse the server comes before.
fn keep_records(options: &ServeOptions, server: &Server, key: Option<SigningKey>) -> Result<(), ServiceError> {
    let Some(path) = &options.records else { return Ok(()) };
    let journal = journals::open(path, options.bodies, key, Damaged::SetAside, options.choice.loading.note)?;
    Ok(server.keep_records(journal)?)
}

async fn listen(address: &str, option: &'static str) -> Result<TcpListener, ServiceError> {
    let wrong = |source| ServiceError::Listen { option, address: address.to_owned(), source };
    TcpListener::bind(address).await.map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::address;

    #[test]
    fn addresses_of_ipv6_stand_in_brackets() {
        assert_eq!(address("0.0.0.0", 80), "0.0.0.0:80");
        assert_eq!(address("::1", 80), "[::1]:80");
        assert_eq!(address("[::1]", 80), "[::1]:80");
    }
}
