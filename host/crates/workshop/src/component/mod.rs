//! A component from its crate to its check, and the components that the program carries.

mod inspected;

pub use inspected::{Inspected, inspect, list};

use crate::WorkshopError;
use inferenceguard_catalog::{cache, embedded, write_file};
use inferenceguard_componentize::{self as componentize, Build, Built, Inspection, Role};
use inferenceguard_console::{component, escape};
use inferenceguard_sandbox::{CheckReport, Limits, Sandbox};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf, absolute},
};

/// Writes the crate of a new component for a role; into `./NAME`, and with the SDK above, if no folder is named. Gives its folder.
///
/// # Errors
/// An unknown role or a bad name, a folder that exists, an SDK that is not found.
pub fn new(name: &str, role: &str, dir: Option<&Path>, sdk: Option<&Path>) -> Result<PathBuf, WorkshopError> {
    let role: Role = role.parse().map_err(|problem| WorkshopError::Role { problem })?;
    let dir = dir.unwrap_or(Path::new(name)).to_owned();
    let sdk = sdk.map(Path::to_owned).or_else(componentize::find_sdk).ok_or(WorkshopError::NoSdk)?;
    componentize::scaffold(&dir, name, role, &sdk)?;
    Ok(dir)
}

/// Compiles a component's crate and checks the result; into `DIR/PACKAGE.wasm` if no file is named.
///
/// # Errors
/// A folder without a crate; what cargo or the check finds.
pub fn build(dir: &Path, out: Option<&Path>) -> Result<Built, WorkshopError> {
    let out = match out {
        Some(out) => out.to_owned(),
        None => dir.join(format!("{}.wasm", package(dir)?)),
    };
    let target_dir = absolute(dir.join("target")).map_err(WorkshopError::Target)?;
    Ok(Build { crate_dir: dir.to_owned(), target_dir, out }.run()?)
}

fn package(dir: &Path) -> Result<String, WorkshopError> {
    let path = dir.join("Cargo.toml");
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(source) => return Err(WorkshopError::NoCrate { path, source }),
    };
    let manifest: toml::Table = match toml::from_str(&text) {
        Ok(manifest) => manifest,
        Err(error) => return Err(WorkshopError::CrateText { path, source: Box::new(error) }),
    };
    let name = manifest.get("package").and_then(|package| package.get("name")).and_then(toml::Value::as_str);
    name.map(str::to_owned).ok_or(WorkshopError::NoPackage { path })
}

/// Makes a component out of a core module, and writes it.
///
/// # Errors
/// A file that cannot be read or written, or that is not a module for a world of the contract.
pub fn encode(module: &Path, out: &Path) -> Result<Inspection, WorkshopError> {
    let name = module.display().to_string();
    let bytes = fs::read(module).map_err(|source| WorkshopError::Module { path: module.to_owned(), source })?;
    let component = componentize::encode(&bytes).map_err(WorkshopError::of_contract(&name))?;
    let inspection = componentize::inspect(&component).map_err(WorkshopError::of_contract(&name))?;
    write_file(out, &component)?;
    Ok(inspection)
}

/// A component that was checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Checked {
    /// What it is.
    pub found: Inspection,
    /// What its functions answered.
    pub report: CheckReport,
}

impl Checked {
    /// What the check could not show: the networks that only a bundle has.
    #[must_use]
    pub fn note(&self) -> Option<String> {
        let networks = self.report.needs.networks.join(", ");
        let note = format!("it opens networks that only a bundle has ({networks}); without them it has no answers");
        (!networks.is_empty()).then_some(note)
    }

    /// The result in words.
    #[must_use]
    pub fn words(&self) -> String {
        escape::lines(component::lines(&self.report, &self.found))
    }
}

/// Runs every function of a component twice on made-up rows, under limits `NAME=VALUE`. The component is a file, or a
/// component of the program.
///
/// # Errors
/// A component that breaks the contract or fails, or limits that no bundle has.
pub fn check(name: &str, limits: &[String]) -> Result<Checked, WorkshopError> {
    let bytes = embedded::read_component(name)?;
    let found = componentize::inspect(&bytes).map_err(WorkshopError::of_contract(name))?;
    let sandbox = Sandbox::new(limited(limits)?, cache().as_deref())?;
    let report = sandbox.check(name, &bytes, &BTreeMap::new())?;
    if let Some(call) = report.calls.iter().find(|call| call.is_failed()) {
        let (component, result) = (name.to_owned(), escape::line(&call.result).into_owned());
        return Err(WorkshopError::Fails { component, function: call.function, result });
    }
    Ok(Checked { found, report })
}

/// The limits of a bundle that sets only these, `NAME=VALUE` each; with memory for the few instances of a check.
fn limited(given: &[String]) -> Result<Limits, WorkshopError> {
    let plain = Limits { instances: 8, ..Limits::default() };
    let mut table = toml::Table::try_from(plain)?;
    for found in given {
        let wrong = || WorkshopError::Limit { found: found.clone() };
        let (name, value) = found.split_once('=').ok_or_else(wrong)?;
        let no_number = |source| WorkshopError::LimitValue { found: found.clone(), source };
        let value = value.trim().parse::<i64>().map_err(no_number)?;
        table.insert(name.trim().to_owned(), value.into());
    }
    table.try_into().map_err(|error| WorkshopError::Limits(Box::new(error)))
}

/// A component that the program carries, and the file to write it to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Export {
    path: PathBuf,
    bytes: &'static [u8],
}

impl Export {
    /// Writes it, unless a file with other content is there. Gives its file.
    ///
    /// # Errors
    /// [`WorkshopError::OtherFile`], or a file that cannot be written.
    pub fn write(&self) -> Result<&Path, WorkshopError> {
        let same = || fs::read(&self.path).is_ok_and(|there| there == self.bytes);
        if self.path.exists() && !same() {
            return Err(WorkshopError::OtherFile { path: self.path.clone() });
        }
        write_file(&self.path, self.bytes)?;
        Ok(&self.path)
    }
}

/// The component of this name, or all components if none is named, as files of a folder, which is made.
///
/// # Errors
/// [`WorkshopError::NoComponent`], or a folder that cannot be made.
pub fn exports(name: Option<&str>, dir: &Path) -> Result<Vec<Export>, WorkshopError> {
    let chosen = embedded::components().iter().filter(|(known, _)| name.is_none_or(|name| *known == name));
    let export = |(known, bytes): &(&str, &'static [u8])| Export { path: dir.join(format!("{known}.wasm")), bytes };
    let exports: Vec<Export> = chosen.map(export).collect();
    if exports.is_empty() {
        let name = name.unwrap_or("--all").to_owned();
        return Err(WorkshopError::NoComponent { name, known: embedded::component_names() });
    }
    fs::create_dir_all(dir).map_err(WorkshopError::file(dir))?;
    Ok(exports)
}
