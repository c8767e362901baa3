//! Files that are not components, and components of other contracts: each error names the reason.

use inferenceguard_componentize::{ComponentError, Role, encode, inspect};

/// A component with these imports and exports; all of them empty instances.
fn component(imports: &[&str], exports: &[&str]) -> Vec<u8> {
    let imports = imports.iter().map(|name| format!("(import \"{name}\" (instance))"));
    let exports = exports.iter().map(|name| format!("(export \"{name}\" (instance $empty))"));
    let body: String = imports.chain(["(instance $empty)".to_owned()]).chain(exports).collect();
    wat::parse_str(format!("(component {body})")).unwrap()
}

const SETUP: &str = "inferenceguard:guard/setup@0.1.0";
const TRACKER: &str = "inferenceguard:guard/tracker@0.1.0";

#[test]
fn a_component_of_the_contract_is_described() {
    let bytes = component(&["inferenceguard:guard/log@0.1.0"], &[SETUP, TRACKER]);
    let inspection = inspect(&bytes).unwrap();
    assert_eq!((inspection.role, inspection.contract.as_str()), (Role::Tracker, "0.1.0"));
    assert_eq!(inspection.imports, ["inferenceguard:guard/log@0.1.0"]);
    assert_eq!((inspection.exports, inspection.size), (vec![SETUP.to_owned(), TRACKER.to_owned()], bytes.len()));
}

#[test]
fn a_later_patch_of_the_contract_is_known() {
    let bytes = component(&[], &["inferenceguard:guard/setup@0.1.7", "inferenceguard:guard/cost@0.1.7"]);
    assert_eq!(inspect(&bytes).unwrap().contract, "0.1.7");
}

#[test]
fn garbage_is_not_wasm() {
    for bytes in [&b""[..], b"\0as", b"hello", b"PK\x03\x04"] {
        assert!(matches!(inspect(bytes), Err(ComponentError::NotWasm)), "{bytes:?}");
        assert!(matches!(encode(bytes), Err(ComponentError::NotWasm)), "{bytes:?}");
    }
}

#[test]
fn a_core_module_is_not_a_component() {
    let module = wat::parse_str("(module)").unwrap();
    assert!(matches!(inspect(&module), Err(ComponentError::CoreModule)));
}

#[test]
fn a_truncated_component_is_refused() {
    let bytes = component(&["inferenceguard:guard/log@0.1.0"], &[SETUP, TRACKER]);
    // The last section has only names for debuggers; without it the component is whole.
    let whole = bytes.windows(14).position(|window| window == b"component-name").unwrap() - 3;
    for cut in 0..bytes.len() {
        assert!(cut == whole || inspect(&bytes[..cut]).is_err(), "{cut} of {} bytes were accepted", bytes.len());
    }
}

#[test]
fn a_foreign_import_names_the_import_and_the_role() {
    for foreign in ["wasi:cli/environment@0.2.0", "inferenceguard:guardian/log@0.1.0", "clock"] {
        let refused = inspect(&component(&[foreign], &[SETUP, TRACKER])).unwrap_err();
        let text = refused.to_string();
        assert!(matches!(refused, ComponentError::ForeignImport { role: Some(Role::Tracker), .. }), "{text}");
        assert!(text.contains(foreign) && text.contains("tracker"), "{text}");
    }
}

#[test]
fn an_import_of_another_roles_world_is_refused() {
    let refused = inspect(&component(&["inferenceguard:guard/batch@0.1.0"], &[SETUP, TRACKER])).unwrap_err();
    assert!(matches!(refused, ComponentError::ImportOfAnotherRole { role: Role::Tracker, .. }), "{refused}");
}

#[test]
fn an_unknown_version_is_refused() {
    for version in ["0.2.0", "1.1.0", "0.10.0"] {
        let bytes = component(&[], &[SETUP, &format!("inferenceguard:guard/tracker@{version}")]);
        assert!(matches!(inspect(&bytes), Err(ComponentError::UnknownVersion { .. })), "{version}");
        let bytes = component(&[&format!("inferenceguard:guard/log@{version}")], &[SETUP, TRACKER]);
        assert!(matches!(inspect(&bytes), Err(ComponentError::UnknownVersion { .. })), "{version}");
    }
}

#[test]
fn one_role_exactly_and_setup_with_it() {
    assert!(matches!(inspect(&component(&[], &[SETUP])), Err(ComponentError::NoRole { .. })));
    assert!(matches!(inspect(&component(&[], &[])), Err(ComponentError::NoRole { .. })));
    assert!(matches!(inspect(&component(&[], &[TRACKER])), Err(ComponentError::NoSetup { role: Role::Tracker })));
    let two = component(&[], &[SETUP, TRACKER, "inferenceguard:guard/cost@0.1.0"]);
    assert!(matches!(inspect(&two), Err(ComponentError::SeveralRoles { .. })));
}
