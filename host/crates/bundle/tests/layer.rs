//! What a tenant adds: more constraints and smaller budgets, and nothing else.

mod common;

use common::files;
use inferenceguard_bundle::{Bundle, Layer};
use proptest::prelude::*;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

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

#[test]
fn the_digest_of_a_layer_is_that_of_its_text_and_of_every_file_that_it_names() {
    let dir = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
    put("layer.toml", LAYER);
    let open = |given: &str| Layer::open_with(dir.path(), |_| Some(given.as_bytes().to_vec())).unwrap();
    let given = open("words");
    assert_eq!(given.files().keys().collect::<Vec<_>>(), ["words.wasm"]);
    assert_ne!(open("others").digest(), given.digest());
    put("words.wasm", "words");
    put("beside.txt", "x");
    assert_eq!(open("others").digest(), given.digest(), "the same bytes");
    put("words.wasm", "edited");
    assert_ne!(open("others").digest(), given.digest());
    put("words.wasm", "words");
    put("layer.toml", &LAYER.replace("harm = 5.0", "harm = 4.0"));
    assert_ne!(open("others").digest(), given.digest());
}

fn platform() -> Bundle {
    Bundle::from_parts(PLATFORM, &files()).unwrap()
}

fn over(layer: &str) -> Result<Bundle, String> {
    over_platform(layer, &platform())
}

fn over_platform(layer: &str, platform: &Bundle) -> Result<Bundle, String> {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("layer.toml"), layer).unwrap();
    fs::write(dir.path().join("words.wasm"), "words").unwrap();
    let layer = Layer::open_with(dir.path(), |_| None).map_err(|error| error.to_string())?;
    layer.over(platform).map_err(|error| error.to_string())
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
fn a_layer_may_guard_what_the_platform_does_not() {
    let (head, _) = PLATFORM.split_once("[[constraints]]").unwrap();
    let unguarded = head.replace("max_tokens", "unguarded = true\nmax_tokens");
    let platform = Bundle::from_parts(&unguarded, &files()).unwrap();
    let alone = over_platform("name = \"kitchen\"\nmax_tokens = 50\n", &platform).unwrap();
    assert!(alone.manifest().unguarded);
    let guarded = over_platform(&LAYER.replace("budgets = { harm = 5.0 }", ""), &platform).unwrap();
    assert!(!guarded.manifest().unguarded && guarded.manifest().constraints.len() == 1);
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
        ("component = \"words.wasm\"", "component = \"../words.wasm\"", "without `.`, `..`"),
        ("component = \"words.wasm\"", "component = \"none.wasm\"", "no file `none.wasm`"),
        ("budget = 0.5", "budget = -1", "a finite number above 0"),
    ] {
        let message = over(&LAYER.replacen(from, to, 1)).expect_err(to);
        assert!(message.contains(words), "{to}: {message}");
    }
}

/// A platform with these costs, each with a constraint of its name and a file of its own.
fn platform_of(costs: &BTreeMap<String, String>) -> Bundle {
    let (mut text, mut files) = (PLATFORM.to_owned(), files());
    for (name, file) in costs {
        text += &format!("[costs.{name:?}]\ncomponent = {file:?}\n");
        text += &format!("[[constraints]]\nname = {name:?}\ncost = {name:?}\nbudget = 1.0\n");
        files.insert(file.clone(), format!("the platform's {file}").into_bytes());
    }
    Bundle::from_parts(&text, &files).unwrap()
}

/// A layer with these costs, each with a constraint, all of one file.
fn layer_of(name: &str, costs: &BTreeSet<String>) -> Layer {
    let mut text = format!("name = {name:?}\n");
    for cost in costs {
        // As TOML writes it.
        let cost = toml::Value::from(cost.as_str());
        text += &format!("[costs.{cost}]\ncomponent = \"x.wasm\"\n");
        text += &format!("[[constraints]]\nname = {cost}\ncost = {cost}\nbudget = 1.0\n");
    }
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("layer.toml"), text).unwrap();
    fs::write(dir.path().join("x.wasm"), "the layer's").unwrap();
    Layer::open_with(dir.path(), |_| None).unwrap()
}

#[test]
fn a_layer_takes_no_place_of_the_platform() {
    let plain = |name: &str, file: &str| platform_of(&[(name.to_owned(), file.to_owned())].into());
    let layer = layer_of("pii", &["words".to_owned()].into());
    for (platform, taken) in [
        (plain("pii.words", "own.wasm"), "pii.words"),
        (plain("pii.other", "own.wasm"), "pii.other"),
        (plain("words", "layers/pii/x.wasm"), "layers/pii/x.wasm"),
    ] {
        let message = layer.over(&platform).unwrap_err().to_string();
        assert!(message.contains("key `name`") && message.contains(&format!("`{taken}`")), "{message}");
    }
    assert!(layer.over(&plain("words", "own.wasm")).is_ok(), "the same name without the prefix is another one");
}

#[test]
fn names_of_a_layer_are_names() {
    for name in ["", " ", "a@2", "a\u{1b}b", "a\u{202e}b"] {
        let message = layer_of("pii", &[name.to_owned()].into()).over(&platform()).unwrap_err().to_string();
        assert!(message.starts_with("layer.toml, key `costs`"), "{name:?}: {message}");
    }
}

proptest! {
    /// Whatever its numbers are: a layer that is taken has none that is larger than the platform's.
    #[test]
    fn no_number_grows(budget in prop::num::f64::ANY, near in 9.0_f64..11.0, use_near in any::<bool>(), tokens in 0_u32..200) {
        let budget = if use_near { near } else { budget };
        let text = LAYER.replacen("harm = 5.0", &format!("harm = {}", toml::Value::from(budget)), 1);
        let layered = over(&text.replacen("max_tokens = 50", &format!("max_tokens = {tokens}"), 1));
        let fits = budget > 0.0 && budget <= 10.0 && (1..=100).contains(&tokens);
        prop_assert_eq!(layered.is_ok(), fits, "{:?}", layered.as_ref().err());
        let Ok(layered) = layered else { return Ok(()) };
        let manifest = layered.manifest();
        prop_assert!(manifest.constraints[0].budget <= 10.0 && manifest.max_tokens <= 100);
        prop_assert_eq!(&manifest.constraints[0].name, "harm");
    }

    /// Whatever things are called: a layer that is taken leaves everything of the platform in its place.
    #[test]
    fn what_the_platform_has_stays(
        costs in prop::collection::btree_map("[ab](\\.[ab])?", "(layers/[ab]/)?[xy]\\.wasm", 0..4),
        name in "[ab]",
        own in prop::collection::btree_set("[ab](\\.[ab])?", 0..3),
    ) {
        let platform = platform_of(&costs);
        let layered = layer_of(&name, &own).over(&platform);
        let (prefix, folder) = (format!("{name}."), format!("layers/{name}/"));
        let clash = costs.iter().any(|(cost, file)| cost.starts_with(&prefix) || file.starts_with(&folder));
        prop_assert_eq!(layered.is_err(), clash);
        let Ok(layered) = layered else { return Ok(()) };
        let (was, is) = (platform.manifest(), layered.manifest());
        for (cost, entry) in &was.costs {
            prop_assert_eq!(is.costs.get(cost), Some(entry));
        }
        for (file, bytes) in platform.files() {
            prop_assert_eq!(layered.files().get(file), Some(bytes));
        }
        prop_assert_eq!(&is.constraints[..was.constraints.len()], &was.constraints[..]);
        prop_assert_eq!(is.constraints.len(), was.constraints.len() + own.len());
        prop_assert_eq!(is.costs.len(), was.costs.len() + own.len());
        prop_assert!(is.constraints.iter().all(|one| is.costs.contains_key(&one.cost)));
    }
}
