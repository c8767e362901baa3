//! `serve`: the engine behind HTTP.

use crate::flags::GuardArguments;
use clap::Args;
use inferenceguard_service::{FaceOption, ServeOptions, address, serve as run};
use std::path::PathBuf;

/// See `serve`.
#[derive(Debug, Args)]
pub(crate) struct ServeArguments {
    #[command(flatten)]
    guard: GuardArguments,
    /// Where clients are served: ADDRESS:PORT, instead of --host and --port
    #[arg(long, value_name = "ADDRESS", conflicts_with_all = ["host", "port"])]
    listen: Option<String>,
    /// The address at which clients are served; 0.0.0.0 is every address of this machine
    #[arg(long, default_value = "127.0.0.1")]
    host: String,
    /// The port at which clients are served
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// The address for administrators only
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8081")]
    admin_listen: String,
    /// Serves no administrators at all
    #[arg(long, conflicts_with = "admin_listen")]
    no_admin: bool,
    /// The server's settings (TOML): limits, tenants, the administrators' token
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Ways of searching that requests may name, the first being the default; the bundle's own if not given. base has no guard
    #[arg(long, value_delimiter = ',')]
    methods: Vec<String>,
    /// How much an answer may cost: --budget words=3, or --budget 3 for the bundle's first budget; may be repeated. It may be more
    /// than the bundle of --bundle says, and only lowers the budgets of saved bundles and those that are activated later
    #[arg(long = "budget", value_name = "[NAME=]D", allow_hyphen_values = true)]
    budgets: Vec<String>,
    /// Saves in this folder what is active. The next server with the same model goes on with it, in place of --bundle
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Begins with --bundle, not with what --state holds, unless a server with this model has begun with that bundle before
    #[arg(long, alias = "anew", requires_all = ["state", "bundle"])]
    fresh: bool,
    /// Goes on from --state with other score models than those that ran last
    #[arg(long, requires = "state")]
    accept_models: bool,
    /// Activates the bundle and the tenants' layers whenever they change; with --state, a change of the bundle while no server ran
    /// decides from the start
    #[arg(long, requires = "bundle")]
    watch: bool,
    /// Appends a record of every answer to this file
    #[arg(long, value_name = "FILE")]
    records: Option<PathBuf>,
    /// Records without prompts and answers, which can be counted but not replayed
    #[arg(long, requires = "records")]
    no_bodies: bool,
    /// Sends a span of every request to this OpenTelemetry collector, OTLP over HTTP (http://localhost:4318). Without it, the
    /// standard's variables decide (OTEL_EXPORTER_OTLP_ENDPOINT)
    #[arg(long, value_name = "URL")]
    otlp: Option<String>,
    /// Signs every record with this key (its secret half; `bundle keygen` makes one)
    #[arg(long, value_name = "FILE", requires = "records")]
    record_key: Option<PathBuf>,
    /// Requests that run at the same time; others wait
    #[arg(long, value_name = "N", default_value_t = 8)]
    max_live: usize,
    /// Judges text for gateways as well; may be repeated: judge (/v1/judge), litellm, moderations (/v1/moderations) or
    /// envoy=ADDRESS, where Envoy's ext_proc is served. Bundles must then judge text alone (GATEWAYS.md)
    #[arg(long = "face", value_name = "FACE")]
    faces: Vec<FaceOption>,
    /// The name of the model that clients send; that of the settings, or the model's own, if not given
    #[arg(long, value_name = "NAME")]
    served_model_name: Option<String>,
    /// The key that every client must send. Other users of this machine can see it in the list of processes; `tenants` in the
    /// settings need only its digest
    #[arg(long, value_name = "KEY", env = "INFERGUARD_API_KEY", hide_env_values = true)]
    api_key: Option<String>,
    /// A log line for every request: how it ended, its tokens and seconds, no text; unless INFERGUARD_LOG is set
    #[arg(long, short)]
    verbose: bool,
}

/// Serves until SIGTERM or SIGINT.
pub(crate) fn serve(arguments: ServeArguments) -> anyhow::Result<()> {
    Ok(run(ServeOptions {
        choice: arguments.guard.choice(),
        listen: arguments.listen.unwrap_or_else(|| address(&arguments.host, arguments.port)),
        admin_listen: Some(arguments.admin_listen).filter(|_| !arguments.no_admin),
        config: arguments.config,
        methods: arguments.methods,
        budgets: arguments.budgets,
        state: arguments.state,
        fresh: arguments.fresh,
        accept_models: arguments.accept_models,
        watch: arguments.watch,
        records: arguments.records,
        bodies: !arguments.no_bodies,
        record_key: arguments.record_key,
        otlp: arguments.otlp,
        max_live: arguments.max_live,
        faces: arguments.faces,
        served_model_name: arguments.served_model_name,
        api_key: arguments.api_key,
        verbose: arguments.verbose,
    })?)
}
