//! What a tenant adds: more constraints and smaller budgets, and nothing else.

mod common;

use common::files;
use inferenceguard_bundle::{Bundle, Layer};
use std::fs;

const PLATFORM: &str = r#"
name = "platform"
version = "1.0.0"
max_tokens = 100

[policy]
component = "policy.wasm"

[tracker]
component = "parts/tracker.wasm"

[costs.harm]
component = "policy.wasm"

[[constraints]]
name = "harm"
cost = "harm"
budget = 10
"#;

fn platform() -> Bundle {
    Bundle::from_parts(PLATFORM, &files()).unwrap()
}

fn over(layer: &str) -> Result<Bundle, String> {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("layer.toml"), layer).unwrap();
    fs::write(dir.path().join("words.wasm"), "words").unwrap();
    let layer = Layer::open_with(dir.path(), |_| None).map_err(|error| error.to_string())?;
    layer.over(&platform()).map_err(|error| error.to_string())
}

const LAYER: &str = r#"
name = "kitchen"
max_tokens = 50
stop = ["END"]
budgets = { harm = 5.0 }

[costs.words]
component = "words.wasm"

[[constraints]]
name = "words"
cost = "words"
budget = 0.5
"#;

#[test]
fn a_layer_tightens_and_adds() {
    let layered = over(LAYER).unwrap();
    let config = layered.manifest().search_config();
    let budgets: Vec<(&str, f64)> =
        config.constraints.iter().map(|one| (one.constraint.name.as_str(), one.constraint.budget)).collect();
    assert_eq!(budgets, [("harm", 5.0), ("kitchen.words", 0.5)]);
    assert_eq!((config.max_tokens, config.stop), (50, vec!["END".to_owned()]));
    assert_eq!(config.constraints[1].cost, "kitchen.words");
    assert_eq!(layered.file("layers/kitchen/words.wasm"), Some(&b"words"[..]));
    assert_eq!(layered.manifest().policy, platform().manifest().policy);
    assert_ne!(layered.digest(), platform().digest());
}

#[test]
fn nothing_is_loosened() {
    for (from, to, words) in [
        ("harm = 5.0", "harm = 11.0", "expected a number above 0, at most 10"),
        ("harm = 5.0", "harm = nan", "at most 10"),
        ("harm = 5.0", "other = 5.0", "a constraint of the platform's bundle: harm"),
        ("max_tokens = 50", "max_tokens = 101", "at most 100"),
        ("cost = \"words\"", "cost = \"harm\"", "a cost of this layer"),
        ("name = \"kitchen\"", "name = \"../x\"", "letters, digits and dashes"),
        ("stop =", "on_exhausted = \"best_reward\"\nstop =", "on_exhausted"),
        ("component = \"words.wasm\"", "component = \"../words.wasm\"", "without `..`"),
        ("component = \"words.wasm\"", "component = \"none.wasm\"", "no file `none.wasm`"),
        ("budget = 0.5", "budget = -1", "a finite number above 0"),
    ] {
        let message = over(&LAYER.replacen(from, to, 1)).expect_err(to);
        assert!(message.contains(words), "{to}: {message}");
    }
}
