//! The reference page, `host/REFERENCE.md`, is made from the code. `INFERENCEGUARD_WRITE=1 cargo test --release --workspace --test
//! reference` writes it.

#[path = "reference_support/codes.rs"]
mod codes;
#[path = "reference_support/components.rs"]
mod components;
#[path = "reference_support/keys.rs"]
mod keys;
#[path = "reference_support/metrics.rs"]
mod metrics;
#[path = "reference_support/source.rs"]
mod source;

use std::{env, fs, path::PathBuf};

const TITLE: &str = "\
# Reference

Made from the code by the test `reference`, which fails where this page and the code differ. Every key that is not listed here is an
error. In a column of defaults, \"required\" marks a key without one.
";

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../host/REFERENCE.md")
}

fn page() -> String {
    let parts = [TITLE.to_owned(), keys::section(), components::section(), metrics::section(), codes::section()];
    parts.join("\n")
}

#[test]
fn the_reference_is_what_the_code_says() {
    let (made, path) = (page(), path());
    if env::var_os("INFERENCEGUARD_WRITE").is_some() {
        fs::write(&path, &made).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    let differs =
        made.lines().zip(written.lines().chain(std::iter::repeat(""))).find(|(made, written)| made != written);
    assert!(made == written, "host/REFERENCE.md is old; write it again (see the top of this file). First: {differs:?}");
}

#[test]
fn every_example_of_a_component_is_part_of_a_bundle_that_can_be_read() {
    for (name, example) in components::examples() {
        let text = components::around(&example);
        inferenceguard_bundle::Manifest::parse(&text).unwrap_or_else(|error| panic!("{name}: {error}\n{text}"));
    }
}

#[test]
fn the_dashboard_shows_metrics_that_a_server_has() {
    let dashboard = source::text("host/grafana.json");
    let known = metrics::names();
    let words = dashboard.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let used: Vec<&str> = words.filter_map(|word| word.strip_prefix("inferenceguard_")).collect();
    assert!(used.len() > 10, "{used:?}");
    let bare = |word: &str| {
        let ends = ["_total", "_bucket", "_sum", "_count"].iter();
        ends.fold(word.to_owned(), |word, end| word.strip_suffix(end).map_or(word.clone(), str::to_owned))
    };
    let unknown: Vec<&&str> = used.iter().filter(|word| !known.contains(&bare(word))).collect();
    assert!(unknown.is_empty(), "host/grafana.json shows {unknown:?}; there are {known:?}");
}

#[test]
fn the_dashboard_shows_zero_where_nothing_was_refused_and_nothing_failed() {
    let dashboard: serde_json::Value = serde_json::from_str(&source::text("host/grafana.json")).unwrap();
    for title in ["Refused and failed, share of all", "Components that failed"] {
        let panel = dashboard["panels"].as_array().unwrap().iter().find(|panel| panel["title"] == title);
        let targets = panel.unwrap_or_else(|| panic!("no panel {title}"))["targets"].as_array().unwrap();
        let without = targets.iter().find(|target| !target["expr"].as_str().unwrap().contains("vector(0)"));
        assert!(!targets.is_empty() && without.is_none(), "{title}: {without:?} shows nothing before the first");
    }
}
