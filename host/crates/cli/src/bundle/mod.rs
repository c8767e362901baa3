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

#[derive(Debug, Subcommand)]
pub(crate) enum BundleCommand {
    /// Writes a first bundle of one's own and its components: words, privacy, secrets, score or latent
    Init(InitArguments),
    /// Shows what a bundle decides, and the digests of its files
    Inspect(InspectArguments),
    /// Loads a bundle with a model, runs it once, and shows what each of its components sees and may do
    Check(Box<CheckArguments>),
    /// Shows what a text would cost, token by token; no model is needed where costs read text alone
    #[command(mut_arg("n", |arg| arg.hide(true)))]
    Price(Box<PriceArguments>),
    /// Writes into a bundle which models it was made for; from then on, other models are refused
    Pin(Box<PinArguments>),
    /// Makes a key to sign bundles with
    Keygen(KeygenArguments),
    /// Signs a bundle
    Sign(SignArguments),
    /// Checks a bundle's signature, its age and its version
    Verify(VerifyArguments),
    /// Writes a bundle into one file
    Pack(PackArguments),
    #[cfg(feature = "oci")]
    /// Puts a bundle into an OCI registry
    Push(PushArguments),
    #[cfg(feature = "oci")]
    /// Fetches a bundle from an OCI registry into one file
    Pull(PullArguments),
    #[cfg(feature = "evaluation")]
    /// Shows what budgets refuse and what answers are worth under them, and suggests a budget
    Calibrate(Box<CalibrateArguments>),
    /// Shows which recorded answers another bundle would have judged differently
    #[command(mut_arg("bundle", |arg| arg.hide(true)), mut_arg("n", |arg| arg.hide(true)))]
    Diff(Box<DiffArguments>),
    /// Activates a bundle in a running server
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
