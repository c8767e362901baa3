//! `bundle push` and `bundle pull`: bundles in OCI registries.

use crate::output;
use clap::Args;
use inferenceguard_catalog::bundles::{self, Fallback};
use inferenceguard_registry::{self as registry, BundleReference};
use inferenceguard_workshop::bundle::packed_name;
use std::path::PathBuf;

/// A bundle's place in an OCI registry.
#[derive(Debug, Args)]
pub(crate) struct RegistryArguments {
    /// REGISTRY/NAME:TAG or REGISTRY/NAME@sha256:DIGEST. User and password, if there are any, are read from
    /// INFERGUARD_REGISTRY_USER and INFERGUARD_REGISTRY_PASSWORD
    reference: String,
    /// Without TLS, for a registry on this machine
    #[arg(long)]
    plain_http: bool,
    /// Another host that may receive the password, where the registry lets that host check it: auth.docker.io
    #[arg(long, value_name = "HOST[:PORT]")]
    token_host: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct PushArguments {
    /// The bundle's folder or file
    bundle: PathBuf,
    #[command(flatten)]
    registry: RegistryArguments,
}

#[derive(Debug, Args)]
pub(crate) struct PullArguments {
    #[command(flatten)]
    registry: RegistryArguments,
    /// The file to write; NAME-VERSION.tar if not given
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl RegistryArguments {
    fn bundle_reference(&self) -> BundleReference {
        let (reference, plain_http) = (self.reference.clone(), self.plain_http);
        BundleReference { reference, plain_http, token_host: self.token_host.clone() }
    }
}

/// Puts a bundle into a registry.
pub(super) fn push(arguments: &PushArguments) -> anyhow::Result<()> {
    let bundle = bundles::open(Some(&arguments.bundle), Fallback::Plain)?;
    let pushed = registry::push(&arguments.registry.bundle_reference(), &bundle)?;
    output::result(format_args!("{}  {}\npin it as {}", pushed.reference, bundle.digest(), pushed.pinned))
}

/// Fetches a bundle from a registry into one file.
pub(super) fn pull(arguments: &PullArguments) -> anyhow::Result<()> {
    let bundle = registry::pull(&arguments.registry.bundle_reference())?;
    let out = arguments.out.clone().unwrap_or_else(|| packed_name(&bundle));
    output::file(&out, &bundle.pack()?)?;
    output::result(format_args!("{}  {}", out.display(), bundle.digest()))
}
