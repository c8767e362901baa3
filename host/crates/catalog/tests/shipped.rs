//! The bundles for real models in `host/bundles`: each opens, names the model that its networks were trained for, and holds numbers and
//! settings only.

use inferenceguard_bundle::{Bundle, Network};
use inferenceguard_catalog::bundles::{self, Fallback};
use inferenceguard_sandbox::SettingValue;
use std::{fs, path::PathBuf};

fn shipped() -> Vec<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../bundles");
    let entries = fs::read_dir(&folder).expect("host/bundles").map(|entry| entry.expect("an entry").path());
    entries.filter(|path| path.is_dir()).collect()
}

fn network(bundle: &Bundle, name: &str) -> Network {
    let entry = &bundle.manifest().networks[name];
    Network::parse(bundle.file(&entry.file).expect("its file")).expect("a network")
}

#[test]
fn every_bundle_opens_and_its_networks_name_the_model_and_the_latents_that_its_costs_read() {
    let folders = shipped();
    assert!(!folders.is_empty());
    for folder in folders {
        let bundle = bundles::open(Some(&folder), Fallback::Plain).unwrap();
        let manifest = bundle.manifest();
        assert_eq!(manifest.name, folder.file_name().unwrap().to_string_lossy());
        assert!(manifest.constraints.len() > 1, "{}: more than one constraint", manifest.name);
        for name in manifest.networks.keys() {
            let metadata = network(&bundle, name).metadata;
            for key in ["model", "model-name", "hidden", "latent"] {
                assert!(metadata.get(key).is_some_and(|value| !value.is_empty()), "{}: {name}: {key}", manifest.name);
            }
            let reads = SettingValue::Text(name.clone());
            let cost = manifest.costs.values().find(|cost| cost.settings.get("network") == Some(&reads));
            let latent = cost.and_then(|cost| cost.settings.get("latent"));
            assert_eq!(latent, Some(&SettingValue::Text(metadata["latent"].clone())), "{}: {name}", manifest.name);
        }
    }
}

#[test]
fn a_bundle_holds_its_manifest_its_networks_and_a_page() {
    for folder in shipped() {
        for entry in fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
            let name = entry.file_name().unwrap().to_string_lossy().into_owned();
            let known = ["bundle.toml", "README.md", "reliability.svg"].contains(&name.as_str());
            assert!(known || name.ends_with(".safetensors"), "{}", entry.display());
            assert!(fs::metadata(&entry).unwrap().len() < 1 << 20, "{}: less than a megabyte", entry.display());
        }
    }
}
