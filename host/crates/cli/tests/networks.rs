//! Methods that need networks, on the embedded demonstration: what is missing is named, what is there is used.

mod common;

use common::{run, text};
use inferenceguard_bundle::Network;
use inferenceguard_bundle::network::{Layer, LayerActivation};
use serde_json::Value;
use std::{collections::BTreeMap, fs, path::Path};

const PROMPT: &str = "How do I clean the oven before winter?";
const BUNDLE: &str = include_str!("../../../demo/bundle/bundle.toml");

fn hidden() -> usize {
    let config: Value = serde_json::from_str(include_str!("../../../demo/weak/config.json")).unwrap();
    usize::try_from(config["hidden_size"].as_u64().unwrap()).unwrap()
}

/// One linear layer of ones, made for latents this wide.
fn write_network(dir: &Path, name: &str, inputs: usize, outputs: usize, hidden: usize) {
    let weights = vec![1.0; inputs * outputs];
    let layer = Layer { weights, bias: vec![0.0; outputs], activation: LayerActivation::Identity };
    let metadata = BTreeMap::from([("hidden".to_owned(), hidden.to_string())]);
    let network = Network { layers: [layer].into(), metadata };
    fs::write(dir.join(format!("{name}.safetensors")), network.to_bytes().unwrap()).unwrap();
}

fn bundle(dir: &Path, more: &str) -> String {
    fs::write(dir.join("bundle.toml"), format!("{BUNDLE}\n{more}\n")).unwrap();
    text(dir).to_owned()
}

fn quick(arguments: &[&str]) -> common::Ran {
    run(&[&["run", "--n", "4", "--max-tokens", "12", "--json"], arguments].concat())
}

#[test]
fn what_a_bundle_lacks_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let folder = bundle(dir.path(), "");
    let without = |method: &str| quick(&["--bundle", &folder, "--method", method, PROMPT]);
    without("re-control").refuses("Add `[networks.value]`");
    without("re-control+lagrangian").refuses("Add `[networks.value-lagrangian]`");
    without("inference-guard+critic").refuses("add `[critic]` to its manifest");
}

#[test]
fn the_demonstration_brings_its_networks() {
    for method in ["re-control", "re-control+lagrangian", "inference-guard+critic"] {
        let output = quick(&["--method", method, PROMPT]).json();
        assert_eq!((&output["method"], &output["failures"]), (&method.into(), &serde_json::json!([])), "{output}");
        assert_eq!(output["bundle"]["name"], "household-demo-weak", "{output}");
    }
    assert_eq!(quick(&[PROMPT]).json()["bundle"]["name"], "household-demo");
}

#[test]
fn a_bundle_with_networks_steers_and_foresees() {
    let (dir, hidden) = (tempfile::tempdir().unwrap(), hidden());
    write_network(dir.path(), "value", hidden, 1, hidden);
    write_network(dir.path(), "critic", hidden + 1, 2, hidden);
    let critic = "[critic]\ncomponent = \"latent-critic.wasm\"\n[networks.critic]\nfile = \"critic.safetensors\"\n";
    let folder = bundle(dir.path(), &format!("{critic}[networks.value]\nfile = \"value.safetensors\""));
    for method in ["re-control", "inference-guard+critic"] {
        let output = quick(&["--bundle", &folder, "--method", method, PROMPT]).json();
        assert_eq!((&output["method"], &output["failures"]), (&method.into(), &serde_json::json!([])), "{output}");
    }
    let shown = run(&["bundle", "inspect", &folder]).stdout;
    assert!(shown.contains(&format!("network        value: {hidden} -> 1 hidden=\"{hidden}\"")), "{shown}");
    assert!(shown.lines().any(|line| line.starts_with("value.safetensors") && line.contains("sha256:")), "{shown}");
}

#[test]
fn networks_that_do_not_fit_are_refused() {
    let (dir, hidden) = (tempfile::tempdir().unwrap(), hidden());
    write_network(dir.path(), "value", 8, 1, 8);
    let folder = bundle(dir.path(), "[networks.value]\nfile = \"value.safetensors\"");
    let words = format!("was made for hidden `8`; expected `{hidden}`");
    quick(&["--bundle", &folder, "--method", "re-control", PROMPT]).refuses(&words);
    fs::write(dir.path().join("value.safetensors"), "nonsense").unwrap();
    quick(&["--bundle", &folder, PROMPT]).refuses("value.safetensors, `[networks.value]`");
    fs::remove_file(dir.path().join("value.safetensors")).unwrap();
    quick(&["--bundle", &folder, PROMPT]).refuses("value.safetensors");
}

#[test]
fn components_with_networks_are_checked_as_far_as_they_go() {
    for name in ["latent-critic", "re-control", "linear-cost"] {
        let checked = run(&["component", "check", name]);
        assert_eq!(checked.code, Some(0), "{}", checked.stderr);
        assert!(checked.stderr.contains("opens networks that only a bundle has"), "{}", checked.stderr);
        assert!(checked.stdout.contains(name), "{}", checked.stdout);
    }
}
