//! A bundle in memory.

use crate::{
    BundleError, Digest, Manifest, Network, RoleEntry, SettingValue, Signature, archive,
    folder::{self, Limit},
    list,
    values::turns_text,
};
use inferenceguard_search::BundleIdentity;
use std::{collections::BTreeMap, path::Path, sync::Arc};

/// The manifest's file name.
pub const MANIFEST: &str = "bundle.toml";

/// A bundle, read and checked. Cheap to clone: clones share the files.
#[derive(Debug, Clone)]
pub struct Bundle {
    contents: Arc<Contents>,
    signature: Option<Signature>,
}

/// Everything that the digest covers, and what was read from it.
#[derive(Debug)]
struct Contents {
    text: String,
    manifest: Manifest,
    files: BTreeMap<String, Vec<u8>>,
    networks: BTreeMap<String, Network>,
    /// What the files of `lists` hold, by path.
    lists: BTreeMap<String, SettingValue>,
    digests: BTreeMap<String, Digest>,
    digest: Digest,
}

impl Bundle {
    /// Reads a folder, its [`MANIFEST`] and every file that names, or a file that [`Bundle::pack`] wrote.
    ///
    /// # Errors
    /// [`BundleError`], naming file and key.
    pub fn open(path: &Path) -> Result<Self, BundleError> {
        Self::open_with(path, |_| None)
    }

    /// As [`Bundle::open`]. `lend` gives files that a folder does not hold, by the path in the manifest.
    ///
    /// # Errors
    /// [`BundleError`], naming file and key.
    pub fn open_with(path: &Path, lend: impl Fn(&str) -> Option<Vec<u8>>) -> Result<Self, BundleError> {
        if path.is_file() { archive::open(path) } else { folder::open(path, lend) }
    }

    /// One file of everything, the same bytes for the same bundle: an uncompressed tar, the manifest first, then its
    /// signature if it has one, then the files in the order of their names.
    ///
    /// # Errors
    /// [`BundleError::Archive`] if a path cannot be written into a tar file.
    pub fn pack(&self) -> Result<Vec<u8>, BundleError> {
        archive::pack(self)
    }

    /// Reads what [`Bundle::pack`] wrote.
    ///
    /// # Errors
    /// [`BundleError::Archive`] or what is wrong with the bundle inside.
    pub fn unpack(bytes: &[u8]) -> Result<Self, BundleError> {
        archive::unpack(bytes)
    }

    /// A bundle from the text of its manifest and its files, by path, such as one embedded in a program. Files that the
    /// manifest does not name are left out.
    ///
    /// # Errors
    /// [`BundleError`], naming file and key.
    pub fn from_parts(manifest: &str, files: &BTreeMap<String, Vec<u8>>) -> Result<Self, BundleError> {
        let parsed = Manifest::parse(manifest)?;
        let mut named = BTreeMap::new();
        for (key, file) in parsed.files() {
            check_relative(&key, file)?;
            let bytes = files.get(file).ok_or_else(|| missing(&key, file))?;
            folder::within(Path::new(file), bytes.len() as u64, limit(&parsed, &key))?;
            named.insert(file.to_owned(), bytes.clone());
        }
        Self::assemble(manifest, parsed, named)
    }

    pub(crate) fn assemble(
        text: &str,
        manifest: Manifest,
        files: BTreeMap<String, Vec<u8>>,
    ) -> Result<Self, BundleError> {
        let (networks, lists) = (networks(&manifest, &files)?, list::read(&manifest, &files)?);
        let digests = files.iter().map(|(name, bytes)| (name.clone(), Digest::of(bytes)));
        let mut digests: BTreeMap<String, Digest> = digests.collect();
        digests.insert(MANIFEST.to_owned(), Digest::of(text.as_bytes()));
        let digest = Digest::of_all(&digests);
        let contents = Contents { text: text.to_owned(), manifest, files, networks, lists, digests, digest };
        Ok(Self { contents: Arc::new(contents), signature: None })
    }

    /// The text of its manifest.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.contents.text
    }

    /// The signature it came with, unchecked: [`Trust`](crate::Trust) checks it.
    #[must_use]
    pub fn signature(&self) -> Option<&Signature> {
        self.signature.as_ref()
    }

    /// The same bundle with this signature.
    #[must_use]
    pub fn with_signature(self, signature: Option<Signature>) -> Self {
        Self { signature, ..self }
    }

    /// Its manifest.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.contents.manifest
    }

    /// The bytes of a file the manifest names.
    #[must_use]
    pub fn file(&self, path: &str) -> Option<&[u8]> {
        self.contents.files.get(path).map(Vec::as_slice)
    }

    /// The networks, by the name that components open.
    #[must_use]
    pub fn networks(&self) -> &BTreeMap<String, Network> {
        &self.contents.networks
    }

    /// All settings that an entry of this bundle's manifest gives its component: those in it, and those in files.
    #[must_use]
    pub fn settings(&self, entry: &RoleEntry) -> BTreeMap<String, SettingValue> {
        let mut settings = entry.settings.clone();
        let lists =
            entry.lists.iter().filter_map(|(name, file)| Some((name.clone(), self.contents.lists.get(file)?.clone())));
        settings.extend(lists);
        settings
    }

    /// The bytes of every file the manifest names, by path.
    #[must_use]
    pub fn files(&self) -> &BTreeMap<String, Vec<u8>> {
        &self.contents.files
    }

    /// The digest of every file, the manifest's included.
    #[must_use]
    pub fn digests(&self) -> &BTreeMap<String, Digest> {
        &self.contents.digests
    }

    /// The digest of the whole bundle: of the names and digests of its files.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.contents.digest
    }

    /// Name, version and digest, as answers and records name it.
    #[must_use]
    pub fn identity(&self) -> BundleIdentity {
        let Manifest { name, version, .. } = self.manifest();
        BundleIdentity { name: name.clone(), version: version.clone(), digest: self.digest().to_string() }
    }
}

/// The limit of the file that this key names.
pub(crate) fn limit(manifest: &Manifest, key: &str) -> Limit {
    let limits = &manifest.limits;
    if key.starts_with("networks.") {
        return Limit { bytes: limits.network, remedy: "make it smaller, or raise `network` in `[limits]`" };
    }
    let component = key.ends_with(".component") || key.starts_with("methods.");
    match component {
        true => Limit { bytes: limits.component, remedy: "make it smaller, or raise `component` in `[limits]`" },
        false => list::LIMIT,
    }
}

/// Reads the networks and checks every number in their files.
fn networks(manifest: &Manifest, files: &BTreeMap<String, Vec<u8>>) -> Result<BTreeMap<String, Network>, BundleError> {
    let network = |(name, entry): (&String, &crate::NetworkEntry)| {
        let failed = |source| {
            let (file, network) = (entry.file.clone(), name.clone());
            BundleError::Network { file, network, source }
        };
        // Every file that the manifest names is there.
        let bytes = files.get(&entry.file).map_or(&[][..], Vec::as_slice);
        Ok((name.clone(), Network::parse(bytes).map_err(failed)?))
    };
    manifest.networks.iter().map(network).collect()
}

/// Refuses paths with more than one spelling, which an archive or another system would change.
pub(crate) fn check_relative(key: &str, file: &str) -> Result<(), BundleError> {
    let plain = file.split('/').all(|part| !["", ".", ".."].contains(&part));
    let ours = [MANIFEST, Signature::STATEMENT, Signature::FILE].contains(&file);
    let fine = plain && !file.contains(['\\', ':']) && !file.chars().any(turns_text) && !ours;
    if fine { Ok(()) } else { Err(outside(key, file)) }
}

pub(crate) fn outside(key: &str, found: &str) -> BundleError {
    BundleError::Path { file: MANIFEST.to_owned(), key: key.to_owned(), found: found.to_owned() }
}

pub(crate) fn missing(key: &str, found: &str) -> BundleError {
    BundleError::Missing { file: MANIFEST.to_owned(), key: key.to_owned(), found: found.to_owned() }
}
