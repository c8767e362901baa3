//! `bundle`: makes, checks, signs and activates bundles.

mod activate;
#[cfg(feature = "evaluation")]
mod calibrate;
mod diff;
mod inspect;
mod keys;
mod make;
#[cfg(feature = "oci")]
mod registry;

use crate::flags::not_taken;
use activate::{ActivateArguments, ServerArguments};
#[cfg(feature = "evaluation")]
use calibrate::CalibrateArguments;
use clap::Subcommand;
use diff::DiffArguments;
use inspect::{CheckArguments, InspectArguments, PinArguments, PriceArguments};
use keys::{KeygenArguments, SignArguments, VerifyArguments};
use make::{InitArguments, PackArguments};
#[cfg(feature = "oci")]
use registry::{PullArguments, PushArguments};
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub(crate) enum BundleCommand {
    /// Writes a first bundle, a folder with bundle.toml and its components: words, privacy, secrets, score or latent
    Init(InitArguments),
    /// Shows what a bundle guards against, with its budgets, and the digests of its files
    Inspect(InspectArguments),
    /// Loads a bundle with a model, runs it once, and shows what each of its components sees and may do
    Check(Box<CheckArguments>),
    /// Shows what a text would cost, token by token; no model is needed where costs read text alone
    #[command(mut_arg("n", not_taken::<u32>))]
    Price(Box<PriceArguments>),
    /// Writes into a bundle which models it was made for; from then on, other models are refused
    #[command(mut_arg("n", not_taken::<u32>))]
    Pin(Box<PinArguments>),
    /// Makes a key to sign bundles with
    Keygen(KeygenArguments),
    /// Signs a bundle, so that servers can refuse those of other people
    Sign(SignArguments),
    /// Checks a bundle's signature, its age and its version
    Verify(VerifyArguments),
    /// Writes a bundle's folder into one file, to copy or push
    Pack(PackArguments),
    #[cfg(feature = "oci")]
    /// Puts a bundle into an OCI registry, where container images lie as well
    Push(PushArguments),
    #[cfg(feature = "oci")]
    /// Fetches a bundle from an OCI registry into one file
    Pull(PullArguments),
    #[cfg(feature = "evaluation")]
    /// Asks prompts under several budgets, shows how many each refuses and how good the answers are, and suggests one
    Calibrate(Box<CalibrateArguments>),
    /// Shows which recorded answers a changed bundle would judge differently
    #[command(mut_arg("bundle", not_taken::<PathBuf>), mut_arg("n", not_taken::<u32>))]
    Diff(Box<DiffArguments>),
    /// Makes a bundle decide in a running server, at once or for a share of its requests
    Activate(ActivateArguments),
    /// Rolls a running server back to its previous bundle
    Rollback(ServerArguments),
}

/// `bundle …`.
pub(crate) fn command(command: &BundleCommand) -> anyhow::Result<()> {
    match command {
        BundleCommand::Init(arguments) => make::init(arguments),
        BundleCommand::Inspect(arguments) => inspect::inspect(arguments),
        BundleCommand::Check(arguments) => inspect::check(arguments),
        BundleCommand::Price(arguments) => inspect::price(arguments),
        BundleCommand::Pin(arguments) => inspect::pin(arguments),
        BundleCommand::Keygen(arguments) => keys::generate(arguments),
        BundleCommand::Sign(arguments) => keys::sign(arguments),
        BundleCommand::Verify(arguments) => keys::verify(arguments),
        BundleCommand::Pack(arguments) => make::pack(arguments),
        #[cfg(feature = "oci")]
        BundleCommand::Push(arguments) => registry::push(arguments),
        #[cfg(feature = "oci")]
        BundleCommand::Pull(arguments) => registry::pull(arguments),
        #[cfg(feature = "evaluation")]
        BundleCommand::Calibrate(arguments) => calibrate::calibrate(arguments),
        BundleCommand::Diff(arguments) => diff::diff(arguments),
        BundleCommand::Activate(arguments) => activate::activate(arguments),
        BundleCommand::Rollback(arguments) => activate::roll_back(arguments),
    }
}
