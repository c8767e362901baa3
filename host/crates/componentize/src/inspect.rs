//! What a component is, read from its bytes alone; nothing is run.

use crate::{ComponentError, Role, contract::Interface};
use wasmparser::{Encoding, Parser, Payload, Validator, WasmFeatures};

/// What a checked component is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    /// The role it fills.
    pub role: Role,
    /// The contract version of its role's interface, for example `0.1.0`.
    pub contract: String,
    /// Everything it imports, sorted.
    pub imports: Vec<String>,
    /// Everything it exports, sorted.
    pub exports: Vec<String>,
    /// Its size in bytes.
    pub size: usize,
}

/// Reads a component and checks it against the contract.
///
/// # Errors
/// When the bytes are not a component, or the component imports too much, has no role or several, or an unknown version.
pub fn inspect(bytes: &[u8]) -> Result<Inspection, ComponentError> {
    if !bytes.starts_with(b"\0asm") {
        return Err(ComponentError::NotWasm);
    }
    let malformed = |error: wasmparser::BinaryReaderError| ComponentError::Malformed(error.to_string());
    let names = names(bytes)?;
    Validator::new_with_features(WasmFeatures::all()).validate_all(bytes).map_err(malformed)?;
    let roles: Vec<Role> =
        Role::ALL.into_iter().filter(|role| export_of(&names.exports, role.name()).is_some()).collect();
    check_imports(&names.imports, roles.first().copied())?;
    let role = match roles[..] {
        [role] => role,
        [] => return Err(ComponentError::NoRole { exports: names.exports }),
        _ => return Err(ComponentError::SeveralRoles { roles }),
    };
    let contract = check_exports(&names.exports, role)?;
    Ok(Inspection { role, contract, imports: names.imports, exports: names.exports, size: bytes.len() })
}

struct Names {
    imports: Vec<String>,
    exports: Vec<String>,
}

/// The names at the component's own level; nested modules and components have theirs, which are not its world.
fn names(bytes: &[u8]) -> Result<Names, ComponentError> {
    let malformed = |error: wasmparser::BinaryReaderError| ComponentError::Malformed(error.to_string());
    let mut names = Names { imports: Vec::new(), exports: Vec::new() };
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(malformed)? {
            Payload::Version { encoding: Encoding::Module, .. } if depth == 0 => {
                return Err(ComponentError::CoreModule);
            }
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 0 => {
                for import in section {
                    names.imports.push(import.map_err(malformed)?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                for export in section {
                    names.exports.push(export.map_err(malformed)?.name.name.to_owned());
                }
            }
            _ => {}
        }
    }
    names.imports.sort_unstable();
    names.exports.sort_unstable();
    Ok(names)
}

fn export_of<'a>(exports: &'a [String], name: &str) -> Option<(&'a str, Interface<'a>)> {
    let found = |export: &'a String| Interface::of(export).map(|interface| (export.as_str(), interface));
    exports.iter().filter_map(found).find(|(_, interface)| interface.name == name)
}

fn check_imports(imports: &[String], role: Option<Role>) -> Result<(), ComponentError> {
    for import in imports {
        let Some(interface) = Interface::of(import) else {
            return Err(ComponentError::ForeignImport { import: import.clone(), role });
        };
        if !interface.known() {
            return Err(ComponentError::UnknownVersion { interface: import.clone() });
        }
        if let Some(role) = role.filter(|role| !role.imports().contains(&interface.name)) {
            let allowed = role.imports().iter().map(|name| (*name).to_owned()).collect();
            return Err(ComponentError::ImportOfAnotherRole { import: import.clone(), role, allowed });
        }
    }
    Ok(())
}

fn check_exports(exports: &[String], role: Role) -> Result<String, ComponentError> {
    let Some((setup, setup_interface)) = export_of(exports, "setup") else {
        return Err(ComponentError::NoSetup { role });
    };
    let Some((export, interface)) = export_of(exports, role.name()) else {
        return Err(ComponentError::NoRole { exports: exports.to_vec() });
    };
    for (name, interface) in [(setup, setup_interface), (export, interface)] {
        if !interface.known() {
            return Err(ComponentError::UnknownVersion { interface: name.to_owned() });
        }
    }
    Ok(interface.version.to_owned())
}
