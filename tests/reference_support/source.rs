//! Reads types from their source: names, types, comments and defaults.

use std::{collections::BTreeMap, fs, path::PathBuf};

/// A struct or an enum.
#[derive(Debug, Clone)]
pub(crate) struct Kind {
    pub(crate) comment: String,
    pub(crate) is_enum: bool,
    /// Of its serde attributes: how names are written, and whether every field has a default.
    pub(crate) attributes: String,
    pub(crate) members: Vec<Member>,
}

/// A field or a variant.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) name: String,
    /// Of a field its type; of a variant what it holds, if anything.
    pub(crate) of: String,
    pub(crate) comment: String,
    pub(crate) attributes: String,
}

/// The text of a file of the workspace.
pub(crate) fn text(path: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The value of a constant of a file by its name; any other value as it is.
pub(crate) fn constant(path: &str, value: &str) -> String {
    if !value.starts_with(|first: char| first.is_ascii_uppercase()) || value.contains(|one: char| one.is_lowercase()) {
        return value.to_owned();
    }
    let text = text(path);
    let line = text.lines().find(|line| line.contains(&format!("const {value}: ")));
    let found =
        line.and_then(|line| line.split_once(" = ")).unwrap_or_else(|| panic!("{path} has no constant {value}"));
    found.1.trim_end_matches(';').to_owned()
}

/// All files below a folder of the workspace that end in `.rs`.
pub(crate) fn files(folder: &str) -> Vec<String> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut found = Vec::new();
    for entry in fs::read_dir(root.join(folder)).unwrap() {
        let entry = entry.unwrap();
        let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            found.extend(files(&path));
        } else if path.ends_with(".rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The public types of a file, by name.
pub(crate) fn kinds(path: &str) -> BTreeMap<String, Kind> {
    let text = text(path);
    let mut lines = text.lines();
    let (mut all, mut head) = (BTreeMap::new(), Head::default());
    while let Some(line) = lines.next() {
        let opened = line.strip_suffix('{').map(str::trim);
        let named = |word| opened?.strip_prefix(word).map(str::to_owned);
        match (named("pub struct "), named("pub enum ")) {
            (None, None) => head.read(line),
            (name, variants) => {
                let is_enum = variants.is_some();
                let Head { comment, attributes } = std::mem::take(&mut head);
                let name = name.or(variants).unwrap_or_default();
                let members = members(&mut lines);
                all.insert(name, Kind { comment, is_enum, attributes, members });
            }
        }
    }
    all
}

/// What stands above a type or a member.
#[derive(Default)]
struct Head {
    comment: String,
    attributes: String,
}

impl Head {
    fn read(&mut self, line: &str) {
        let line = line.trim();
        if let Some(words) = line.strip_prefix("///") {
            let gap = if self.comment.is_empty() { "" } else { " " };
            self.comment = format!("{}{gap}{}", self.comment, words.trim());
        } else if line.starts_with("#[") || (!self.attributes.is_empty() && !self.attributes.ends_with(']')) {
            self.attributes += line;
        } else {
            *self = Self::default();
        }
    }
}

fn members<'a>(lines: &mut impl Iterator<Item = &'a str>) -> Vec<Member> {
    let (mut all, mut head) = (Vec::new(), Head::default());
    for line in lines {
        let code = line.trim();
        if line.starts_with('}') {
            break;
        }
        if code.starts_with("///") || code.starts_with("#[") || code.is_empty() {
            head.read(line);
            continue;
        }
        let Head { comment, attributes } = std::mem::take(&mut head);
        let code = code.trim_start_matches("pub ").trim_end_matches(',');
        let (name, of) = match (code.split_once(": "), code.split_once('(')) {
            (Some((name, of)), _) => (name, of),
            (None, Some((name, of))) => (name, of.trim_end_matches(')')),
            (None, None) => (code, ""),
        };
        all.push(Member { name: name.to_owned(), of: of.to_owned(), comment, attributes });
    }
    all
}

/// The values that `impl Default` gives the fields of a type, as Rust writes them.
pub(crate) fn defaults(path: &str, name: &str) -> BTreeMap<String, String> {
    let text = text(path);
    let Some((_, body)) = text.split_once(&format!("impl Default for {name} {{")) else { return BTreeMap::new() };
    let body = body.split("\n}").next().unwrap_or_default();
    let Some((_, fields)) = body.rsplit_once("Self {") else { return BTreeMap::new() };
    let fields =
        fields.rsplit_once('}').map_or(fields, |(fields, _)| fields.rsplit_once('}').map_or(fields, |(f, _)| f));
    let pairs = fields.split([',', '\n']).filter_map(|one| one.trim().split_once(": "));
    pairs.map(|(name, value)| (name.to_owned(), value.trim_end_matches([' ', '}']).to_owned())).collect()
}

/// What a function of one expression gives, as Rust writes it.
pub(crate) fn returned(path: &str, function: &str) -> String {
    let text = text(path);
    let (_, after) = text.split_once(&format!("fn {function}(")).unwrap_or_else(|| panic!("{path}: no {function}"));
    let body = after.split_once('{').map_or(after, |(_, body)| body);
    body.split('}').next().unwrap_or_default().trim().to_owned()
}
