//! Which crates depend on which, and where heavy dependencies may be.

use super::{EDGES, ENGINES, FOR_TESTS, FUZZ, HOMES, LIGHT, TESTKIT, TOGETHER, none, root, rust_files};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// What cargo knows of the workspace.
fn metadata(more: &[&str]) -> Value {
    let cargo = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--offline"])
        .args(more)
        .current_dir(root())
        .output()
        .unwrap();
    assert!(cargo.status.success(), "{}", String::from_utf8_lossy(&cargo.stderr));
    serde_json::from_slice(&cargo.stdout).unwrap()
}

/// The platform that this compiler builds for, such as `x86_64-unknown-linux-gnu`.
fn this_platform() -> String {
    let rustc = Command::new("rustc").arg("-vV").current_dir(root()).output().unwrap();
    let text = String::from_utf8(rustc.stdout).unwrap();
    text.lines().find_map(|line| line.strip_prefix("host: ")).unwrap().to_owned()
}

/// The packages of this workspace, without those of others.
fn packages() -> Vec<Value> {
    metadata(&["--no-deps"])["packages"].as_array().unwrap().clone()
}

/// The names of all packages that the library of this one is built with.
fn built_with(metadata: &Value, name: &str) -> BTreeSet<String> {
    let packages = metadata["packages"].as_array().unwrap().iter();
    let names: BTreeMap<&str, &str> =
        packages.map(|p| (p["id"].as_str().unwrap(), p["name"].as_str().unwrap())).collect();
    let nodes = metadata["resolve"]["nodes"].as_array().unwrap().iter();
    let below: BTreeMap<&str, Vec<&str>> = nodes.map(|node| (node["id"].as_str().unwrap(), linked(node))).collect();
    let mut waiting: Vec<&str> = names.iter().filter(|(_, one)| **one == name).map(|(id, _)| *id).collect();
    let mut found = BTreeSet::new();
    while let Some(id) = waiting.pop() {
        let new = below[id].iter().filter(|id| found.insert(names[**id].to_owned()));
        waiting.extend(new);
    }
    found
}

/// What a package links, by id: no build scripts' and no tests' dependencies.
fn linked(node: &Value) -> Vec<&str> {
    let normal = |dep: &&Value| dep["dep_kinds"].as_array().unwrap().iter().any(|kind| kind["kind"].is_null());
    node["deps"].as_array().unwrap().iter().filter(normal).map(|dep| dep["pkg"].as_str().unwrap()).collect()
}

/// (name, is it for tests only) of what a package depends on.
fn dependencies(package: &Value) -> Vec<(String, bool)> {
    let all = package["dependencies"].as_array().unwrap().iter();
    all.map(|d| (d["name"].as_str().unwrap().to_owned(), d["kind"] == "dev")).collect()
}

fn is_component(package: &Value) -> bool {
    package["manifest_path"].as_str().unwrap().contains("/guest/components/")
}

#[test]
fn our_crates_name_only_those_below_them() {
    let ours: BTreeSet<String> = packages().iter().map(|p| p["name"].as_str().unwrap().to_owned()).collect();
    let mut complaints = Vec::new();
    for package in packages() {
        let name = package["name"].as_str().unwrap();
        if TOGETHER.contains(&name) {
            continue;
        }
        let listed = EDGES.iter().find(|(n, _)| *n == name).map(|(_, allowed)| *allowed);
        let allowed = match (listed, is_component(&package)) {
            (Some(allowed), _) => allowed,
            (None, true) => &["inferenceguard-guest"],
            (None, false) => panic!("{name} is new: say in EDGES what it may depend on"),
        };
        for (dependency, dev) in dependencies(&package).into_iter().filter(|(d, _)| ours.contains(d)) {
            let in_tests = dependency == TESTKIT || FOR_TESTS.contains(&(name, dependency.as_str()));
            let fits = allowed.contains(&dependency.as_str()) || (dev && in_tests);
            if !fits {
                complaints.push(format!("{name} depends on {dependency}; it may depend on {allowed:?} only"));
            }
        }
    }
    none(complaints);
}

#[test]
fn only_tests_depend_on_the_test_kit() {
    let outside =
        |package: &Value| package["name"] != FUZZ && dependencies(package).contains(&(TESTKIT.to_owned(), false));
    none(
        packages()
            .iter()
            .filter(|p| outside(p))
            .map(|p| format!("{}: only a dev-dependency may be {TESTKIT}", p["name"]))
            .collect(),
    );
}

#[test]
fn only_edges_that_exist_are_listed() {
    let packages = packages();
    let mut complaints = Vec::new();
    for (name, allowed) in EDGES {
        let package = packages.iter().find(|package| package["name"] == **name);
        let used = package.map(dependencies).unwrap_or_default();
        let unused = allowed.iter().filter(|edge| !used.contains(&((**edge).to_owned(), false)));
        complaints.extend(unused.map(|edge| format!("{name} does not depend on {edge}: remove the edge")));
    }
    none(complaints);
}

#[test]
fn only_edges_of_tests_that_exist_are_listed() {
    let packages = packages();
    let is_used = |(name, edge): &&(&str, &str)| {
        let package = packages.iter().find(|package| package["name"] == *name);
        package.is_some_and(|package| dependencies(package).contains(&((*edge).to_owned(), true)))
    };
    let unused = FOR_TESTS.iter().filter(|edge| !is_used(edge));
    none(unused.map(|(name, edge)| format!("the tests of {name} do not depend on {edge}: remove the edge")).collect());
}

#[test]
fn no_file_of_another_crate_is_compiled_in() {
    // Guests that misbehave share one file; no crate depends on them. Templates are texts of the crate that has them: only the test
    // that tries them compiles them.
    let shares = |path: &str| path.starts_with("tests/guests/") || path == "tests/templates.rs";
    let files = rust_files().into_iter().filter(|(path, _)| !shares(path));
    let mut complaints = Vec::new();
    for (path, text) in files {
        for other in text.lines().filter_map(|line| line.strip_prefix("#[path = \"")?.strip_suffix("\"]")) {
            let folder = Path::new(&path).parent().unwrap();
            if crate_of(&folder.join(other)) != crate_of(Path::new(&path)) {
                complaints.push(format!("{path}: compiles {other} of another crate; depend on a crate that holds it"));
            }
        }
    }
    none(complaints);
}

/// Files and folders that other crates may read when they are compiled: pages that a test follows or that are documentation of
/// code, the demonstration, and the models of tests.
const READ_BY_OTHERS: [&str; 7] = [
    "README.md",
    "host/EMBEDDING.md",
    "host/OPERATIONS.md",
    "host/QUICKSTART.md",
    "host/REQUESTS.md",
    "host/demo/",
    "tests/golden/",
];

/// The paths with `..` in them that a Rust file reads when it is compiled.
fn included(text: &str) -> Vec<&str> {
    let calls = ["include_bytes!(", "include_str!("].into_iter().flat_map(|call| text.split(call).skip(1));
    let paths = calls.filter_map(|rest| rest.trim_start().strip_prefix('"')?.split('"').next());
    paths.filter(|path| path.split('/').any(|part| part == "..")).collect()
}

/// (a Rust file, a file of another crate that it reads when it is compiled), both from the root.
fn reads_of_other_crates() -> Vec<(String, String)> {
    let root = root().canonicalize().unwrap();
    let mut found = Vec::new();
    for (path, text) in rust_files() {
        for other in included(&text) {
            let file = Path::new(&path).parent().unwrap().join(other);
            if crate_of(&file) != crate_of(Path::new(&path)) {
                let file = root.join(&file).canonicalize().unwrap();
                found.push((path.clone(), file.strip_prefix(&root).unwrap().to_str().unwrap().to_owned()));
            }
        }
    }
    found
}

#[test]
fn files_of_other_crates_that_are_read_are_listed() {
    let found = reads_of_other_crates();
    let is_listed = |file: &str| {
        READ_BY_OTHERS.iter().any(|one| one.strip_suffix('/').map_or(file == *one, |_| file.starts_with(one)))
    };
    let unlisted = found.iter().filter(|(_, file)| !is_listed(file));
    let mut complaints: Vec<String> = unlisted
        .map(|(path, file)| format!("{path}: reads {file} of another crate; move it, or list it in READ_BY_OTHERS"))
        .collect();
    let unread = READ_BY_OTHERS.iter().filter(|one| !found.iter().any(|(_, file)| file.starts_with(**one)));
    complaints.extend(unread.map(|one| format!("no other crate reads {one}: remove it from READ_BY_OTHERS")));
    none(complaints);
}

#[test]
fn the_search_for_files_that_are_read_finds_them() {
    let found = |call: &str, path: &str| included(&format!("const A: &str = {call}!(\n    \"{path}\"\n);")).len();
    assert_eq!((found("include_str", "../../a.toml"), found("include_bytes", "b/../c.bin")), (1, 1));
    assert_eq!(
        (found("include_str", "a.toml"), found("include_str", "a..b.toml"), found("text", "../a.toml")),
        (0, 0, 0)
    );
}

/// The folder of the crate that a file lies in.
fn crate_of(file: &Path) -> PathBuf {
    let file = root().join(file).canonicalize().unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    file.ancestors().find(|folder| folder.join("Cargo.toml").is_file()).unwrap().to_owned()
}

#[test]
fn heavy_dependencies_stay_at_home() {
    let mut complaints = Vec::new();
    for package in packages() {
        let name = package["name"].as_str().unwrap();
        let tests = ["inferenceguard-tests", FUZZ].contains(&name);
        let outside = dependencies(&package).into_iter().filter(|(_, dev)| !dev && !tests);
        for (dependency, _) in outside {
            let home = HOMES.iter().find(|(heavy, _)| *heavy == dependency);
            if let Some((_, homes)) = home.filter(|(_, homes)| !homes.contains(&name)) {
                complaints.push(format!("{name} depends on {dependency}, which belongs in {homes:?} only"));
            }
        }
    }
    none(complaints);
}

#[test]
fn bundles_and_records_are_verified_without_an_engine() {
    // Of this platform only: crates of other platforms may not be on this machine.
    let metadata = metadata(&["--filter-platform", &this_platform()]);
    let mut complaints = Vec::new();
    for name in LIGHT {
        let built = built_with(&metadata, name);
        assert!(built.contains("inferenceguard-search"), "{name} should link the search; found {built:?}");
        let heavy = ENGINES.into_iter().filter(|heavy| built.contains(*heavy));
        complaints.extend(heavy.map(|heavy| format!("{name} is built with {heavy}; it must stay light")));
    }
    assert!(built_with(&metadata, "inferenceguard-host").contains("wasmtime"), "the search for wasmtime finds it");
    none(complaints);
}

#[test]
fn every_crate_takes_the_lints_of_the_workspace() {
    let manifests = packages().into_iter().map(|p| p["manifest_path"].as_str().unwrap().to_owned());
    let without = manifests.filter(|path| !fs::read_to_string(path).unwrap().contains("[lints]\nworkspace = true"));
    none(without.map(|path| format!("{path}: add `[lints]` with `workspace = true`")).collect());
}

/// Heavy parts of the program that a lean build does without.
const NOT_LEAN: [&str; 9] = [
    "inferenceguard-critic",
    "inferenceguard-engines",
    "inferenceguard-eval",
    "oci-client",
    "opentelemetry_sdk",
    "plotters",
    "reqwest",
    "rustls",
    "tonic",
];

/// The names of all packages that the program is built with.
fn program(more: &[&str]) -> BTreeSet<String> {
    let cargo = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--package", "inferenceguard", "--edges", "normal,build", "--prefix", "none"])
        .args(more)
        .current_dir(root())
        .output()
        .unwrap();
    assert!(cargo.status.success(), "{}", String::from_utf8_lossy(&cargo.stderr));
    let lines = String::from_utf8(cargo.stdout).unwrap();
    lines.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

#[test]
fn a_lean_build_leaves_heavy_parts_out() {
    let (full, lean) = (program(&[]), program(&["--no-default-features"]));
    assert!(lean.contains("wasmtime") && lean.contains("inferenceguard-server"), "the lean program serves: {lean:?}");
    let mut complaints: Vec<String> = Vec::new();
    for heavy in NOT_LEAN {
        if !full.contains(heavy) {
            complaints.push(format!("the full program is not built with {heavy}: remove it from NOT_LEAN"));
        }
        if lean.contains(heavy) {
            complaints.push(format!("the lean program is built with {heavy}; put it behind a feature"));
        }
    }
    none(complaints);
}
