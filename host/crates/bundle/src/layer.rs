//! What a tenant adds to the platform's bundle. A layer can only tighten: it has no policy, no tracker and no fallback of its
//! own, its budgets are at most the platform's, and its constraints come on top.

use crate::{
    Bundle, BundleError, ConstraintEntry, Digest, Manifest, NetworkEntry, RoleEntry,
    bundle::check_relative,
    folder::{self, MANIFEST_LIMIT},
    values::{NAME, is_name},
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, path::Path};

/// The file name of a layer's manifest.
pub const LAYER: &str = "layer.toml";

/// `layer.toml`, typed.
///
/// ```toml
/// name = "kitchen"
/// max_tokens = 64                      # at most the platform's
/// stop = ["\n\n"]
/// budgets = { safety = 5.0 }           # at most the platform's
///
/// [costs.words]
/// component = "keyword-cost.wasm"
/// settings = { words = ["knife"] }
///
/// [[constraints]]                      # in answers it is called kitchen.words
/// name = "words"
/// cost = "words"
/// budget = 0.5
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerManifest {
    /// The layer's name: stands before the names of its costs and constraints.
    pub name: String,
    /// The most answer tokens.
    #[serde(default)]
    pub max_tokens: Option<u32>,
    /// More texts that end an answer.
    #[serde(default)]
    pub stop: Vec<String>,
    /// Smaller budgets for constraints of the platform.
    #[serde(default)]
    pub budgets: BTreeMap<String, f64>,
    /// More costs.
    #[serde(default)]
    pub costs: BTreeMap<String, RoleEntry>,
    /// Networks that those open.
    #[serde(default)]
    pub networks: BTreeMap<String, NetworkEntry>,
    /// More constraints, on those costs.
    #[serde(default)]
    pub constraints: Vec<ConstraintEntry>,
}

/// A layer, read.
#[derive(Debug, Clone)]
pub struct Layer {
    manifest: LayerManifest,
    files: BTreeMap<String, Vec<u8>>,
    digest: Digest,
}

impl Layer {
    /// Reads a folder: its [`LAYER`] and every file that names; what the folder does not hold is asked of `lend`.
    ///
    /// # Errors
    /// [`BundleError`], naming file and key.
    pub fn open_with(dir: &Path, lend: impl Fn(&str) -> Option<Vec<u8>>) -> Result<Self, BundleError> {
        let root = dir.canonicalize().map_err(|source| folder::unreadable(dir, "folder", source))?;
        let text = folder::text(&root.join(LAYER), MANIFEST_LIMIT)?;
        let manifest: LayerManifest = toml::from_str(&text).map_err(|error| BundleError::Manifest {
            file: LAYER.to_owned(),
            line: 0,
            key: String::new(),
            problem: error.to_string(),
        })?;
        let mut files = BTreeMap::new();
        for (key, file) in manifest.files() {
            check_relative(&key, file)?;
            let limit = folder::Limit { bytes: FILE_MOST, remedy: "make it smaller" };
            files.insert(file.to_owned(), folder::file_of(&root, &key, file, limit, &lend)?);
        }
        let digest = digest(&text, &files);
        Ok(Self { manifest, files, digest })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.manifest.name
    }

    /// The digest of its text and of every file that it names.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Every file that it names, by path, also those that are not in its folder.
    #[must_use]
    pub fn files(&self) -> &BTreeMap<String, Vec<u8>> {
        &self.files
    }

    /// The platform's bundle with this layer over it: a bundle of its own, unsigned.
    ///
    /// # Errors
    /// [`BundleError::Value`] where the layer would loosen, or names what the platform does not have.
    pub fn over(&self, platform: &Bundle) -> Result<Bundle, BundleError> {
        let mut manifest = platform.manifest().clone();
        let layer = &self.manifest;
        tighten(&mut manifest, layer)?;
        layer.check_names(platform)?;
        let mut files = platform.files().clone();
        let place = |file: &str| format!("{}{file}", layer.folder());
        for (name, entry) in &layer.costs {
            let component = place(&entry.component);
            let lists = entry.lists.iter().map(|(setting, file)| (setting.clone(), place(file))).collect();
            manifest.costs.insert(layer.named(name), RoleEntry { component, lists, ..entry.clone() });
        }
        for (name, entry) in &layer.networks {
            let taken = manifest.networks.insert(name.clone(), NetworkEntry { file: place(&entry.file) });
            require(
                taken.is_none(),
                &format!("networks.{name}"),
                name,
                "a name that the platform's bundle does not use",
            )?;
        }
        for entry in &layer.constraints {
            require(layer.costs.contains_key(&entry.cost), "constraints.cost", &entry.cost, "a cost of this layer")?;
            let (name, cost) = (layer.named(&entry.name), layer.named(&entry.cost));
            manifest.constraints.push(ConstraintEntry { name, cost, ..entry.clone() });
        }
        manifest.unguarded &= manifest.constraints.is_empty();
        files.extend(self.files.iter().map(|(file, bytes)| (place(file), bytes.clone())));
        let text = toml::to_string(&manifest).map_err(|error| value("name", &error.to_string(), "a manifest"))?;
        Bundle::from_parts(&text, &files)
    }
}

fn digest(text: &str, files: &BTreeMap<String, Vec<u8>>) -> Digest {
    let digests = files.iter().map(|(name, bytes)| (name.clone(), Digest::of(bytes)));
    let text = (LAYER.to_owned(), Digest::of(text.as_bytes()));
    let all: BTreeMap<String, Digest> = digests.chain([text]).collect();
    Digest::of_all(&all)
}

/// The most bytes of a file; the limits of the platform's bundle hold beside it.
const FILE_MOST: u64 = 1 << 30;

impl LayerManifest {
    fn named(&self, name: &str) -> String {
        format!("{}.{name}", self.name)
    }

    /// Where its files lie in the bundle that it is merged into.
    fn folder(&self) -> String {
        format!("layers/{}/", self.name)
    }

    /// Its own names must be names, and nothing that it brings may stand in the place of something of the platform: all of
    /// it begins with the layer's name, or lies in its folder, and nothing of the platform may.
    fn check_names(&self, platform: &Bundle) -> Result<(), BundleError> {
        let plain = !self.name.is_empty() && self.name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        require(plain, "name", &self.name, "letters, digits and dashes")?;
        let costs = self.costs.keys().map(|name| ("costs", name));
        let own = costs.chain(self.constraints.iter().map(|one| ("constraints.name", &one.name)));
        for (key, name) in own {
            require(is_name(name), key, &format!("{name:?}"), &format!("{NAME}, and without @"))?;
        }
        let (prefix, folder, theirs) = (self.named(""), self.folder(), platform.manifest());
        let names = theirs.costs.keys().chain(theirs.constraints.iter().map(|one| &one.name));
        let named = names.filter(|name| name.starts_with(&prefix));
        let taken = named.chain(platform.files().keys().filter(|file| file.starts_with(&folder))).next();
        let found = taken.map(|taken| format!("`{}`; the platform's bundle has `{taken}`", self.name));
        let expected = format!("a name such that nothing there begins with `{prefix}` or `{folder}`");
        found.map_or(Ok(()), |found| Err(value("name", &found, &expected)))
    }

    fn files(&self) -> Vec<(String, &str)> {
        let costs = self.costs.iter().flat_map(|(name, one)| one.files(&format!("costs.{name}")));
        let networks = self.networks.iter().map(|(name, one)| (format!("networks.{name}.file"), one.file.as_str()));
        costs.chain(networks).collect()
    }
}

fn tighten(manifest: &mut Manifest, layer: &LayerManifest) -> Result<(), BundleError> {
    for (name, budget) in &layer.budgets {
        let key = format!("budgets.{name}");
        let known: Vec<&str> = manifest.constraints.iter().map(|one| one.name.as_str()).collect();
        let expected = format!("a constraint of the platform's bundle: {}", known.join(", "));
        let constraint = manifest.constraints.iter_mut().find(|one| one.name == *name);
        let constraint = constraint.ok_or_else(|| value(&key, name, &expected))?;
        let tighter = budget.is_finite() && *budget > 0.0 && *budget <= constraint.budget;
        let expected = format!("a number above 0, at most {}", constraint.budget);
        require(tighter, &key, &budget.to_string(), &expected)?;
        constraint.budget = *budget;
    }
    if let Some(tokens) = layer.max_tokens {
        let expected = format!("at most {}", manifest.max_tokens);
        require(tokens <= manifest.max_tokens, "max_tokens", &tokens.to_string(), &expected)?;
        manifest.max_tokens = tokens;
    }
    manifest.stop.extend(layer.stop.iter().cloned());
    Ok(())
}

fn require(holds: bool, key: &str, found: &str, expected: &str) -> Result<(), BundleError> {
    if holds { Ok(()) } else { Err(value(key, found, expected)) }
}

fn value(key: &str, found: &str, expected: &str) -> BundleError {
    let (file, key) = (LAYER.to_owned(), key.to_owned());
    BundleError::Value { file, key, found: found.to_owned(), expected: expected.to_owned() }
}
