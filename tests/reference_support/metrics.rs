//! The metrics of a server, as its registration names them.

use crate::source::text;
use std::fmt::Write as _;

const SOURCE: &str = "host/crates/server/src/metrics/register.rs";

/// A table of all metrics.
pub(crate) fn section() -> String {
    let mut out = String::from(
        "## Metrics\n\n`/metrics` of the administrators' listener, and of the clients' where no tenants are named. Prometheus adds \
         `_total` to counters,\nand `_bucket`, `_sum` and `_count` to histograms.\n\n| name | |\n|---|---|\n",
    );
    for (name, help) in registered(&text(SOURCE)) {
        writeln!(out, "| `inferenceguard_{name}` | {help} |").unwrap();
    }
    out
}

/// The names of all metrics, with their units.
pub(crate) fn names() -> Vec<String> {
    registered(&text(SOURCE)).into_iter().map(|(name, _)| name).collect()
}

/// Names with their units, and the texts of help, in the order of registration.
fn registered(source: &str) -> Vec<(String, String)> {
    let (_, body) = source.split_once("impl Metrics {").expect("the functions that register");
    let (mut all, mut help) = (Vec::new(), String::new());
    for statement in body.split(";\n") {
        let texts: Vec<&str> = statement.split('"').skip(1).step_by(2).collect();
        if statement.contains("let help") {
            help = texts.concat();
        } else if let Some(name) = texts.first().filter(|_| statement.contains("r.register")) {
            let unit = ["Seconds", "Ratios", "Bytes"].iter().find(|unit| statement.contains(&format!("Unit::{unit}")));
            let name = unit.map_or_else(|| (*name).to_owned(), |unit| format!("{name}_{}", unit.to_lowercase()));
            all.push((name, texts.get(1).map_or_else(|| help.clone(), |help| (*help).to_owned())));
        }
    }
    assert!(all.len() > 15, "{all:?}");
    all
}
