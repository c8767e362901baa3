//! A bundle on disk or in memory.

use crate::{BundleError, Digest, Manifest, Network};
use std::{
    collections::{BTreeMap, btree_map::Entry},
    fs,
    io::Read,
    path::{Component, Path, PathBuf},
};

/// The manifest's file name.
pub const MANIFEST: &str = "bundle.toml";

const MANIFEST_LIMIT: Limit = Limit { bytes: 1 << 20, remedy: "write a shorter manifest" };

/// How large a file may be, and what to do about a larger one.
#[derive(Clone, Copy)]
struct Limit {
    bytes: u64,
    remedy: &'static str,
}

/// A bundle, read and checked.
#[derive(Debug, Clone)]
pub struct Bundle {
    manifest: Manifest,
    files: BTreeMap<String, Vec<u8>>,
    networks: BTreeMap<String, Network>,
    digests: BTreeMap<String, Digest>,
    digest: Digest,
}

impl Bundle {
    /// Reads the folder `dir`: its [`MANIFEST`] and every file that names.
    ///
    /// # Errors
    /// [`BundleError`], naming file and key.
    pub fn open(dir: &Path) -> Result<Self, BundleError> {
        Self::open_with(dir, |_| None)
    }

    /// As [`Bundle::open`]; a file that the folder does not hold is asked of `lend`, by the path that the manifest names.
    ///
    /// # Errors
    /// [`BundleError`], naming file and key.
    pub fn open_with(dir: &Path, lend: impl Fn(&str) -> Option<Vec<u8>>) -> Result<Self, BundleError> {
        let root = dir.canonicalize().map_err(|source| unreadable(dir, "folder", source))?;
        let path = root.join(MANIFEST);
        let bytes = read_limited(&path, MANIFEST_LIMIT)?;
        let text = String::from_utf8(bytes).map_err(|_| not_text())?;
        let manifest = Manifest::parse(&text)?;
        let mut files = BTreeMap::new();
        for (key, file) in manifest.files() {
            if let Entry::Vacant(vacant) = files.entry(file.to_owned()) {
                let limit = limit(&manifest, &key);
                let bytes = match inside(&root, &key, vacant.key()) {
                    Ok(path) => read_limited(&path, limit)?,
                    Err(missing @ BundleError::Missing { .. }) => {
                        let lent = lend(vacant.key()).ok_or(missing)?;
                        within(Path::new(vacant.key()), lent.len() as u64, limit).map(|()| lent)?
                    }
                    Err(error) => return Err(error),
                };
                vacant.insert(bytes);
            }
        }
        Self::assemble(&text, manifest, files)
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
            within(Path::new(file), bytes.len() as u64, limit(&parsed, &key))?;
            named.insert(file.to_owned(), bytes.clone());
        }
        Self::assemble(manifest, parsed, named)
    }

    fn assemble(text: &str, manifest: Manifest, files: BTreeMap<String, Vec<u8>>) -> Result<Self, BundleError> {
        let networks = networks(&manifest, &files)?;
        let digests = files.iter().map(|(name, bytes)| (name.clone(), Digest::of(bytes)));
        let mut digests: BTreeMap<String, Digest> = digests.collect();
        digests.insert(MANIFEST.to_owned(), Digest::of(text.as_bytes()));
        let digest = Digest::of_all(&digests);
        Ok(Self { manifest, files, networks, digests, digest })
    }

    /// What it says.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The bytes of a file the manifest names.
    #[must_use]
    pub fn file(&self, path: &str) -> Option<&[u8]> {
        self.files.get(path).map(Vec::as_slice)
    }

    /// The networks, by the name that components open.
    #[must_use]
    pub fn networks(&self) -> &BTreeMap<String, Network> {
        &self.networks
    }

    /// The bytes of every file the manifest names, by path.
    #[must_use]
    pub fn files(&self) -> &BTreeMap<String, Vec<u8>> {
        &self.files
    }

    /// The digest of every file, the manifest's included.
    #[must_use]
    pub fn digests(&self) -> &BTreeMap<String, Digest> {
        &self.digests
    }

    /// The digest of the whole bundle: of the names and digests of its files.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }
}

/// The limit of the file that this key names.
fn limit(manifest: &Manifest, key: &str) -> Limit {
    let limits = &manifest.limits;
    match key.starts_with("networks.") {
        true => Limit { bytes: limits.network, remedy: "make it smaller, or raise `network` in `[limits]`" },
        false => Limit { bytes: limits.component, remedy: "make it smaller, or raise `component` in `[limits]`" },
    }
}

/// The networks, each file looked at to the last number.
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

fn check_relative(key: &str, file: &str) -> Result<(), BundleError> {
    let plain = Path::new(file).components().all(|part| matches!(part, Component::Normal(_)));
    let fine = plain && !file.is_empty() && !file.contains(['\\', ':', '\0']) && file != MANIFEST;
    if fine { Ok(()) } else { Err(outside(key, file)) }
}

/// The real path of a file, after links; an error if that is not inside the bundle.
fn inside(root: &Path, key: &str, file: &str) -> Result<PathBuf, BundleError> {
    check_relative(key, file)?;
    let path = root.join(file);
    let real = path.canonicalize().map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => missing(key, file),
        _ => unreadable(&path, "file", source),
    })?;
    if real.starts_with(root) { Ok(real) } else { Err(outside(key, file)) }
}

/// Reads at most `limit` bytes, whatever the file system says of the size.
fn read_limited(path: &Path, limit: Limit) -> Result<Vec<u8>, BundleError> {
    let failed = |source| unreadable(path, "file", source);
    let file = fs::File::open(path).map_err(failed)?;
    let size = file.metadata().map_err(failed)?.len();
    let mut bytes = Vec::new();
    file.take(limit.bytes + 1).read_to_end(&mut bytes).map_err(failed)?;
    within(path, size.max(bytes.len() as u64), limit).map(|()| bytes)
}

fn within(path: &Path, found: u64, limit: Limit) -> Result<(), BundleError> {
    if found <= limit.bytes {
        return Ok(());
    }
    let (path, limit, remedy) = (path.to_owned(), limit.bytes, limit.remedy);
    Err(BundleError::TooLarge { path, found, limit, remedy })
}

fn unreadable(path: &Path, expected: &'static str, source: std::io::Error) -> BundleError {
    BundleError::Read { path: path.to_owned(), expected, source }
}

fn outside(key: &str, found: &str) -> BundleError {
    BundleError::Path { file: MANIFEST.to_owned(), key: key.to_owned(), found: found.to_owned() }
}

fn missing(key: &str, found: &str) -> BundleError {
    BundleError::Missing { file: MANIFEST.to_owned(), key: key.to_owned(), found: found.to_owned() }
}

fn not_text() -> BundleError {
    let problem = "found bytes that are not UTF-8; expected TOML text".to_owned();
    BundleError::Manifest { file: MANIFEST.to_owned(), line: 0, key: String::new(), problem }
}
