//! A look at a component's imports and exports before anything is compiled, so that every refusal can be put in words.

use crate::SandboxError;
use inferenceguard_search::Role;
use wasmparser::{Encoding, Parser, Payload};

/// The versions of the contract that this host runs.
pub const SUPPORTED_CONTRACT: &str = "0.1.x";

const PACKAGE: &str = "inferenceguard:guard/";
const IMPORTS: [&str; 5] = ["types", "batch", "dense", "log", "why"];

/// Checks the names and gives the role exported.
pub(crate) fn role_of(component: &str, bytes: &[u8]) -> Result<Role, SandboxError> {
    let names = read_names(component, bytes)?;
    names.imports.iter().try_for_each(|import| check_import(component, import))?;
    let exports = names.exports.iter().map(|export| interface(component, export));
    let ours: Vec<&str> = exports.filter_map(Result::transpose).collect::<Result<_, _>>()?;
    if !ours.contains(&"setup") {
        return Err(exports_error(component, &names.exports, "`inferenceguard:guard/setup` and one role"));
    }
    let roles: Vec<Role> = ours.iter().filter_map(|name| role_named(name)).collect();
    match roles.as_slice() {
        [role] => Ok(*role),
        _ => {
            Err(exports_error(component, &names.exports, "exactly one role: policy, tracker, critic, cost or steering"))
        }
    }
}

#[derive(Default)]
struct Names {
    imports: Vec<String>,
    exports: Vec<String>,
}

fn read_names(component: &str, bytes: &[u8]) -> Result<Names, SandboxError> {
    let not_one = |found: String| SandboxError::NotAComponent { component: component.to_owned(), found };
    let broken = |e: wasmparser::BinaryReaderError| not_one(format!("broken ({e})"));
    let mut names = Names::default();
    let mut depth = 0_u32;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(broken)? {
            Payload::Version { encoding: Encoding::Module, .. } if depth == 0 => {
                return Err(not_one("a core WebAssembly module".to_owned()));
            }
            Payload::Version { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 1 => {
                for import in section {
                    names.imports.push(import.map_err(broken)?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) if depth == 1 => {
                for export in section {
                    names.exports.push(export.map_err(broken)?.name.name.to_owned());
                }
            }
            _ => {}
        }
    }
    Ok(names)
}

fn check_import(component: &str, import: &str) -> Result<(), SandboxError> {
    match interface(component, import)? {
        Some(name) if IMPORTS.contains(&name) => Ok(()),
        _ => Err(SandboxError::ForeignImport { component: component.to_owned(), import: import.to_owned() }),
    }
}

/// The interface of our package that a name means, if it is one; an error if it is of a version we do not have.
fn interface<'a>(component: &str, name: &'a str) -> Result<Option<&'a str>, SandboxError> {
    let Some(rest) = name.strip_prefix(PACKAGE) else { return Ok(None) };
    let (interface, version) = rest.split_once('@').unwrap_or((rest, ""));
    if supported(version) {
        return Ok(Some(interface));
    }
    let found = if version.is_empty() { "(none)" } else { version }.to_owned();
    Err(SandboxError::Version { component: component.to_owned(), found, expected: SUPPORTED_CONTRACT })
}

fn supported(version: &str) -> bool {
    version.strip_prefix("0.1.").is_some_and(|patch| !patch.is_empty() && patch.bytes().all(|b| b.is_ascii_digit()))
}

fn role_named(interface: &str) -> Option<Role> {
    Some(match interface {
        "policy" => Role::Policy,
        "tracker" => Role::Tracker,
        "critic" => Role::Critic,
        "cost" => Role::Cost,
        "steering" => Role::Steering,
        _ => return None,
    })
}

fn exports_error(component: &str, found: &[String], expected: &str) -> SandboxError {
    let found = if found.is_empty() { "nothing".to_owned() } else { found.join(", ") };
    SandboxError::Exports { component: component.to_owned(), found, expected: expected.to_owned() }
}
