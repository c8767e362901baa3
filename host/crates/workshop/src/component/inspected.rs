//! Components as they are, above all those that the program carries.

use crate::WorkshopError;
use inferenceguard_catalog::{cache, embedded};
use inferenceguard_componentize::{self as componentize, Inspection};
use inferenceguard_console::{component, escape, roles};
use inferenceguard_model::with_causes;
use inferenceguard_sandbox::{Component, Limits, Sandbox};
use inferenceguard_search::Needs;
use serde_json::{Value, json};
use std::{collections::BTreeMap, path::Path};

/// A component, as its file and as itself say what it is.
pub struct Inspected {
    name: String,
    found: Inspection,
    /// It, if it runs.
    loaded: Result<Component, WorkshopError>,
}

/// Looks at a component: a file, or a component of the program.
///
/// # Errors
/// What is not a component of the contract. A component that does not run is still shown.
pub fn inspect(name: &str) -> Result<Inspected, WorkshopError> {
    let bytes = embedded::read_component(name)?;
    let found = componentize::inspect(&bytes).map_err(WorkshopError::of_contract(name))?;
    let loaded = sandbox().and_then(|sandbox| Ok(sandbox.load(name, &bytes)?));
    Ok(Inspected { name: name.to_owned(), found, loaded })
}

impl Inspected {
    /// Why it does not describe itself, if it does not.
    #[must_use]
    pub fn note(&self) -> Option<String> {
        self.loaded.as_ref().err().map(|error| format!("it does not describe itself: {}", with_causes(error)))
    }

    /// As a JSON object.
    #[must_use]
    pub fn json(&self) -> Value {
        let (found, loaded) = (&self.found, self.loaded.as_ref().ok());
        let settings = loaded.map(|one| one.description().settings.clone());
        let needs = loaded.and_then(|one| needs(one).ok());
        json!({
            "role": found.role.name(), "contract": found.contract, "size": found.size,
            "imports": found.imports, "exports": found.exports,
            "settings": settings, "needs": needs,
        })
    }

    /// The component in words: what it is, what it reads and takes, the part of a bundle that names it, and its interfaces.
    #[must_use]
    pub fn words(&self) -> String {
        let own = self.loaded.as_ref().ok();
        let about = own.map(Component::description);
        let head = about.map(|about| format!("{} {}: {}", about.name, about.version, about.summary));
        let mut lines: Vec<String> = head.into_iter().chain([component::describe(&self.found)]).collect();
        lines.extend(own.into_iter().flat_map(|own| self.use_lines(own)));
        lines.push(String::new());
        lines.extend(self.found.imports.iter().map(|name| format!("imports {name}")));
        lines.extend(self.found.exports.iter().map(|name| format!("exports {name}")));
        escape::lines(lines)
    }

    /// What it reads and takes, and the part of a bundle.
    fn use_lines(&self, own: &Component) -> Vec<String> {
        let mut lines = vec![match needs(own) {
            Ok(needs) => format!("reads {}", reads(&needs)),
            Err(error) => format!("what it reads depends on its settings: {}", with_causes(&error)),
        }];
        lines.extend(component::settings(own.description()));
        lines.push(String::new());
        let stem = Path::new(&self.name).file_stem();
        let file = stem.map_or_else(|| self.name.clone(), |stem| stem.to_string_lossy().into_owned());
        let example = component::example(&file, self.found.role, own.description());
        lines.extend(example.lines().map(str::to_owned));
        lines
    }
}

fn sandbox() -> Result<Sandbox, WorkshopError> {
    Ok(Sandbox::new(Limits { instances: 8, ..Limits::default() }, cache().as_deref())?)
}

/// What it reads with its default settings.
fn needs(component: &Component) -> Result<Needs, WorkshopError> {
    Ok(component.activate(&BTreeMap::new())?.needs().clone())
}

fn reads(needs: &Needs) -> String {
    let reads = roles::reads(needs);
    if reads.is_empty() { "what every component of its role gets".to_owned() } else { reads.join(", ") }
}

/// The components that the program carries, each with its role and one sentence.
///
/// # Errors
/// A component that does not run.
pub fn list() -> Result<String, WorkshopError> {
    let (sandbox, mut lines) = (sandbox()?, Vec::new());
    let width = embedded::components().iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    for (name, bytes) in embedded::components() {
        let role = embedded::role(name).unwrap_or_default();
        lines.push(format!("{name:<width$}  {role:<8}  {}", sandbox.load(name, bytes)?.description().summary));
    }
    Ok(escape::lines(lines))
}
