//! From a core module to a component.

use crate::{CONTRACT, ComponentError};
use wasmparser::{Parser, Payload};
use wit_component::ComponentEncoder;

/// Encodes a core module as a component. It has been compiled from bindings of one of the contract's worlds, and carries that
/// world's metadata, as those of the SDK and of wit-bindgen do.
///
/// # Errors
/// When it is a component already, imports anything but the contract, or carries no world.
pub fn encode(module: &[u8]) -> Result<Vec<u8>, ComponentError> {
    if !module.starts_with(b"\0asm") {
        return Err(ComponentError::NotWasm);
    }
    // The layer that the header names: 0 for core modules.
    if module.get(6) == Some(&1) {
        return Err(ComponentError::AlreadyComponent);
    }
    refuse_foreign_imports(module)?;
    let encoded = ComponentEncoder::default().validate(true).module(module).and_then(|encoder| encoder.encode());
    encoded.map_err(|error| ComponentError::Encode(format!("{error:#}")))
}

/// Checked before encoding, because the encoder's message would name interfaces that the author never wrote.
fn refuse_foreign_imports(module: &[u8]) -> Result<(), ComponentError> {
    let malformed = |error: wasmparser::BinaryReaderError| ComponentError::Malformed(error.to_string());
    for payload in Parser::new(0).parse_all(module) {
        let Payload::ImportSection(section) = payload.map_err(malformed)? else { continue };
        for import in section.into_imports() {
            let import = import.map_err(malformed)?;
            let package = import.module.trim_start_matches("[export]");
            let ours = package.strip_prefix(CONTRACT).is_some_and(|rest| rest.starts_with('/'));
            if !ours {
                let import = format!("{}::{}", import.module, import.name);
                return Err(ComponentError::ForeignImport { import, role: None });
            }
        }
    }
    Ok(())
}
