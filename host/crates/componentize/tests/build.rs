//! Real builds: a first-party component, every scaffold, and a crate that imports more than the contract.

use inferenceguard_componentize::{Build, ComponentError, Role, build_workspace_components, inspect, scaffold};
use std::{
    fs,
    path::{Path, PathBuf},
};

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..")
}

/// Shared by the tests and kept between runs, so that the SDK is compiled once.
fn target() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("guests")
}

#[test]
fn a_first_party_component_is_built_checked_and_reproducible() {
    let out = tempfile::tempdir().unwrap();
    let built = build_workspace_components(&workspace(), &["base"], &target(), out.path()).unwrap();
    let [base] = &built[..] else { panic!("one component was asked for, found {built:?}") };
    assert_eq!((base.package.as_str(), &base.path), ("base", &out.path().join("base.wasm")));
    assert_eq!((base.inspection.role, base.inspection.contract.as_str()), (Role::Policy, "0.1.0"));
    assert!(base.inspection.imports.iter().all(|import| import.starts_with("inferenceguard:guard/")));
    assert!(base.inspection.exports.contains(&"inferenceguard:guard/policy@0.1.0".to_owned()));

    let bytes = fs::read(&base.path).unwrap();
    assert_eq!(inspect(&bytes).unwrap(), base.inspection);
    let home = std::env::var("HOME").unwrap();
    assert!(!bytes.windows(home.len()).any(|window| window == home.as_bytes()), "a folder of this machine leaked");
    let files: Vec<_> = fs::read_dir(out.path()).unwrap().collect();
    assert_eq!(files.len(), 1, "nothing but the component is left: {files:?}");
}

#[test]
fn every_scaffold_becomes_a_component_of_its_role() {
    let dir = tempfile::tempdir().unwrap();
    for role in Role::ALL {
        let crate_dir = dir.path().join(role.name());
        scaffold(&crate_dir, &format!("my-{role}"), role, &workspace().join("guest")).unwrap();
        let out = dir.path().join(format!("{role}.wasm"));
        let built = Build { crate_dir, target_dir: target(), out }.run().unwrap();
        assert_eq!((built.package, built.inspection.role), (format!("my-{role}"), role));
    }
}

#[test]
fn a_foreign_import_is_refused_in_words_and_nothing_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let crate_dir = dir.path().join("curious");
    scaffold(&crate_dir, "curious", Role::Tracker, &workspace().join("guest")).unwrap();
    let source = crate_dir.join("src/lib.rs");
    let text = fs::read_to_string(&source).unwrap();
    let clock = "#[link(wasm_import_module = \"wasi_snapshot_preview1\")]\n\
                 unsafe extern \"C\" { fn sched_yield() -> i32; }\n";
    let text = text.replace("let z = trace.last()", "unsafe { sched_yield() };\n        let z = trace.last()");
    fs::write(&source, format!("{text}\n{clock}")).unwrap();
    let out = dir.path().join("curious.wasm");
    let refused = Build { crate_dir, target_dir: target(), out: out.clone() }.run().unwrap_err();
    let ComponentError::ForeignImport { import, .. } = &refused else { panic!("{refused}") };
    assert_eq!(import, "wasi_snapshot_preview1::sched_yield");
    assert!(refused.to_string().contains("may import only `inferenceguard:guard`"), "{refused}");
    assert!(!out.exists());
}

#[test]
fn a_crate_that_registers_nothing_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let crate_dir = dir.path().join("idle");
    scaffold(&crate_dir, "idle", Role::Policy, &workspace().join("guest")).unwrap();
    let source = crate_dir.join("src/lib.rs");
    let text = fs::read_to_string(&source).unwrap();
    fs::write(&source, text.replace("inferenceguard_guest::register_policy!(Chooser);", "")).unwrap();
    let out = dir.path().join("idle.wasm");
    let refused = Build { crate_dir, target_dir: target(), out }.run().unwrap_err();
    assert!(matches!(refused, ComponentError::NoRole { .. }), "{refused}");
}

#[test]
fn code_that_does_not_compile_is_reported_with_the_compilers_words() {
    let dir = tempfile::tempdir().unwrap();
    let crate_dir = dir.path().join("broken");
    scaffold(&crate_dir, "broken", Role::Cost, &workspace().join("guest")).unwrap();
    fs::write(crate_dir.join("src/lib.rs"), "fn f() -> u32 { \"no\" }").unwrap();
    let out = dir.path().join("broken.wasm");
    let refused = Build { crate_dir, target_dir: target(), out }.run().unwrap_err();
    assert!(refused.to_string().contains("mismatched types"), "{refused}");
}

#[test]
fn names_and_folders_are_checked_before_anything_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let sdk = workspace().join("guest");
    for name in ["", "My-cost", "-cost", "a--b", "a_b", "1st", "a/b", "a.b"] {
        let refused = scaffold(&dir.path().join("x"), name, Role::Cost, &sdk).unwrap_err();
        assert!(matches!(refused, ComponentError::Name(_)), "{name}: {refused}");
    }
    let refused = scaffold(dir.path(), "fine", Role::Cost, &sdk).unwrap_err();
    assert!(matches!(refused, ComponentError::Exists(_)), "{refused}");
    assert!(!dir.path().join("x").exists());
}
