//! The metrics of a server, as its registration names them.

use crate::source::text;
use std::fmt::Write as _;

/// Where metrics are registered: a file, and how the part begins that does it.
const SOURCES: [(&str, &str); 2] = [
    ("host/crates/server/src/metrics/register.rs", "impl Metrics {"),
    ("host/crates/server/src/replica_metrics.rs", "fn register(&self, r: &mut Registry)"),
];

/// A table of all metrics.
pub(crate) fn section() -> String {
    let mut out = String::from(
        "## Metrics\n\n`/metrics` of the administrators' listener, and of the clients' where no tenants are named. Prometheus adds \
         `_total` to counters,\nand `_bucket`, `_sum` and `_count` to histograms.\n\n| name | |\n|---|---|\n",
    );
    for (name, help) in all() {
        writeln!(out, "| `inferenceguard_{name}` | {help} |").unwrap();
    }
    out
}

/// The names of all metrics, with their units.
pub(crate) fn names() -> Vec<String> {
    all().into_iter().map(|(name, _)| name).collect()
}

/// Names with their units, and the texts of help, in the order of registration.
fn all() -> Vec<(String, String)> {
    let all: Vec<_> = SOURCES.iter().flat_map(|(file, begin)| registered(&text(file), begin)).collect();
    assert!(all.len() > 25, "{all:?}");
    all
}

/// Those of one file.
fn registered(source: &str, begin: &str) -> Vec<(String, String)> {
    let (_, body) = source.split_once(begin).expect("the function that registers");
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
    assert!(all.len() > 4, "{begin}: {all:?}");
    all
}
