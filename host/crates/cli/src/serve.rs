//! `serve`: the engine behind HTTP.

use crate::{
    args::GuardArguments,
    bundle::{self, Fallback},
    engine, output, records, watch,
};
use anyhow::{Context, bail};
use clap::Args;
use inferenceguard_bundle::Bundle;
use inferenceguard_candle::CandleModel;
use inferenceguard_host::OWN_METHOD;
use inferenceguard_model::Model;
use inferenceguard_server::{Remembered, Server, Settings, Store};
use std::{fs, future::Future, path::Path, path::PathBuf, sync::Arc};
use tokio::net::TcpListener;

/// See `serve`.
#[derive(Debug, Args)]
pub(crate) struct ServeArguments {
    #[command(flatten)]
    guard: GuardArguments,
    /// Where clients are served
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: String,
    /// Where administrators are served; keep it away from clients
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8081")]
    admin_listen: String,
    /// Serves no administrators at all
    #[arg(long, conflicts_with = "admin_listen")]
    no_admin: bool,
    /// The server's settings (TOML): limits, tenants, the administrators' token
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Methods that requests may name, the first being the default; the bundle's own if not given
    #[arg(long, value_delimiter = ',')]
    methods: Vec<String>,
    /// The budget of a constraint, of the first one if no name is given; may be repeated. It may loosen the bundle that is named
    /// here, and only tightens those that are remembered or activated
    #[arg(long = "budget", value_name = "[NAME=]D", allow_hyphen_values = true)]
    budgets: Vec<String>,
    /// Remembers in this folder what is active: the next server with the same model goes on with it, whatever --bundle says
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Begins with --bundle all the same, unless a server with this model has begun with it before
    #[arg(long, requires_all = ["state", "bundle"])]
    anew: bool,
    /// Activates the bundle anew whenever its files change
    #[arg(long, requires = "bundle")]
    watch: bool,
    /// Appends a record of every answer to this file
    #[arg(long, value_name = "FILE")]
    records: Option<PathBuf>,
    /// Records without prompts and answers: they can be counted, and not replayed
    #[arg(long, requires = "records")]
    no_bodies: bool,
    /// Sends a span of every request to this OpenTelemetry collector, OTLP over HTTP (http://localhost:4318)
    #[arg(long, value_name = "URL", env = "OTEL_EXPORTER_OTLP_ENDPOINT")]
    otlp: Option<String>,
    /// Signs every record with this key (its secret half; `bundle keygen` makes one)
    #[arg(long, value_name = "FILE", requires = "records")]
    record_key: Option<PathBuf>,
    /// Requests that run at once; others wait
    #[arg(long, value_name = "N", default_value_t = 8)]
    max_live: usize,
}

impl ServeArguments {
    /// The collector that is to be told of requests, if any.
    pub(crate) fn otlp(&self) -> Option<&str> {
        self.otlp.as_deref()
    }
}

/// Serves until it is told to stop.
pub(crate) fn serve(arguments: &ServeArguments) -> anyhow::Result<()> {
    let settings = arguments.config.as_deref().map_or_else(|| Ok(Settings::default()), settings)?;
    let methods = if arguments.methods.is_empty() { vec![OWN_METHOD.to_owned()] } else { arguments.methods.clone() };
    // Before it is read: a change while it is read is a change.
    let looks = arguments.guard.bundle.as_deref().and_then(|bundle| watch::looks(bundle).ok());
    let store = arguments.state.as_deref().map(Store::open).transpose()?;
    let last = store.as_ref().map(Store::remembered).transpose()?.flatten();
    // What cannot be read is said before a large model is.
    let named = (last.is_none() || arguments.anew).then(|| engine::chosen(&arguments.guard, &methods)).transpose()?;
    // Of a bundle that is remembered the template is too.
    let remembered = match (&store, &last, &named) {
        (Some(store), Some(last), None) => store.bundle(&last.bundle).ok(),
        _ => None,
    };
    let bundle = named.as_ref().or(remembered.as_ref());
    let language = engine::language(&arguments.guard, bundle.map(Bundle::manifest))?;
    let begin = match (&store, last) {
        (Some(store), Some(last)) => goes_on(store, last, named, &language.info().fingerprint)?,
        _ => named.map(|named| Begin { bundle: named, generation: 1, remembered: false }).context("no bundle")?,
    };
    let (remembered, told) = (begin.remembered, told(&begin, arguments));
    let server = server(arguments, language, begin, store, settings, methods);
    let hint = "a server cannot begin with the bundle that is remembered; --bundle BUNDLE --anew begins with another";
    let mut server = if remembered { server.context(hint)? } else { server? };
    output::note(told);
    if let Some(path) = &arguments.records {
        let key = arguments.record_key.as_deref();
        server = server.with_records(records::journal(path, !arguments.no_bodies, key)?)?;
    }
    tokio::runtime::Runtime::new()?.block_on(run(arguments, &server, looks.unwrap_or_default()))
}

/// What a server begins with.
struct Begin {
    bundle: Bundle,
    generation: u64,
    /// Rather than named.
    remembered: bool,
}

fn server(
    arguments: &ServeArguments,
    language: CandleModel,
    begin: Begin,
    store: Option<Store>,
    settings: Settings,
    methods: Vec<String>,
) -> anyhow::Result<Server> {
    let active = begin.bundle;
    let builder = engine::builder_of(language, &active, &arguments.guard, &methods, &arguments.budgets)?;
    // A budget of the command line is about the bundle that is named there.
    let builder = if begin.remembered { builder.budgets_tighten() } else { builder };
    let engine = Arc::new(engine::build(builder.max_live(arguments.max_live).generation(begin.generation))?);
    let n = arguments.guard.n;
    let opener = move |path: &Path| open(path, n, &methods).map_err(|error| error.to_string());
    let mut server = Server::new(engine, active, Box::new(opener), settings)?;
    if let Some(store) = store {
        server = server.with_store(store)?;
    }
    Ok(server.with_layers(Box::new(bundle::first_party_file))?)
}

/// What decides, and what of the arguments does not.
fn told(begin: &Begin, arguments: &ServeArguments) -> String {
    let (manifest, digest) = (begin.bundle.manifest(), begin.bundle.digest());
    let remembered = if begin.remembered { ", remembered" } else { "" };
    let (number, name, version) = (begin.generation, &manifest.name, &manifest.version);
    let unused = begin.remembered && (arguments.guard.bundle.is_some() || arguments.guard.n.is_some());
    let unused = if unused { "\n                --bundle and --n are not used; --budget only tightens" } else { "" };
    format!("bundle          generation {number}{remembered}: {name} {version}  {digest}{unused}")
}

/// With what is remembered of this model, or anew with what is named.
fn goes_on(store: &Store, last: Remembered, named: Option<Bundle>, model: &str) -> anyhow::Result<Begin> {
    let (known, active) = (last.knows(model), last.bundle.clone());
    if let (Some(_), None) = (&named, &last.model) {
        bail!("--anew: which model ran is not remembered yet; start it once without --anew");
    }
    let found = last.with(model);
    let remembered = store.bundle(&found.bundle);
    if let Some(named) = named {
        let again = found.begun.as_ref() == Some(&named.digest().to_string()) && remembered.is_ok();
        if !again {
            output::note(format_args!("anew            in place of {}", found.bundle));
            return Ok(Begin { bundle: named, generation: found.next_number(), remembered: false });
        }
        output::note("not anew        a server began with this bundle before; `bundle activate` puts it back in place");
    }
    if !known {
        output::note("new model       it goes on with the bundle of another one, and has none to go back to");
    } else if found.bundle != active {
        output::note(format_args!("other model     another one ran here last, with {active}"));
    }
    let hint = || "--bundle BUNDLE --anew begins with another bundle";
    Ok(Begin { bundle: remembered.with_context(hint)?, generation: found.generation, remembered: true })
}

/// A bundle to activate, with the same number of candidates as the first.
fn open(path: &Path, n: Option<u32>, methods: &[String]) -> anyhow::Result<Bundle> {
    let opened = bundle::open(Some(path), Fallback::Plain)?;
    n.map_or(Ok(opened.clone()), |n| bundle::with_candidates(&opened, methods, n))
}

fn settings(path: &Path) -> anyhow::Result<Settings> {
    let text = fs::read_to_string(path).with_context(|| format!("{}", path.display()))?;
    let mut settings: Settings = toml::from_str(&text).with_context(|| format!("{}", path.display()))?;
    // Files that it names lie beside it.
    let beside = |named: &mut PathBuf| *named = path.parent().unwrap_or(Path::new("")).join(&*named);
    settings.trust.iter_mut().for_each(beside);
    settings.tenants.values_mut().filter_map(|tenant| tenant.layer.as_mut()).for_each(beside);
    settings.validate().with_context(|| format!("{}", path.display()))?;
    Ok(settings)
}

async fn run(arguments: &ServeArguments, server: &Server, looks: watch::Looks) -> anyhow::Result<()> {
    let clients = listen(&arguments.listen, "--listen").await?;
    let admin = match arguments.no_admin {
        true => None,
        false => Some(listen(&arguments.admin_listen, "--admin-listen").await?),
    };
    output::note(format_args!("clients         http://{}/v1", clients.local_addr()?));
    if let Some(admin) = &admin {
        output::note(format_args!("administrators  http://{}/admin/", admin.local_addr()?));
    }
    server.begin()?;
    if let Some(bundle) = &arguments.guard.bundle {
        watch::on_hangup(server, bundle)?;
        if arguments.watch {
            watch::on_change(server, bundle, looks);
        }
    }
    server.run(clients, admin, stop()?).await?;
    Ok(())
}

async fn listen(address: &str, option: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("{option} {address}: cannot listen there"))
}

/// Ends on Ctrl-C, and on SIGTERM where there is such a thing.
fn stop() -> anyhow::Result<impl Future<Output = ()>> {
    #[cfg(unix)]
    let mut term = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    Ok(async move {
        #[cfg(unix)]
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = term.recv() => {}
        }
        #[cfg(not(unix))]
        drop(tokio::signal::ctrl_c().await);
    })
}
