//! Bundles: the default one, folders and packed ones, and the commands about them.

pub(crate) mod args;
mod calibrate;
mod check;
mod describe;
mod diff;
mod keys;
mod make;
mod pin;
mod realm;
mod registry;
mod remote;

pub(crate) use keys::{signing_key, verifying_key};

use crate::embedded;
use anyhow::{Context, bail};
use args::BundleCommand;
use inferenceguard_bundle::{Bundle, MANIFEST};
use inferenceguard_host::methods::Methods;
use inferenceguard_sandbox::SettingValue;
use std::{collections::BTreeMap, path::Path};

/// `bundle …`.
pub(crate) fn command(command: &BundleCommand) -> anyhow::Result<()> {
    match command {
        BundleCommand::Init(arguments) => make::init(arguments),
        BundleCommand::Inspect(arguments) => describe::inspect(arguments),
        BundleCommand::Check(arguments) => check::check(arguments),
        BundleCommand::Pin(arguments) => pin::pin(arguments),
        BundleCommand::Keygen(arguments) => keys::generate(arguments),
        BundleCommand::Sign(arguments) => keys::sign(arguments),
        BundleCommand::Verify(arguments) => keys::verify(arguments),
        BundleCommand::Pack(arguments) => make::pack(arguments),
        BundleCommand::Push(arguments) => registry::push(arguments),
        BundleCommand::Pull(arguments) => registry::pull(arguments),
        BundleCommand::Calibrate(arguments) => calibrate::calibrate(arguments),
        BundleCommand::Diff(arguments) => diff::diff(arguments),
        BundleCommand::Activate(arguments) => remote::activate(arguments),
        BundleCommand::Rollback(arguments) => remote::roll_back(arguments),
    }
}

/// What is taken where no bundle is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fallback {
    /// The default bundle, which fits any model.
    Plain,
    /// The same with the networks that were trained for the demonstration model.
    Networks,
}

impl Fallback {
    /// Networks for the demonstration model, if one of these methods opens any.
    pub(crate) fn of(demo: bool, methods: &[String]) -> Self {
        let table = Methods::default();
        let opens = |name: &String| table.find(name).is_ok_and(|method| method.critic || method.steering.is_some());
        if demo && methods.iter().any(opens) { Self::Networks } else { Self::Plain }
    }

    fn open(self) -> anyhow::Result<Bundle> {
        let mut files = first_party();
        if self == Self::Plain {
            return Ok(Bundle::from_parts(embedded::MANIFEST, &files)?);
        }
        files.extend(embedded::weak_bundle().iter().map(|(name, bytes)| ((*name).to_owned(), bytes.to_vec())));
        let manifest = files.remove(MANIFEST).context("this build carries no networks for the demonstration model")?;
        Ok(Bundle::from_parts(&String::from_utf8(manifest)?, &files)?)
    }
}

/// The bundle of a folder, or the fallback.
///
/// A folder may name first-party components (`safety-budget.wasm`) without holding them; then those of this program
/// are taken.
pub(crate) fn open(dir: Option<&Path>, fallback: Fallback) -> anyhow::Result<Bundle> {
    let Some(dir) = dir else { return fallback.open() };
    Ok(Bundle::open_with(dir, first_party_file)?)
}

/// The first-party component that a file is named after.
pub(crate) fn first_party_file(file: &str) -> Option<Vec<u8>> {
    first_party_name(file).and_then(embedded::component).map(<[u8]>::to_vec)
}

/// `NAME.wasm` or `NAME`, if a first-party component is called so.
fn first_party_name(file: &str) -> Option<&str> {
    let name = file.strip_suffix(".wasm").unwrap_or(file);
    embedded::component(name).map(|_| name)
}

fn first_party() -> BTreeMap<String, Vec<u8>> {
    embedded::components().iter().map(|(name, bytes)| (format!("{name}.wasm"), bytes.to_vec())).collect()
}

/// The same bundle with another number of candidates for its own policy and for these methods.
pub(crate) fn with_candidates(bundle: &Bundle, methods: &[String], n: u32) -> anyhow::Result<Bundle> {
    let mut manifest = bundle.manifest().clone();
    let value = SettingValue::Integer(i64::from(n));
    let table = Methods::of(&manifest);
    let own = &manifest.policy.component;
    if methods.iter().any(|method| method == inferenceguard_host::OWN_METHOD) && !table.knows_own(own) {
        bail!(
            "--n: nothing says which setting of {own} is its number of candidates; add `[methods.bundle] candidates`"
        );
    }
    if let Some(setting) = table.candidates_of_own(own) {
        manifest.policy.settings.insert(setting.to_owned(), value.clone());
    }
    for method in methods.iter().filter(|method| *method != inferenceguard_host::OWN_METHOD) {
        if let Some(setting) = &table.find(method)?.candidates {
            let entry = manifest.methods.entry(method.clone()).or_default();
            entry.settings.insert(setting.clone(), value.clone());
        }
    }
    Ok(Bundle::from_parts(&toml::to_string(&manifest)?, bundle.files())?)
}

/// Budgets from `D` for the first constraint, or `NAME=D`.
pub(crate) fn budgets(bundle: &Bundle, given: &[String]) -> anyhow::Result<BTreeMap<String, f64>> {
    let first = bundle.manifest().constraints.first();
    let budget = |text: &String| {
        let (name, number) = match text.split_once('=') {
            Some((name, number)) => (name, number),
            None => (first.context("--budget: the bundle has no constraint")?.name.as_str(), text.as_str()),
        };
        let wrong = || format!("--budget {text}: expected a number above 0, or NAME=NUMBER");
        Ok((name.to_owned(), number.trim().parse().with_context(wrong)?))
    };
    given.iter().map(budget).collect()
}
