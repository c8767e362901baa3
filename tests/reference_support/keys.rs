//! The keys of the files that an operator writes.

use crate::source::{Kind, Member, constant, defaults, kinds, returned};
use std::{collections::BTreeMap, fmt::Write as _};

/// A file that an operator writes: its name, the type of the whole, and the tables in it by their keys.
type OperatorFile = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

const FILES: &[OperatorFile] = &[
    (
        "bundle.toml",
        "Manifest",
        &[
            ("[policy], [tracker], [critic], [steering], [costs.NAME]", "RoleEntry"),
            ("[[constraints]]", "ConstraintEntry"),
            ("[model], [scores.NAME]", "ModelEntry"),
            ("[networks.NAME]", "NetworkEntry"),
            ("[methods.NAME]", "MethodEntry"),
            ("[sampling]", "SamplingSettings"),
            ("[search]", "SearchLimits"),
            ("[limits]", "Limits"),
        ],
    ),
    ("layer.toml (what a tenant adds)", "LayerManifest", &[]),
    (
        "the server's settings (`serve --config`)",
        "Settings",
        &[
            ("[tenants.NAME]", "Tenant"),
            ("[canary]", "CanarySettings"),
            ("[overload]", "Overload"),
            ("[judge]", "JudgeSettings"),
        ],
    ),
    ("the trust file (`trust` in the settings, `bundle verify --trust`)", "Trust", &[]),
];

/// Where the types are.
const SOURCES: &[&str] = &[
    "host/crates/bundle/src/entries.rs",
    "host/crates/bundle/src/manifest.rs",
    "host/crates/bundle/src/limits.rs",
    "host/crates/bundle/src/layer.rs",
    "host/crates/bundle/src/trust.rs",
    "host/crates/model/src/settings.rs",
    "host/crates/search/src/config.rs",
    "host/crates/search/src/constraint.rs",
    "host/crates/server/src/settings.rs",
    "host/crates/server/src/judge/settings.rs",
    "host/crates/gateways/src/verdict.rs",
];

/// All types by name, each with its file.
type Types = BTreeMap<String, (&'static str, Kind)>;

fn types() -> Types {
    let all = SOURCES.iter().flat_map(|path| kinds(path).into_iter().map(move |(name, kind)| (name, (*path, kind))));
    all.collect()
}

/// The tables of all files.
pub(crate) fn section() -> String {
    let types = types();
    let mut out = String::new();
    for (title, whole, tables) in FILES {
        writeln!(out, "## Keys of {title}\n").unwrap();
        table(&mut out, &types, whole);
        for (key, name) in *tables {
            writeln!(out, "### `{key}`\n").unwrap();
            table(&mut out, &types, name);
        }
    }
    out.trim_end().to_owned() + "\n"
}

fn table(out: &mut String, types: &Types, name: &str) {
    let (path, kind) = types.get(name).unwrap_or_else(|| panic!("{name} is in none of SOURCES"));
    writeln!(out, "{}\n\n| key | value | default | |\n|---|---|---|---|", plain(&kind.comment)).unwrap();
    let values = defaults(path, name);
    for member in &kind.members {
        let (key, of) = (key(kind, member), words(types, &member.of));
        let default = default(types, (path, kind), member, &values);
        writeln!(out, "| `{key}` | {of} | {default} | {} |", plain(&member.comment)).unwrap();
    }
    out.push('\n');
}

/// A name as it is written in a file.
fn key(kind: &Kind, member: &Member) -> String {
    let snake = member.name.char_indices().fold(String::new(), |mut name, (at, c)| {
        if c.is_uppercase() && at > 0 {
            name.push('_');
        }
        name.extend(c.to_lowercase());
        name
    });
    if kind.attributes.contains("kebab-case") { snake.replace('_', "-") } else { snake }
}

/// A type in words.
fn words(types: &Types, of: &str) -> String {
    let inside = |outer: &str| of.strip_prefix(outer)?.strip_suffix('>');
    if let Some(of) = inside("Option<") {
        return words(types, of);
    }
    if let Some(of) = inside("Vec<") {
        return format!("list of: {}", words(types, of));
    }
    if let Some(of) = inside("BTreeMap<String, ") {
        return format!("by name: {}", words(types, of));
    }
    match of {
        "String" | "Version" => "text".to_owned(),
        "PathBuf" => "path".to_owned(),
        "bool" => "`true` or `false`".to_owned(),
        "f64" | "f32" => "number".to_owned(),
        "u32" | "u64" | "usize" => "whole number".to_owned(),
        "SettingValue" => "a setting's value".to_owned(),
        other => match types.get(other) {
            Some((_, kind)) if kind.is_enum => choices(kind),
            Some(_) => "table".to_owned(),
            None => panic!("{other}: say in words() what it is"),
        },
    }
}

fn choices(kind: &Kind) -> String {
    let choice = |one: &Member| match one.of.is_empty() {
        true => format!("`\"{}\"`", key(kind, one)),
        false => format!("`{{ {} = N }}`", key(kind, one)),
    };
    kind.members.iter().map(choice).collect::<Vec<_>>().join(", ")
}

fn default(types: &Types, (path, kind): (&str, &Kind), member: &Member, values: &BTreeMap<String, String>) -> String {
    if let Some((_, function)) = member.attributes.split_once("default = \"") {
        let function = function.split('"').next().unwrap_or_default();
        return shown(&returned(path, function));
    }
    if let Some(value) = values.get(&member.name) {
        return value_of(types, &member.of, &constant(path, value));
    }
    let all = kind.attributes.contains("(default") || kind.attributes.contains(", default");
    let derived = member.attributes.contains("(default") || member.attributes.contains(", default");
    if all || derived || member.of.starts_with("Option<") {
        return empty(types, &member.of);
    }
    "required".to_owned()
}

/// The default of a type.
fn empty(types: &Types, of: &str) -> String {
    match of {
        "bool" => "`false`".to_owned(),
        "String" => "required".to_owned(),
        _ if of.starts_with("Option<") || of.starts_with("Vec<") || of.starts_with("BTreeMap<") => "none".to_owned(),
        _ => match types.get(of) {
            Some((_, kind)) if kind.is_enum => {
                let chosen = kind.members.iter().find(|one| one.attributes.contains("#[default]"));
                chosen.map_or_else(|| "required".to_owned(), |one| format!("`\"{}\"`", key(kind, one)))
            }
            _ => "see below".to_owned(),
        },
    }
}

/// A value as Rust writes it, as the file has it.
fn value_of(types: &Types, of: &str, value: &str) -> String {
    let variant = value.rsplit_once("::").map(|(_, variant)| variant);
    match types.get(of) {
        Some((_, kind)) if kind.is_enum => {
            let one = kind.members.iter().find(|one| Some(one.name.as_str()) == variant);
            one.map_or_else(|| shown(value), |one| format!("`\"{}\"`", key(kind, one)))
        }
        Some(_) => "see below".to_owned(),
        None => shown(value),
    }
}

/// Numbers, texts and lists of Rust in the words of TOML.
fn shown(value: &str) -> String {
    if matches!(value, "None" | "Vec::new()" | "BTreeMap::new()") {
        return "none".to_owned();
    }
    let value = value.replace(".to_owned()", "").replace("vec![", "[").replace('_', "");
    match value.split_once(" << ") {
        Some((number, places)) => {
            let number: u64 = number.trim().parse().unwrap();
            format!("`{}`", number << places.trim().parse::<u32>().unwrap())
        }
        None => format!("`{value}`"),
    }
}

/// A comment for a table: without links to items, and in one line.
fn plain(comment: &str) -> String {
    let mut text = comment.split(" ```").next().unwrap_or_default().trim_end().to_owned();
    while let Some((before, rest)) = text.split_once("[`") {
        let Some((name, after)) = rest.split_once("`]") else { break };
        let after = after.strip_prefix('(').and_then(|rest| rest.split_once(')')).map_or(after, |(_, after)| after);
        let name = name.rsplit("::").next().unwrap_or(name);
        text = format!("{before}`{name}`{after}");
    }
    text.replace('|', "\\|")
}
