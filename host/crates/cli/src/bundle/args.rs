//! The arguments of `bundle`.

use crate::args::GuardArguments;
use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub(crate) enum BundleCommand {
    /// Writes a bundle to begin with: the demonstration's, and its components
    Init(InitArguments),
    /// Shows what a bundle decides, and the digests of its files
    Inspect(InspectArguments),
    /// Loads a bundle beside a model, runs it once, and says what each of its components sees and may do
    Check(Box<CheckArguments>),
    /// Writes into a bundle which models it was made for: from then on others are refused
    Pin(Box<PinArguments>),
    /// Makes a key to sign bundles with
    Keygen(KeygenArguments),
    /// Signs a bundle
    Sign(SignArguments),
    /// Checks a bundle's signature, its age and its version
    Verify(VerifyArguments),
    /// Writes a bundle into one file
    Pack(PackArguments),
    /// Puts a bundle into an OCI registry
    Push(PushArguments),
    /// Takes a bundle out of an OCI registry, into one file
    Pull(PullArguments),
    /// Shows what budgets refuse and what answers are worth under them, and suggests one
    Calibrate(Box<CalibrateArguments>),
    /// Shows which recorded answers another bundle would have judged otherwise
    Diff(Box<DiffArguments>),
    /// Activates a bundle in a running server
    Activate(ActivateArguments),
    /// Activates what a running server had active before
    Rollback(ServerArguments),
}

#[derive(Debug, Args)]
pub(crate) struct InitArguments {
    /// The folder to write
    pub(crate) dir: PathBuf,
    /// The bundle's name; the folder's if not given
    #[arg(long)]
    pub(crate) name: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct InspectArguments {
    /// The bundle's folder or file; the demonstration's if not given
    pub(crate) bundle: Option<PathBuf>,
    /// Prints one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArguments {
    #[command(flatten)]
    pub(crate) guard: GuardArguments,
    /// What is asked in the trial
    #[arg(long, default_value = "How do I clean a kitchen knife?")]
    pub(crate) prompt: String,
}

#[derive(Debug, Args)]
pub(crate) struct PinArguments {
    #[command(flatten)]
    pub(crate) guard: GuardArguments,
}

#[derive(Debug, Args)]
pub(crate) struct KeygenArguments {
    /// The file of the secret key; the public one is written beside it, with .pub at its end
    pub(crate) key: PathBuf,
    /// Encrypts the secret key with the password in the variable INFERGUARD_KEY_PASSWORD
    #[arg(long)]
    pub(crate) encrypt: bool,
}

#[derive(Debug, Args)]
pub(crate) struct SignArguments {
    /// The bundle's folder, or its file
    pub(crate) bundle: PathBuf,
    /// The secret key, as `bundle keygen` or minisign wrote it
    #[arg(long, value_name = "FILE")]
    pub(crate) key: PathBuf,
    /// Days after which the bundle is not to be activated any more
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) expires_in: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArguments {
    /// The bundle's folder, or its file
    pub(crate) bundle: PathBuf,
    /// The public key that must have signed it
    #[arg(long, value_name = "FILE", required_unless_present = "trust", conflicts_with = "trust")]
    pub(crate) key: Option<PathBuf>,
    /// A file that says what is trusted, as a server reads it
    #[arg(long, value_name = "FILE")]
    pub(crate) trust: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct PackArguments {
    /// The bundle's folder
    pub(crate) bundle: PathBuf,
    /// The file to write; NAME-VERSION.tar if not given
    #[arg(long, short, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

/// A running server.
#[derive(Debug, Args)]
pub(crate) struct ServerArguments {
    /// The administrators' address of the server. Its token, if it has one, is read from INFERGUARD_ADMIN_TOKEN
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8081")]
    pub(crate) server: String,
}

#[derive(Debug, Args)]
pub(crate) struct ActivateArguments {
    #[command(flatten)]
    pub(crate) server: ServerArguments,
    /// The bundle's folder or file, as the server's machine names it
    pub(crate) bundle: PathBuf,
    /// Only for this share of the requests, on trial
    #[arg(long, value_name = "SHARE", conflicts_with = "shadow")]
    pub(crate) canary: Option<f64>,
    /// Only to look at this share of the answers, without changing any
    #[arg(long, value_name = "SHARE")]
    pub(crate) shadow: Option<f64>,
}

#[derive(Debug, Args)]
pub(crate) struct DiffArguments {
    #[command(flatten)]
    pub(crate) guard: GuardArguments,
    /// A file of records
    #[arg(long, value_name = "FILE")]
    pub(crate) records: PathBuf,
    /// Prints one JSON object per answer that is judged otherwise
    #[arg(long)]
    pub(crate) json: bool,
    /// The one bundle
    pub(crate) old: PathBuf,
    /// The other bundle
    pub(crate) new: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct CalibrateArguments {
    #[command(flatten)]
    pub(crate) guard: GuardArguments,
    /// Prompts as `eval` reads them; the demonstration's validation split if not given
    #[arg(long, value_name = "FILE")]
    pub(crate) prompts: Option<PathBuf>,
    /// How many prompts are asked
    #[arg(long, default_value_t = 200)]
    pub(crate) limit: usize,
    /// The constraint; the only one if not given
    #[arg(long)]
    pub(crate) constraint: Option<String>,
    /// The budgets to try
    #[arg(long, value_delimiter = ',', default_value = "1,2,5,10,20,50,100")]
    pub(crate) budgets: Vec<f64>,
    /// The share of harmless prompts that may be refused
    #[arg(long, default_value_t = 0.01)]
    pub(crate) refusals: f64,
    /// A folder for the table and the plot
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
}

/// A bundle's place in an OCI registry.
#[derive(Debug, Args)]
pub(crate) struct RegistryArguments {
    /// REGISTRY/NAME:TAG or REGISTRY/NAME@sha256:DIGEST. User and password, if there are any, are read from
    /// INFERGUARD_REGISTRY_USER and INFERGUARD_REGISTRY_PASSWORD
    pub(crate) reference: String,
    /// Without TLS, for a registry on this machine
    #[arg(long)]
    pub(crate) plain_http: bool,
    /// Another host that may be given the password, if the registry leaves it to that one to check it: auth.docker.io
    #[arg(long, value_name = "HOST[:PORT]")]
    pub(crate) token_host: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct PushArguments {
    /// The bundle's folder or file
    pub(crate) bundle: PathBuf,
    #[command(flatten)]
    pub(crate) registry: RegistryArguments,
}

#[derive(Debug, Args)]
pub(crate) struct PullArguments {
    #[command(flatten)]
    pub(crate) registry: RegistryArguments,
    /// The file to write; NAME-VERSION.tar if not given
    #[arg(long, short, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}
