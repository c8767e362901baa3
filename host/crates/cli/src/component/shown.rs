//! `component inspect`, `list` and `export`: components as they are, above all those that the program carries.

use crate::output;
use anyhow::{Context, bail, ensure};
use clap::Args;
use inferenceguard_catalog::{cache, embedded};
use inferenceguard_componentize::{self as componentize, Inspection};
use inferenceguard_console::{component, escape, roles};
use inferenceguard_sandbox::{Component, Limits, Sandbox};
use serde_json::json;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

#[derive(Debug, Args)]
pub(crate) struct ExportArguments {
    /// The component; with --all the folder to write
    #[arg(value_name = "NAME|DIR")]
    what: String,
    /// The folder to write
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    dir: Option<PathBuf>,
    /// Writes all components
    #[arg(long)]
    all: bool,
}

/// Shows what a component is, what it reads and takes, and the part of a bundle that names it.
pub(super) fn inspect(name: &str, json: bool) -> anyhow::Result<()> {
    let bytes = embedded::read_component(name)?;
    let found = componentize::inspect(&bytes).with_context(|| name.to_owned())?;
    // A component that does not run is still shown.
    let note = |error: &anyhow::Error| output::note(format_args!("it does not describe itself: {error:#}"));
    let loaded = sandbox().and_then(|sandbox| Ok(sandbox.load(name, &bytes)?)).inspect_err(note).ok();
    if json {
        let settings = loaded.as_ref().map(|one| one.description().settings.clone());
        let needs = loaded.as_ref().and_then(|one| needs(one).ok());
        return output::json(&json!({
            "role": found.role.name(), "contract": found.contract, "size": found.size,
            "imports": found.imports, "exports": found.exports,
            "settings": settings, "needs": needs,
        }));
    }
    output::result(escape::lines(words(name, &found, loaded.as_ref())))
}

fn sandbox() -> anyhow::Result<Sandbox> {
    Ok(Sandbox::new(Limits { instances: 8, ..Limits::default() }, cache().as_deref())?)
}

/// What it reads with its default settings.
fn needs(component: &Component) -> anyhow::Result<inferenceguard_search::Needs> {
    Ok(component.activate(&BTreeMap::new())?.needs().clone())
}

fn words(name: &str, found: &Inspection, loaded: Option<&Component>) -> Vec<String> {
    let list = |title: &str, names: &[String]| names.iter().map(|name| format!("{title} {name}")).collect::<Vec<_>>();
    let Some(loaded) = loaded else {
        return [vec![component::describe(found)], list("imports", &found.imports), list("exports", &found.exports)]
            .concat();
    };
    let about = loaded.description();
    let mut lines = vec![format!("{} {}: {}", about.name, about.version, about.summary), component::describe(found)];
    lines.extend(list("imports", &found.imports));
    lines.extend(list("exports", &found.exports));
    match needs(loaded) {
        Ok(needs) => lines.push(format!("reads {}", reads(&needs))),
        Err(error) => lines.push(format!("what it reads depends on its settings: {error:#}")),
    }
    lines.extend(component::settings(about));
    let file = Path::new(name).file_stem().map_or_else(|| name.to_owned(), |stem| stem.to_string_lossy().into_owned());
    lines.push(String::new());
    lines.extend(component::example(&file, found.role, about).lines().map(str::to_owned));
    lines
}

fn reads(needs: &inferenceguard_search::Needs) -> String {
    let reads = roles::reads(needs);
    if reads.is_empty() { "what every component of its role gets".to_owned() } else { reads.join(", ") }
}

/// Lists the components that the program carries, each with its role and one sentence.
pub(super) fn list() -> anyhow::Result<()> {
    let (sandbox, mut lines) = (sandbox()?, Vec::new());
    for (name, bytes) in embedded::components() {
        let role = componentize::inspect(bytes)?.role;
        lines.push(format!("{name:<16} {:<9} {}", role.name(), sandbox.load(name, bytes)?.description().summary));
    }
    output::result(escape::lines(lines))
}

/// Writes one component or all of them.
pub(super) fn export(arguments: &ExportArguments) -> anyhow::Result<()> {
    let all = embedded::components().iter();
    let chosen: Vec<_> = all.filter(|(name, _)| arguments.all || *name == arguments.what).collect();
    if chosen.is_empty() {
        bail!("{}: no first-party component ({})", arguments.what, embedded::component_names());
    }
    let dir = arguments.dir.clone().unwrap_or_else(|| PathBuf::from(&arguments.what));
    fs::create_dir_all(&dir).with_context(|| dir.display().to_string())?;
    for (name, bytes) in chosen {
        let path = dir.join(format!("{name}.wasm"));
        let same = || fs::read(&path).is_ok_and(|there| there == *bytes);
        ensure!(!path.exists() || same(), "{}: there is another file; name a new folder", path.display());
        output::file(&path, bytes)?;
        output::result(path.display())?;
    }
    Ok(())
}
