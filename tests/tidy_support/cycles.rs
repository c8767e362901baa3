//! The folders of a crate build on one another in one direction: files that need each other lie in one folder.

use super::{none, rust_files};
use std::collections::{BTreeMap, BTreeSet};

/// The path of a module in its crate, such as `["gguf", "split"]`; empty for the crate itself.
type Module = Vec<String>;

/// The path of an item as code writes it, such as `["crate", "gguf", "Gguf"]`.
type ItemPath = Vec<String>;

#[test]
fn no_cycle_of_files_crosses_folders() {
    let mut crates: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for (path, text) in rust_files() {
        if let Some((root, file)) = path.split_once("/src/") {
            crates.entry(root.to_owned()).or_default().push((file.to_owned(), text));
        }
    }
    assert!(crates.len() > 20, "only {} crates found", crates.len());
    let complaints = crates.iter().flat_map(|(root, files)| {
        Source::read(files).cycles().into_iter().map(move |edge| format!("{root}/src: {edge}"))
    });
    none(complaints.collect());
}

#[test]
fn the_search_for_cycles_finds_them() {
    let files = |list: &[(&str, &str)]| list.iter().map(|(file, text)| ((*file).into(), (*text).into())).collect();
    let found = |list: &[(&str, &str)]| Source::read(&files(list) as &Vec<_>).cycles().len();
    let inside = ("gguf/mod.rs", "mod split;\nuse crate::{Error, files::Files};\npub struct Gguf;");
    let files_rs = ("files.rs", "use crate::gguf::Gguf;\npub struct Files;");
    assert_eq!(found(&[("lib.rs", "mod files;\nmod gguf;"), files_rs, inside]), 2, "a name of the crate");
    let hidden = ("gguf/mod.rs", "mod split;\nuse crate::Files as F;\npub struct Gguf;");
    assert_eq!(found(&[("lib.rs", "pub use files::Files;"), files_rs, hidden]), 2, "a name that is re-exported");
    let plain = ("files.rs", "pub struct Files;\nfn f() -> crate::gguf::Gguf { x }");
    assert_eq!(found(&[("lib.rs", ""), plain, inside]), 2, "a path in code");
    let none =
        ("files.rs", "pub struct Files;\n// crate::gguf::Gguf\n#[cfg(test)]\nmod tests { use crate::gguf::Gguf; }");
    assert_eq!(found(&[("lib.rs", "pub use gguf::Gguf;"), none, inside]), 0, "comments, tests and re-exports");
    let named = ("lib.rs", "#[cfg(test)]\nmod split_tests;\npub use files::Files;");
    assert_eq!(found(&[named, files_rs, hidden]), 2, "what follows the name of unit tests in another file");
    let session = [("session.rs", "mod plan;\nuse plan::P;"), ("session/plan.rs", "use super::Session;")];
    assert_eq!(found(&session), 0, "a file and the folder of its name are one room");
}

/// The files of a crate.
struct Source {
    files: BTreeMap<Module, String>,
    /// The names that a module's imports bring in, and what they stand for.
    names: BTreeMap<Module, BTreeMap<String, ItemPath>>,
    /// What a module needs; a re-export is no need.
    needs: BTreeMap<Module, Vec<ItemPath>>,
}

impl Source {
    fn read(files: &[(String, String)]) -> Self {
        let mut source = Self { files: BTreeMap::new(), names: BTreeMap::new(), needs: BTreeMap::new() };
        for (file, text) in files {
            let module = module_of(file);
            let (imports, rest) = imports(&code(text));
            let names = imports.iter().filter_map(|(_, import)| Some((import.name()?, import.path.clone())));
            source.names.insert(module.clone(), names.collect());
            let private = imports.iter().filter(|(public, _)| !public).map(|(_, import)| import.path.clone());
            source.needs.insert(module.clone(), private.chain(paths(&rest)).collect());
            source.files.insert(module, file.clone());
        }
        source
    }

    /// The edges between folders that are part of a cycle.
    fn cycles(&self) -> Vec<String> {
        let edges: BTreeMap<&Module, BTreeSet<Module>> = self.needs.keys().map(|m| (m, self.needs_of(m))).collect();
        let mut found = Vec::new();
        for (from, to) in edges.iter().flat_map(|(from, all)| all.iter().map(move |to| (*from, to))) {
            if self.folder(from) != self.folder(to) && reaches(&edges, to, from) {
                found.push(format!("{} needs {}, and the other way round", self.files[from], self.files[to]));
            }
        }
        found
    }

    fn needs_of(&self, module: &Module) -> BTreeSet<Module> {
        let found = self.needs[module].iter().filter_map(|path| self.find(module, path, &mut BTreeSet::new()));
        found.filter(|other| other != module && self.files.contains_key(other)).collect()
    }

    /// The module that defines what a path in a module stands for; `None` for other crates' items.
    fn find(&self, module: &Module, path: &[String], seen: &mut BTreeSet<(Module, String)>) -> Option<Module> {
        let ups = path.iter().take_while(|part| *part == "super").count();
        let (mut at, mut rest) = match path.first()?.as_str() {
            "crate" => (Module::new(), &path[1..]),
            "self" => (module.clone(), &path[1..]),
            "super" => (module[..module.len().checked_sub(ups)?].to_vec(), &path[ups..]),
            first => {
                let known = self.files.contains_key(&child(module, first)) || self.import(module, first).is_some();
                known.then(|| (module.clone(), path))?
            }
        };
        while let Some(part) = rest.first() {
            if self.files.contains_key(&child(&at, part)) {
                (at, rest) = (child(&at, part), &rest[1..]);
                continue;
            }
            let Some(import) = self.import(&at, part) else { break };
            if !seen.insert((at.clone(), part.clone())) {
                break;
            }
            return self.find(&at, &[import.as_slice(), &rest[1..]].concat(), seen);
        }
        Some(at)
    }

    fn import(&self, module: &Module, name: &str) -> Option<&ItemPath> {
        self.names.get(module)?.get(name)
    }

    /// The folder of a file; a file and the folder of its name count as one.
    fn folder(&self, module: &Module) -> Module {
        let is_folder = self.files[module].ends_with("mod.rs")
            || self.files.keys().any(|other| other.len() > module.len() && other.starts_with(module));
        if is_folder { module.clone() } else { module[..module.len().saturating_sub(1)].to_vec() }
    }
}

fn reaches(edges: &BTreeMap<&Module, BTreeSet<Module>>, from: &Module, to: &Module) -> bool {
    let (mut waiting, mut seen) = (vec![from], BTreeSet::from([from]));
    while let Some(next) = waiting.pop() {
        waiting.extend(edges[next].iter().filter(|other| seen.insert(other)));
    }
    seen.contains(to)
}

fn child(module: &Module, name: &str) -> Module {
    [module.as_slice(), &[name.to_owned()]].concat()
}

fn module_of(file: &str) -> Module {
    let mut parts: Module = file.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    if parts.last().is_some_and(|last| ["mod", "lib", "main"].contains(&last.as_str())) {
        parts.pop();
    }
    parts
}

/// A file without comments and unit tests. Unit tests in a file of their own are only named: what follows their name is code.
fn code(text: &str) -> String {
    let mut tests = text.match_indices("#[cfg(test)]\nmod ").map(|(at, _)| at);
    let inside = |at: &usize| text[*at..].lines().nth(1).is_some_and(|line| line.ends_with('{') || line.ends_with('}'));
    let text = tests.find(inside).map_or(text, |at| &text[..at]);
    text.lines().map(|line| line.split("//").next().unwrap_or(line)).collect::<Vec<_>>().join("\n")
}

/// One name that an import brings in.
struct Import {
    path: ItemPath,
    alias: Option<String>,
}

impl Import {
    fn of(leaf: &str) -> Self {
        let (path, alias) =
            leaf.split_once(" as ").map_or((leaf, None), |(path, alias)| (path, Some(alias.to_owned())));
        let mut path: ItemPath = path.split("::").map(|part| part.trim().to_owned()).collect();
        if path.len() > 1 && path.last().is_some_and(|last| last == "self" || last == "*") {
            path.pop();
        }
        Self { path, alias: alias.map(|alias| alias.trim().to_owned()) }
    }

    fn name(&self) -> Option<String> {
        self.alias.clone().or_else(|| self.path.last().cloned())
    }
}

/// The imports of a file, each with whether it is a re-export, and the code without them.
fn imports(code: &str) -> (Vec<(bool, Import)>, String) {
    let (mut found, mut rest) = (Vec::new(), String::new());
    for statement in code.split_inclusive(';') {
        let begins = |line: &&str| {
            line.trim_start().starts_with("use ") || line.trim_start().starts_with("pub") && line.contains(" use ")
        };
        let Some(line) = statement.lines().find(begins) else {
            rest.push_str(statement);
            continue;
        };
        let (before, tree) = statement.split_at(statement.find(line).unwrap_or(0));
        rest.push_str(before);
        let tree = tree.trim_end_matches(';');
        let (before, tree) = tree.split_once("use ").unwrap_or(("", tree));
        let public = !before.trim().is_empty();
        found.extend(
            leaves(&tree.split_whitespace().collect::<Vec<_>>().join(" "))
                .iter()
                .map(|leaf| (public, Import::of(leaf))),
        );
    }
    (found, rest)
}

/// The paths of a tree of imports: `a::{b, c::{d, e}}` has three.
fn leaves(tree: &str) -> Vec<String> {
    let tree = tree.trim();
    let Some((before, inner)) = tree.split_once('{') else { return vec![tree.to_owned()] };
    let inner = inner.strip_suffix('}').unwrap_or(inner);
    let (mut parts, mut depth) = (vec![String::new()], 0);
    for c in inner.chars() {
        depth += i32::from(c == '{') - i32::from(c == '}');
        match (c, depth) {
            (',', 0) => parts.push(String::new()),
            _ => parts.last_mut().unwrap().push(c),
        }
    }
    let parts = parts.iter().filter(|part| !part.trim().is_empty());
    parts.flat_map(|part| leaves(part)).map(|leaf| format!("{}{leaf}", before.trim())).collect()
}

/// The paths in code, such as `plots::all`.
fn paths(code: &str) -> Vec<ItemPath> {
    let words = code.split(|c: char| !c.is_alphanumeric() && c != '_' && c != ':');
    let paths = words.filter(|word| word.contains("::"));
    paths.map(|word| word.split("::").filter(|part| !part.is_empty()).map(str::to_owned).collect()).collect()
}
