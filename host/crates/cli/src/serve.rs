//! `serve`: the engine behind HTTP.

use crate::{
    flags::GuardArguments,
    journal::{self, Damaged},
    output,
    signals::Signals,
    telemetry::{self, Spans},
    watch::{self, Identity},
};
use anyhow::{Context, bail};
use clap::Args;
use inferenceguard_bundle::Bundle;
use inferenceguard_candle::CandleModel;
use inferenceguard_catalog::{
    build,
    bundles::{self, Fallback},
};
use inferenceguard_host::OWN_METHOD;
use inferenceguard_model::{Model, ModelIdentity};
use inferenceguard_server::{OpenError, SavedState, Server, ServerConfig, Settings, Store};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicU64},
};
use tokio::{net::TcpListener, runtime::Runtime};

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
    /// Begins with --bundle in place of the bundle in --state, unless a server with this model has begun with it before
    #[arg(long, alias = "anew", requires_all = ["state", "bundle"])]
    fresh: bool,
    /// Goes on from --state with other score models than those that ran last
    #[arg(long, requires = "state")]
    accept_models: bool,
    /// Activates the bundle whenever it becomes another one; with --state, one that was changed while no server ran decides from
    /// the start
    #[arg(long, requires = "bundle")]
    watch: bool,
    /// Appends a record of every answer to this file
    #[arg(long, value_name = "FILE")]
    records: Option<PathBuf>,
    /// Records without prompts and answers: they can be counted, and not replayed
    #[arg(long, requires = "records")]
    no_bodies: bool,
    /// Sends a span of every request to this OpenTelemetry collector, OTLP over HTTP (http://localhost:4318); without it, as
    /// the standard's variables say (OTEL_EXPORTER_OTLP_ENDPOINT)
    #[arg(long, value_name = "URL")]
    otlp: Option<String>,
    /// Signs every record with this key (its secret half; `bundle keygen` makes one)
    #[arg(long, value_name = "FILE", requires = "records")]
    record_key: Option<PathBuf>,
    /// Requests that run at once; others wait
    #[arg(long, value_name = "N", default_value_t = 8)]
    max_live: usize,
}

/// Serves until it is told to stop.
pub(crate) fn serve(arguments: &ServeArguments) -> anyhow::Result<()> {
    // Before anything else: no signal finds the process without an answer to it.
    let runtime = Runtime::new()?;
    let signals = Signals::listen(runtime.handle())?;
    let telemetry = telemetry::begin(Spans::asked(arguments.otlp.as_deref())?)?;
    let (server, named) = loaded(arguments, telemetry.lost())?;
    let done = runtime.block_on(run(arguments, &server, named, &signals));
    // All spans have ended before the last of them are sent.
    drop((server, runtime));
    done
}

/// The server, and the bundle that was named, if it was opened.
fn loaded(arguments: &ServeArguments, lost_spans: Arc<AtomicU64>) -> anyhow::Result<(Server, Option<Identity>)> {
    let settings = arguments.config.as_deref().map_or_else(|| Ok(Settings::default()), settings)?;
    let methods = if arguments.methods.is_empty() { vec![OWN_METHOD.to_owned()] } else { arguments.methods.clone() };
    let store = arguments.state.as_deref().map(Store::open).transpose()?;
    let store = store.map(|store| if arguments.accept_models { store.accepting_models() } else { store });
    let last = store.as_ref().map(Store::state).transpose()?.flatten();
    // What cannot be read is said before a large model is.
    let opened = last.is_none() || arguments.fresh || arguments.watch;
    let named = opened.then(|| arguments.guard.choice().bundle(&methods)).transpose()?;
    let identity = named.as_ref().map(Identity::of);
    // Of a bundle that is remembered the template is too.
    let stays = |last: &SavedState| {
        let named = named.as_ref();
        named.is_none_or(|named| !arguments.fresh && reason(named, last, true, arguments).is_none())
    };
    let remembered = match (&store, &last) {
        (Some(store), Some(last)) if stays(last) => store.bundle(&last.bundle).ok(),
        _ => None,
    };
    let bundle = remembered.as_ref().or(named.as_ref());
    let language = arguments.guard.choice().language(bundle.map(Bundle::manifest))?;
    let language = match (&store, &last, &remembered) {
        (Some(store), Some(last), Some(_)) => as_it_ran(language, store, last, arguments),
        _ => language,
    };
    let begin = match (&store, last) {
        (Some(store), Some(last)) => goes_on(store, last, named, &ModelIdentity::from(language.info()), arguments)?,
        _ => named.map(|named| Begin { bundle: named, generation: 1, remembered: false }).context("no bundle")?,
    };
    let (remembered, told) = (begin.remembered, told(&begin, arguments));
    let hint = "a server cannot begin with the bundle that is remembered; --bundle BUNDLE --fresh begins with another";
    let config = config(arguments, language, begin, methods);
    let mut config =
        ServerConfig { settings, store, lost_spans, ..if remembered { config.context(hint)? } else { config? } };
    if let Some(path) = &arguments.records {
        let key = arguments.record_key.as_deref();
        config.records = Some(journal::open(path, !arguments.no_bodies, key, Damaged::SetAside)?);
    }
    let server = Server::new(config);
    let server = if remembered { server.context(hint)? } else { server? };
    output::note(told);
    Ok((server, identity))
}

/// A model that ran here before another one did, with the template of the bundle that it ran with: that of the other one's
/// bundle would make it a model that is not known here.
fn as_it_ran(language: CandleModel, store: &Store, last: &SavedState, arguments: &ServeArguments) -> CandleModel {
    let known = |model: &CandleModel| last.knows(&ModelIdentity::from(model.info()));
    if known(&language) {
        return language;
    }
    let ran = ModelIdentity::from(language.info());
    let mut again = last.bundles_of(&ran).into_iter().filter_map(|digest| {
        let bundle = store.bundle(digest).ok()?;
        arguments.guard.choice().language(Some(bundle.manifest())).ok()
    });
    again.find(known).unwrap_or(language)
}

/// What a server begins with.
struct Begin {
    bundle: Bundle,
    generation: u64,
    /// Rather than named.
    remembered: bool,
}

/// A server's engine with its models loaded, and where it finds bundles.
fn config(
    arguments: &ServeArguments,
    language: CandleModel,
    begin: Begin,
    methods: Vec<String>,
) -> anyhow::Result<ServerConfig> {
    let active = begin.bundle;
    let builder = arguments.guard.choice().builder_of(language, &active, &methods, &arguments.budgets)?;
    // A budget of the command line is about the bundle that is named there.
    let builder = if begin.remembered { builder.budgets_tighten() } else { builder };
    let engine = Arc::new(build(builder.max_live(arguments.max_live).generation(begin.generation))?);
    let n = arguments.guard.n;
    let opener = move |path: &Path| open(path, n, &methods).map_err(OpenError::new);
    let (opener, lender) = (Box::new(opener), Box::new(bundles::first_party_file));
    Ok(ServerConfig { opener, lender, ..ServerConfig::new(engine, active) })
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

/// With what is remembered of this model, or with what is named if there is a reason to.
fn goes_on(
    store: &Store,
    last: SavedState,
    named: Option<Bundle>,
    model: &ModelIdentity,
    arguments: &ServeArguments,
) -> anyhow::Result<Begin> {
    let (known, active, unknown) = (last.knows(model), last.bundle.clone(), last.model.is_none());
    let found = last.for_model(model);
    let remembered = store.bundle(&found.bundle);
    if let Some(named) = named {
        if let Some(reason) = reason(&named, &found, remembered.is_ok(), arguments) {
            if unknown {
                bail!("which model ran is not remembered yet; start the server once without --fresh and --watch");
            }
            output::note(format_args!("{reason} in place of {}", found.bundle));
            return Ok(Begin { bundle: named, generation: found.next_number(), remembered: false });
        }
        if arguments.fresh {
            output::note(
                "not fresh       a server began with this bundle before; `bundle activate` puts it back in place",
            );
        } else if named.digest().to_string() != found.bundle {
            output::note(
                "watched         the bundle was not changed since it was taken last, and another one decides now",
            );
        }
    }
    if !known {
        output::note("new model       it goes on with the bundle of another one, and has none to go back to");
    } else if found.bundle != active {
        output::note(format_args!("other model     another one ran here last, with {active}"));
    }
    let hint = || "--bundle BUNDLE --fresh begins with another bundle";
    Ok(Begin { bundle: remembered.with_context(hint)?, generation: found.generation, remembered: true })
}

/// Why a server begins with the bundle that is named, and not with the one that is remembered.
fn reason(named: &Bundle, found: &SavedState, readable: bool, arguments: &ServeArguments) -> Option<&'static str> {
    let digest = Some(named.digest().to_string());
    let active = digest.as_ref() == Some(&found.bundle);
    if arguments.watch && !active && found.watched != digest {
        return Some("watched         the bundle was changed while no server watched it, and decides");
    }
    let begun = found.started_with == digest && readable;
    (arguments.fresh && !begun).then_some("fresh          ")
}

/// A bundle to activate, with the same number of candidates as the first.
fn open(path: &Path, n: Option<u32>, methods: &[String]) -> anyhow::Result<Bundle> {
    let opened = bundles::open(Some(path), Fallback::Plain)?;
    match n {
        Some(n) => Ok(bundles::with_candidates(&opened, methods, n)?),
        None => Ok(opened),
    }
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

async fn run(
    arguments: &ServeArguments,
    server: &Server,
    named: Option<Identity>,
    signals: &Signals,
) -> anyhow::Result<()> {
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
    let bundle = arguments.guard.bundle.as_deref();
    watch::on_hangup(server, bundle, signals);
    if let (true, Some(bundle), Some(known)) = (arguments.watch, bundle, named) {
        watch::remember(server, &known);
        watch::on_change(server, bundle, known);
    }
    signals.serve();
    server.run(clients, admin, signals.clone().stopped()).await?;
    Ok(())
}

async fn listen(address: &str, option: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("{option} {address}: cannot listen there"))
}
