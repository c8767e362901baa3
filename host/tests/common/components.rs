//! First-party components for tests, built once per process, by the names of their packages.
#![allow(dead_code, reason = "every test file uses another part")]

use inferenceguard_bundle::{Bundle, Network};
use inferenceguard_componentize::build_workspace_components;
use inferenceguard_sandbox::{Layer, LayerActivation};
use std::{collections::BTreeMap, env, fs, path::Path, sync::OnceLock};

const PACKAGES: [&str; 10] = [
    "args",
    "base",
    "beam-search",
    "best-of-n",
    "inference-guard",
    "latent-critic",
    "linear-cost",
    "re-control",
    "safety-budget",
    "score-cost",
];

/// Bytes by package name: ready ones if `INFERENCEGUARD_COMPONENTS` names their folder, else built here, in the same
/// nested target directory as the command line's build script.
pub(crate) fn components() -> &'static BTreeMap<String, Vec<u8>> {
    static BUILT: OnceLock<BTreeMap<String, Vec<u8>>> = OnceLock::new();
    BUILT.get_or_init(|| match env::var_os("INFERENCEGUARD_COMPONENTS") {
        Some(folder) => {
            PACKAGES.into_iter().map(|name| read(name, &Path::new(&folder).join(format!("{name}.wasm")))).collect()
        }
        None => build(),
    })
}

fn build() -> BTreeMap<String, Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap();
    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let target = scratch.parent().unwrap().join("components");
    let built = build_workspace_components(&root, &PACKAGES, &target, &scratch.join("host-components")).unwrap();
    built.into_iter().map(|one| read(&one.package, &one.path)).collect()
}

fn read(name: &str, path: &Path) -> (String, Vec<u8>) {
    (name.to_owned(), fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
}

pub(crate) const MANIFEST: &str = r#"
name = "toy"
version = "0.1.0"
task = "reward"
max_tokens = 12

[policy]
component = "inference-guard.wasm"
settings = { n = 8, keep = 2, chunk-len = 4 }

[tracker]
component = "safety-budget.wasm"

[costs.harm]
component = "score-cost.wasm"
settings = { model = "cost" }

[costs.reward]
component = "score-cost.wasm"
settings = { model = "reward", kind = "task" }

[[constraints]]
name = "harm"
cost = "harm"
budget = 11

[methods.best-of-n.settings]
n = 4

[limits]
instances = 32
"#;

pub(crate) fn bundle(manifest: &str) -> Bundle {
    bundle_with(manifest, &[])
}

/// With these networks, each in the file `NAME.safetensors`.
pub(crate) fn bundle_with(manifest: &str, networks: &[(&str, Network)]) -> Bundle {
    let components = components().iter().map(|(name, bytes)| (format!("{name}.wasm"), bytes.clone()));
    let networks = networks.iter().map(|(name, one)| (format!("{name}.safetensors"), one.to_bytes().unwrap()));
    Bundle::from_parts(manifest, &components.chain(networks).collect()).unwrap()
}

/// One linear layer: a row of weights per output, and its bias; made for nothing in particular.
pub(crate) fn linear(rows: &[(&[f32], f32)]) -> Network {
    let (weights, bias) = rows.iter().map(|(weights, bias)| (weights.to_vec(), *bias)).unzip::<_, _, Vec<_>, _>();
    let layer = Layer { weights: weights.concat(), bias, activation: LayerActivation::Identity };
    Network { layers: [layer].into(), metadata: BTreeMap::new() }
}
