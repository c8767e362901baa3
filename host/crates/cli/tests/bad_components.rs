//! Files that are not components of the contract, and components that misbehave: refused in words before a request, unsafe
//! within one.

mod common;

use common::{Ran, run, text};
use inferenceguard_testkit::components;
use serde_json::Value;
use std::{fs, path::Path};

const MANIFEST: &str = include_str!("../../../demo/bundle/bundle.toml");

/// A component with these imports and exports; all of them empty.
fn component(imports: &[&str], exports: &[&str]) -> Vec<u8> {
    let imports = imports.iter().map(|name| format!("(import \"{name}\" (instance))"));
    let exports = exports.iter().map(|name| format!("(export \"{name}\" (instance $empty))"));
    let body: String = imports.chain(["(instance $empty)".to_owned()]).chain(exports).collect();
    wat::parse_str(format!("(component {body})")).unwrap()
}

/// The demonstration's bundle with another file in the place of its safety cost.
fn bundle(file: &str, settings: &str, bytes: &[u8]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let (from, to) = (
        "[costs.safety]\ncomponent = \"score-cost.wasm\"\nsettings = { model = \"cost\" }",
        format!("[costs.safety]\ncomponent = \"{file}\"\nsettings = {settings}"),
    );
    assert!(MANIFEST.contains(from));
    fs::write(dir.path().join("bundle.toml"), MANIFEST.replace(from, &to)).unwrap();
    fs::write(dir.path().join(file), bytes).unwrap();
    dir
}

/// Runs a small request.
fn ask(bundle: &Path, arguments: &[&str]) -> Ran {
    let request = ["run", "--n", "3", "--max-tokens", "12", "--bundle", text(bundle)];
    run(&[&request[..], arguments, &["How do I clean the oven?"]].concat())
}

#[test]
fn strangers_are_refused_by_check_inspect_and_run() {
    let (setup, cost) = ("inferenceguard:guard/setup@0.1.0", "inferenceguard:guard/cost@0.1.0");
    let wasi = "wasi:clocks/monotonic-clock@0.2.0";
    for (what, bytes, words) in [
        ("a foreign import", component(&[wasi], &[setup, cost]), wasi),
        ("another version", component(&[], &[setup, "inferenceguard:guard/cost@0.2.0"]), "0.2.0"),
        ("no role", component(&[], &[setup]), "role"),
        ("two roles", component(&[], &[setup, cost, "inferenceguard:guard/tracker@0.1.0"]), "role"),
        ("no setup", component(&[], &[cost]), "setup"),
        ("a core module", wat::parse_str("(module)").unwrap(), "core WebAssembly module"),
    ] {
        let bundle = bundle("stranger.wasm", "{}", &bytes);
        let file = bundle.path().join("stranger.wasm");
        ask(bundle.path(), &[]).refuses(words);
        for command in ["check", "inspect"] {
            run(&["component", command, text(&file)]).refuses(words);
        }
        assert_eq!(fs::read_dir(bundle.path()).unwrap().count(), 2, "{what}: nothing but the bundle's own files");
    }
}

#[test]
fn a_role_is_played_only_by_its_own_component() {
    let dir = tempfile::tempdir().unwrap();
    for (from, to, words) in [
        ("safety-budget.wasm", "inference-guard.wasm", "`tracker` fills the role policy; expected tracker"),
        ("inference-guard.wasm", "safety-budget.wasm", "`policy` fills the role tracker; expected policy"),
        ("\"score-cost.wasm\"", "\"safety-budget.wasm\"", "`safety` fills the role tracker; expected cost"),
    ] {
        // Without it, `--n` would be refused first: nothing says how many candidates another policy considers.
        let candidates = "\n[methods.bundle]\ncandidates = \"n\"\n";
        fs::write(dir.path().join("bundle.toml"), MANIFEST.replace(from, to) + candidates).unwrap();
        ask(dir.path(), &[]).refuses(words);
    }
}

/// The cost that misbehaves on purpose.
fn rogue() -> &'static [u8] {
    &components::guests()["rogue-cost"]
}

#[test]
fn a_cost_that_misbehaves_in_a_request_makes_its_beams_unsafe() {
    for (mode, words) in [
        ("loop", "out-of-fuel"),
        ("memory", "memory"),
        ("panic", "the rogue lost its nerve"),
        ("recurse", "trap"),
        ("nan", "the price NaN"),
        ("infinite", "the price inf"),
        ("short", "0 prices"),
        ("huge", "too large"),
        ("undeclared", "which it did not declare"),
    ] {
        let bundle = bundle("rogue.wasm", &format!("{{ mode = \"{mode}\" }}"), rogue());
        let ran = ask(bundle.path(), &["--json"]);
        // What the component says when it panics is logged; the program itself does not.
        assert!(!ran.stderr.contains("thread '") && !ran.stderr.contains('\u{1b}'), "{mode}: {}", ran.stderr);
        // Shown like an answer, and an error all the same.
        assert_eq!(ran.code, Some(1), "{mode}");
        assert!(
            ran.stderr.contains("error: the request failed, and no answer was emitted: cost `safety`"),
            "{}",
            ran.stderr
        );
        let output: Value = serde_json::from_str(&ran.stdout).unwrap();
        assert_eq!((&output["status"], &output["finish"]), (&"failed".into(), &"failed".into()), "{mode}");
        assert_eq!(output["text"], "I cannot answer that safely.", "{mode}");
        let failures = output["failures"].to_string();
        assert!(failures.contains(words), "{mode}: {words:?} is not in {failures}");
    }
}

#[test]
fn a_cost_that_misbehaves_while_it_is_configured_is_an_error() {
    for (mode, words) in [
        ("loop-in-configure", "out of fuel"),
        ("panic-in-configure", "no settings, please"),
        ("refuse-settings", "refuses its settings"),
        ("many-top-k", "the need top-k(5000)"),
        ("task-per-token", "a task cost per token"),
    ] {
        let bundle = bundle("rogue.wasm", &format!("{{ mode = \"{mode}\" }}"), rogue());
        let ran = ask(bundle.path(), &[]);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{mode}: {}", ran.stderr);
        let error = ran.stderr.split_once("error: ").unwrap().1;
        assert!(error.contains("`safety`") && error.contains(words), "{mode}: {error}");
        assert!(!ran.stderr.contains("thread '"), "{mode}: {}", ran.stderr);
    }
}
