//! What a server remembers when it stops: its bundles, which one is active, and what was activated before.
//!
//! ```text
//! DIR/lock             held by the server that runs
//! DIR/active.json      which bundle decides, under which generation; replaced whole
//! DIR/bundles/HEX.tar  every bundle that decided, packed, by its digest: records name them
//! DIR/swaps.jsonl      activations and failed attempts
//! ```
//!
//! **Invariant**: whatever moment a server is killed at, the next one starts with the bundle that was acknowledged last.

use crate::{remembered::Remembered, swap::Swap};
use inferenceguard_bundle::{Bundle, BundleError};
use inferenceguard_model::{ModelIdentity, OtherModel};
use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

const ACTIVE: &str = "active.json";
const SWAPS: &str = "swaps.jsonl";
const BUNDLES: &str = "bundles";
/// How many bundles are kept beside those that one can go back to.
const KEPT: usize = 1000;

/// A folder that one server at a time remembers in.
#[derive(Debug)]
pub struct Store {
    dir: PathBuf,
    /// Whether other score models than those that ran last are taken.
    accepting: bool,
    _lock: File,
}

/// Why a server does not remember.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Another server runs on it.
    #[error("{}: another server remembers there; give each its own folder", path.display())]
    Busy {
        /// The folder.
        path: PathBuf,
    },
    /// A file does not say what it should.
    #[error("{}: {problem}; restore it, or move the folder away to start anew", path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// A score model is another one than ran last with this bundle.
    #[error(
        "{}: the score model `{name}` is another one than ran here last: {source}. What it prices is decided by another model \
         now: start the server with the one that ran, or accept this one with --accept-models",
        path.display()
    )]
    OtherScoreModel {
        /// The folder.
        path: PathBuf,
        /// The score model's name.
        name: String,
        /// Both fingerprints.
        #[source]
        source: OtherModel,
    },
    /// A bundle in it cannot be read any more.
    #[error("{}: {source}; restore it, or begin anew with another bundle", path.display())]
    Bundle {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: Box<BundleError>,
    },
}

impl Store {
    /// Opens a folder, making it if it is not there.
    ///
    /// # Errors
    /// [`StoreError::Busy`] if another process has it open; [`StoreError::File`].
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        let bundles = dir.join(BUNDLES);
        fs::create_dir_all(&bundles).map_err(|source| file(&bundles, source))?;
        let path = dir.join("lock");
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let lock = lock.map_err(|source| file(&path, source))?;
        lock.try_lock().map_err(|_| StoreError::Busy { path: dir.to_owned() })?;
        Ok(Self { dir: dir.to_owned(), accepting: false, _lock: lock })
    }

    /// The same, for a server that may begin with other score models than those that ran last.
    #[must_use]
    pub fn accepting_models(self) -> Self {
        Self { accepting: true, ..self }
    }

    /// Whether a server may go on from this with these score models.
    pub(crate) fn accepts(
        &self,
        found: &Remembered,
        scores: &BTreeMap<String, ModelIdentity>,
    ) -> Result<(), StoreError> {
        match found.expects(scores) {
            Err((name, source)) if !self.accepting => {
                Err(StoreError::OtherScoreModel { path: self.dir.clone(), name, source })
            }
            Err((name, source)) => {
                tracing::warn!(name, %source, "another score model is accepted in place of the one that ran last");
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    /// What was acknowledged last; nothing in a new folder.
    ///
    /// # Errors
    /// [`StoreError::File`], [`StoreError::Damaged`].
    pub fn remembered(&self) -> Result<Option<Remembered>, StoreError> {
        let path = self.dir.join(ACTIVE);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(file(&path, source)),
        };
        let damaged = |problem: String| StoreError::Damaged { path: path.clone(), problem };
        let found: Remembered = serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
        if (1..=Remembered::FORMAT).contains(&found.format) {
            return Ok(Some(found));
        }
        Err(damaged(format!("found the format {}; expected at most {}", found.format, Remembered::FORMAT)))
    }

    /// A bundle by its digest; what is read is what was kept.
    ///
    /// # Errors
    /// [`StoreError::Bundle`], [`StoreError::Damaged`].
    pub fn bundle(&self, digest: &str) -> Result<Bundle, StoreError> {
        let path = self.path(digest);
        let failed = |source| StoreError::Bundle { path: path.clone(), source: Box::new(source) };
        let bundle = Bundle::open(&path).map_err(failed)?;
        let found = bundle.digest().to_string();
        if found == digest {
            return Ok(bundle);
        }
        Err(StoreError::Damaged { path, problem: format!("found the bundle {found}; expected {digest}") })
    }

    /// Keeps a bundle.
    ///
    /// # Errors
    /// [`StoreError::File`], [`StoreError::Bundle`].
    pub(crate) fn keep(&self, bundle: &Bundle) -> Result<(), StoreError> {
        let path = self.path(&bundle.digest().to_string());
        let packed = bundle.pack();
        let packed = packed.map_err(|source| StoreError::Bundle { path: path.clone(), source: Box::new(source) })?;
        replace(&path, &packed).map_err(|source| file(&path, source))
    }

    /// Acknowledges; then bundles that decided long ago are removed.
    ///
    /// # Errors
    /// [`StoreError::File`]; what was acknowledged before then still is.
    pub(crate) fn commit(&self, next: &Remembered) -> Result<(), StoreError> {
        let path = self.dir.join(ACTIVE);
        let text = serde_json::to_vec_pretty(next).map_err(|error| file(&path, error.into()))?;
        replace(&path, &text).map_err(|source| file(&path, source))?;
        // What stays behind costs room and nothing else.
        drop(self.prune(next));
        Ok(())
    }

    /// Keeps what is named, and the newest of the rest.
    fn prune(&self, named: &Remembered) -> io::Result<()> {
        let kept: Vec<PathBuf> = named.bundles().map(|digest| self.path(digest)).collect();
        let mut others = Vec::new();
        for entry in fs::read_dir(self.dir.join(BUNDLES))? {
            let entry = entry?;
            if !kept.contains(&entry.path()) {
                others.push((entry.metadata()?.modified()?, entry.path()));
            }
        }
        others.sort();
        let most = others.len().saturating_sub(KEPT);
        others[..most].iter().try_for_each(|(_, path)| fs::remove_file(path))
    }

    /// Appends to the history.
    pub(crate) fn note(&self, swap: &Swap) -> Result<(), StoreError> {
        let path = self.dir.join(SWAPS);
        let write = || -> io::Result<()> {
            let mut line = serde_json::to_vec(swap)?;
            line.push(b'\n');
            OpenOptions::new().create(true).append(true).open(&path)?.write_all(&line)
        };
        write().map_err(|source| file(&path, source))
    }

    /// The newest of the history, newest first. A line that a kill cut off is left out.
    pub(crate) fn history(&self, most: usize) -> Vec<Swap> {
        let text = fs::read_to_string(self.dir.join(SWAPS)).unwrap_or_default();
        text.lines().rev().filter_map(|line| serde_json::from_str(line).ok()).take(most).collect()
    }

    fn path(&self, digest: &str) -> PathBuf {
        // Whatever stands in a damaged file, it stays inside the folder.
        let hex = digest.strip_prefix("sha256:").unwrap_or(digest).replace(|c: char| !c.is_ascii_hexdigit(), "-");
        self.dir.join(BUNDLES).join(format!("{hex}.tar"))
    }
}

/// Replaces a file whole, on the disk before this returns.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    #[cfg(unix)]
    File::open(folder)?.sync_all()?;
    Ok(())
}

fn file(path: &Path, source: io::Error) -> StoreError {
    StoreError::File { path: path.to_owned(), source }
}
