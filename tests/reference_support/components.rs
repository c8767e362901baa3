//! The first-party components: what each does, reads and takes.

use inferenceguard_bundle::Limits;
use inferenceguard_componentize::inspect;
use inferenceguard_console::{component, roles};
use inferenceguard_sandbox::{CheckReport, Sandbox};
use inferenceguard_testkit::components::first_party;
use std::{collections::BTreeMap, fmt::Write as _};

/// The other roles of the smallest bundle, by the key that names each.
const OTHERS: [(&str, &str); 2] =
    [("[policy]", "component = \"base.wasm\""), ("[tracker]", "component = \"safety-budget.wasm\"")];

fn reports() -> Vec<(String, CheckReport, inferenceguard_componentize::Inspection)> {
    let sandbox = Sandbox::new(Limits { instances: 8, ..Limits::default() }, None).unwrap();
    let report = |(name, bytes): (&String, &Vec<u8>)| {
        let report = sandbox.check(name, bytes, &BTreeMap::new()).unwrap_or_else(|error| panic!("{name}: {error}"));
        (name.clone(), report, inspect(bytes).unwrap())
    };
    first_party().iter().map(report).collect()
}

/// A section for each component.
pub(crate) fn section() -> String {
    let mut out =
        String::from("## Components\n\nThe same with `inferguard component list` and `component inspect NAME`.\n");
    for (name, report, found) in reports() {
        let (role, reads) = (found.role, roles::reads(&report.needs).join(", "));
        let reads = if reads.is_empty() { "nothing but what every role of its kind gets".to_owned() } else { reads };
        writeln!(out, "\n### `{name}` ({role})\n\n{} Reads: {reads}.\n", report.description.summary).unwrap();
        if !report.description.settings.is_empty() {
            out.push_str("| setting | default | |\n|---|---|---|\n");
            for setting in &report.description.settings {
                let default = component::written(&setting.default);
                writeln!(out, "| `{}` | `{default}` | {} |", setting.name, setting.help).unwrap();
            }
            out.push('\n');
        }
        writeln!(out, "```toml\n{}\n```", component::example(&name, found.role, &report.description)).unwrap();
    }
    out
}

/// The example of each component.
pub(crate) fn examples() -> Vec<(String, String)> {
    let example = |(name, report, found): (String, CheckReport, inferenceguard_componentize::Inspection)| {
        let text = component::example(&name, found.role, &report.description);
        (name, text)
    };
    reports().into_iter().map(example).collect()
}

/// A whole manifest with this example in it.
pub(crate) fn around(example: &str) -> String {
    let others = OTHERS.iter().filter(|(key, _)| !example.starts_with(key));
    let others: String = others.map(|(key, line)| format!("{key}\n{line}\n\n")).collect();
    let unguarded = !example.contains("[[constraints]]");
    format!("name = \"example\"\nversion = \"1.0.0\"\nunguarded = {unguarded}\n\n{others}{example}\n")
}
