//! The example of two replicas: its options exist, its names and paths agree, and it does not start without a token.

mod common;

use common::run;
use inferenceguard_server::Settings;
use std::{collections::BTreeSet, fs, path::Path};

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn compose() -> String {
    read("examples/compose/compose.yaml")
}

/// The items of the list under a key, in the part of the file that begins with this line.
fn list(part: &str, key: &str) -> Vec<String> {
    let text = compose();
    let mut lines = text.lines().skip_while(|line| line.trim_end() != part).skip(1).peekable();
    let indent = |line: &str| line.len() - line.trim_start().len();
    let inside = lines.peek().map_or(0, |line| indent(line));
    let mut lines = lines.skip_while(|line| line.trim() != format!("{key}:") || indent(line) != inside).skip(1);
    let items: Vec<String> = std::iter::from_fn(|| Some(lines.next()?.trim().strip_prefix("- ")?.to_owned())).collect();
    assert!(!items.is_empty(), "{part} {key}");
    items
}

/// The value of an option, as `--name=value`.
fn value(items: &[String], name: &str) -> String {
    let found = items.iter().find_map(|item| item.strip_prefix(&format!("--{name}=")));
    found.unwrap_or_else(|| panic!("--{name}")).to_owned()
}

fn options(items: &[String]) -> BTreeSet<String> {
    let options = items.iter().filter(|item| item.starts_with("--"));
    options.map(|item| item.split('=').next().unwrap_or(item).to_owned()).collect()
}

#[test]
fn every_option_exists() {
    let (guard, engine) = (list("  guard:", "command"), list("x-engine: &engine", "command"));
    assert_eq!(guard[0], "serve");
    let help = run(&["serve", "--help"]).stdout;
    let known: BTreeSet<&str> = help.split([' ', '\n', ',']).filter(|word| word.starts_with("--")).collect();
    let unknown: Vec<String> = options(&guard).into_iter().filter(|option| !known.contains(option.as_str())).collect();
    assert!(unknown.is_empty(), "{unknown:?} are not in the help of serve");
    let page = read("ENGINES.md");
    let unknown: Vec<String> = options(&engine).into_iter().filter(|option| !page.contains(option.as_str())).collect();
    assert!(unknown.is_empty(), "{unknown:?} are not in ENGINES.md");
}

#[test]
fn names_ports_and_paths_agree() {
    let (guard, engine) = (list("  guard:", "command"), list("x-engine: &engine", "command"));
    let text = compose();
    let engines = value(&guard, "engine");
    for url in engines.strip_prefix("vllm=").expect("vLLM").split(',') {
        let (name, port) = url.strip_prefix("http://").and_then(|place| place.split_once(':')).expect("a URL");
        assert!(text.lines().any(|line| line == format!("  {name}: *engine")), "no service {name}");
        assert_eq!(port, value(&engine, "port"));
    }
    assert_eq!(value(&guard, "engine-model"), value(&engine, "served-model-name"));
    assert_eq!(value(&guard, "engine-rows"), value(&engine, "max-num-seqs"), "no row waits in the engine's queue");
    assert_eq!(value(&guard, "model"), engine[0], "both sides read one folder");
    let inside: BTreeSet<String> = list("  guard:", "volumes")
        .iter()
        .filter_map(|volume| volume.trim_end_matches(":ro").rsplit_once(':').map(|(_, at)| at.to_owned()))
        .collect();
    for option in ["model", "probe", "bundle", "state", "config"] {
        let path = value(&guard, option);
        assert!(inside.iter().any(|at| path.starts_with(at)), "--{option}={path} is in none of {inside:?}");
    }
    let key = |part| text.split(part).nth(1).expect("the variable").lines().next().expect("a line").to_owned();
    assert_eq!(key("VLLM_API_KEY:"), key("INFERGUARD_ENGINE_KEY:"), "one key");
    for port in list("  guard:", "ports") {
        assert!(port.starts_with("\"127.0.0.1:"), "{port}: not beyond this machine");
    }
}

#[test]
fn its_settings_hold_once_a_token_is_chosen_and_not_before() {
    let settings = |text: &str| toml::from_str::<Settings>(text).expect("settings");
    let text = read("examples/compose/server.toml");
    let error = settings(&text).validate().expect_err("no token is chosen").to_string();
    assert!(error.contains("admin_token_sha256"), "{error}");
    let placeholder = text.split('"').nth(1).expect("a value");
    settings(&text.replace(placeholder, &"0".repeat(64))).validate().expect("settings with a token");
}
