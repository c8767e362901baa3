//! The contract resolves, documents every item, imports nothing foreign, and does not change without its page.

use sha2::{Digest, Sha256};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};
use wit_component::{ComponentEncoder, StringEncoding};
use wit_parser::{
    Docs, Interface, ManglingAndAbi, PackageId, Resolve, Type, TypeDef, TypeDefKind, TypeOwner, WorldItem,
};

/// Cases whose name and type say all there is.
const PLAIN: [&str; 9] = [
    "types.value.flag",
    "types.value.integer",
    "types.value.number",
    "types.value.text",
    "types.value.texts",
    "log.level.error",
    "log.level.warn",
    "log.level.info",
    "log.level.debug",
];

fn wit() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit")
}

fn resolved() -> (Resolve, PackageId) {
    resolved_in(&wit().join("v0.1"))
}

fn resolved_in(folder: &Path) -> (Resolve, PackageId) {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(folder).unwrap();
    (resolve, package)
}

/// SHA-256 of every file of a version's folder, by `version/name`.
fn digests(version: &str) -> BTreeMap<String, String> {
    let entries = fs::read_dir(wit().join(version)).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| (format!("{version}/{}", path.file_name().unwrap().display()), digest(&path))).collect()
}

fn digest(path: &Path) -> String {
    Sha256::digest(fs::read(path).unwrap()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The rows "| `file` | content | `digest` |" of a page.
fn recorded(page: &str) -> BTreeMap<String, String> {
    let mut rows = BTreeMap::new();
    for line in page.lines().filter(|line| line.starts_with("| `v")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(|cell| cell.trim().trim_matches('`')).collect();
        let [file, content, digest] = cells[..] else { panic!("three cells expected: {line}") };
        assert!(content.len() > 10, "{file} has no description");
        rows.insert(file.to_owned(), digest.to_owned());
    }
    rows
}

#[test]
fn every_file_has_its_recorded_digest() {
    let recorded = recorded(&fs::read_to_string(wit().join("README.md")).unwrap());
    let found = digests("v0.1");
    let changed: Vec<String> = found
        .iter()
        .filter(|(file, digest)| recorded.get(*file) != Some(digest))
        .map(|(file, digest)| format!("{file} is now {digest}"))
        .collect();
    assert!(
        changed.is_empty(),
        "the contract changed. If it is released, undo that and make a new version. If not, check that `wit/README.md` \
         still describes it, put the new digests there, and a line into `wit/CHANGELOG.md`:\n{}",
        changed.join("\n")
    );
    let gone: Vec<_> = recorded.keys().filter(|file| !found.contains_key(*file)).collect();
    assert!(gone.is_empty(), "`wit/README.md` lists files that do not exist: {gone:?}");
}

/// A component that was compiled for a world of the contract as it stood in `tests/frozen`; its functions trap.
fn compiled_before(world: &str) -> Vec<u8> {
    let (resolve, package) = resolved_in(&Path::new(env!("CARGO_MANIFEST_DIR")).join("frozen/v0.1"));
    let world = resolve.select_world(&[package], Some(world)).unwrap();
    let mut module = wit_component::dummy_module(&resolve, world, ManglingAndAbi::Standard32);
    wit_component::embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false).unwrap();
    ComponentEncoder::default().module(&module).unwrap().encode().unwrap()
}

#[test]
fn components_that_were_compiled_before_still_fit() {
    let (resolve, package) = resolved();
    for (name, world) in &resolve.packages[package].worlds {
        if let Err(error) = wit_component::targets(&resolve, *world, &compiled_before(name), false) {
            panic!(
                "{name}: components that were compiled for `tests/frozen/v0.1` do not load any more. Functions may be added \
                 to imports; types and exports must stay. {error:#}"
            );
        }
    }
}

#[test]
fn it_is_one_package_of_the_version_its_folder_says() {
    let (resolve, package) = resolved();
    assert_eq!(resolve.packages.len(), 1, "the contract names another package");
    let name = &resolve.packages[package].name;
    assert_eq!((name.namespace.as_str(), name.name.as_str()), ("inferenceguard", "guard"));
    let version = name.version.as_ref().unwrap();
    assert_eq!((version.major, version.minor), (0, 1));
}

#[test]
fn there_is_a_world_for_every_role_and_nothing_foreign_in_it() {
    let (resolve, package) = resolved();
    let worlds = &resolve.packages[package].worlds;
    let names: Vec<&str> = worlds.keys().map(String::as_str).collect();
    let roles = ["policy", "tracker", "critic", "cost", "steering"];
    assert_eq!(names, roles.map(|role| format!("{role}-component")));

    for (role, (name, world)) in roles.iter().zip(worlds) {
        let world = &resolve.worlds[*world];
        let mut exports = Vec::new();
        for (item, exported) in
            world.imports.values().map(|i| (i, false)).chain(world.exports.values().map(|i| (i, true)))
        {
            let WorldItem::Interface { id, .. } = item else { panic!("{name} has an item outside of an interface") };
            let interface = &resolve.interfaces[*id];
            assert_eq!(interface.package, Some(package), "{name} imports or exports a foreign interface");
            if exported {
                exports.extend(interface.name.as_deref());
            }
        }
        exports.sort_unstable();
        let mut expected = vec!["setup", *role];
        expected.sort_unstable();
        assert_eq!(exports, expected, "{name}");
    }
}

/// Names of what has no documentation.
struct Undocumented<'a> {
    resolve: &'a Resolve,
    found: Vec<String>,
}

impl Undocumented<'_> {
    fn look(&mut self, name: String, docs: &Docs) {
        let text = docs.contents.as_deref().unwrap_or_default().trim();
        if text.is_empty() && !PLAIN.contains(&name.as_str()) {
            self.found.push(name);
        }
    }

    fn look_into(&mut self, name: &str, interface: &Interface) {
        self.look(name.to_owned(), &interface.docs);
        for (function, item) in &interface.functions {
            self.look(format!("{name}.{function}"), &item.docs);
        }
        for (ty, id) in &interface.types {
            let item = &self.resolve.types[*id];
            if !self.is_used_from_elsewhere(item) {
                self.look_at_type(&format!("{name}.{ty}"), item);
            }
        }
    }

    /// True for `use other.{name}`: documented where it is defined.
    fn is_used_from_elsewhere(&self, item: &TypeDef) -> bool {
        let TypeDefKind::Type(Type::Id(original)) = item.kind else { return false };
        let owner = self.resolve.types[original].owner;
        matches!(owner, TypeOwner::Interface(_)) && owner != item.owner
    }

    fn look_at_type(&mut self, name: &str, item: &TypeDef) {
        self.look(name.to_owned(), &item.docs);
        let parts: Vec<(&str, &Docs)> = match &item.kind {
            TypeDefKind::Record(r) => r.fields.iter().map(|f| (f.name.as_str(), &f.docs)).collect(),
            TypeDefKind::Variant(v) => v.cases.iter().map(|c| (c.name.as_str(), &c.docs)).collect(),
            TypeDefKind::Enum(e) => e.cases.iter().map(|c| (c.name.as_str(), &c.docs)).collect(),
            TypeDefKind::Flags(f) => f.flags.iter().map(|f| (f.name.as_str(), &f.docs)).collect(),
            _ => Vec::new(),
        };
        for (part, docs) in parts {
            self.look(format!("{name}.{part}"), docs);
        }
    }
}

#[test]
fn every_item_is_documented() {
    let (resolve, package) = resolved();
    let package = &resolve.packages[package];
    let mut undocumented = Undocumented { resolve: &resolve, found: Vec::new() };
    undocumented.look("the package".into(), &package.docs);
    for (name, id) in &package.worlds {
        undocumented.look(name.clone(), &resolve.worlds[*id].docs);
    }
    for (name, id) in &package.interfaces {
        undocumented.look_into(name, &resolve.interfaces[*id]);
    }
    assert!(undocumented.found.is_empty(), "say unit, range, length and owner of: {:#?}", undocumented.found);
}
