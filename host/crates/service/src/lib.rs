//! The server as a process: models and bundle from options, saved state, signals, and a watched bundle.
//!
//! 1. [`serve`] installs signal handlers and telemetry before anything else.
//! 2. `start` chooses the bundle: the saved one of the model, or the named one.
//! 3. `watch` activates the bundle again on SIGHUP or when it changes.
//!
//! **Invariant**: a server that cannot start has changed nothing on the disk.

mod error;
mod signals;
mod start;
mod watch;

pub use error::ServiceError;

use inferenceguard_bundle::SigningKey;
use inferenceguard_catalog::Choice;
use inferenceguard_server::{REQUEST_SPANS, Server};
use inferenceguard_telemetry::Spans;
use signals::Signals;
use std::path::PathBuf;
use tokio::{net::TcpListener, runtime::Runtime};
use watch::Identity;

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
    /// Activates the bundle whenever it changes.
    pub watch: bool,
    /// The file of records.
    pub records: Option<PathBuf>,
    /// Whether records hold prompts and answers.
    pub bodies: bool,
    /// The key that signs records.
    pub record_key: Option<SigningKey>,
    /// The collector of spans, before the environment's.
    pub otlp: Option<String>,
    /// The most requests that run at the same time.
    pub max_live: usize,
}

/// Serves until SIGTERM or SIGINT.
///
/// # Errors
/// Whatever keeps the server from starting; an error of the listeners afterwards.
pub fn serve(mut options: ServeOptions) -> Result<(), ServiceError> {
    // First, so that every signal finds a handler.
    let runtime = Runtime::new()?;
    let signals = Signals::listen(runtime.handle(), options.choice.loading.note)?;
    let telemetry = inferenceguard_telemetry::begin(Spans::asked(options.otlp.as_deref())?, REQUEST_SPANS)?;
    let (server, named) = start::server(&mut options, telemetry.lost())?;
    let done = runtime.block_on(run(&options, &server, named, &signals));
    // All spans have ended before the last of them are sent.
    drop((server, runtime));
    done
}

async fn run(
    options: &ServeOptions,
    server: &Server,
    named: Option<Identity>,
    signals: &Signals,
) -> Result<(), ServiceError> {
    let note = options.choice.loading.note;
    let clients = listen(&options.listen, "--listen").await?;
    let admin = match &options.admin_listen {
        None => None,
        Some(address) => Some(listen(address, "--admin-listen").await?),
    };
    note(&format!("clients         http://{}/v1", clients.local_addr()?));
    if let Some(admin) = &admin {
        note(&format!("administrators  http://{}/admin/", admin.local_addr()?));
    }
    server.begin()?;
    let bundle = options.choice.bundle.as_deref();
    watch::on_hangup(server, bundle, signals, note);
    if let (true, Some(bundle), Some(known)) = (options.watch, bundle, named) {
        watch::save(server, &known, note);
        watch::on_change(server, bundle, known, note);
    }
    signals.serve();
    server.run(clients, admin, signals.clone().stopped()).await?;
    Ok(())
}

async fn listen(address: &str, option: &'static str) -> Result<TcpListener, ServiceError> {
    let wrong = |source| ServiceError::Listen { option, address: address.to_owned(), source };
    TcpListener::bind(address).await.map_err(wrong)
}
