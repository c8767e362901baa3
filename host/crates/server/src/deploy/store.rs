//! The folder that outlives a server: its bundles, which of them is active, and the history.
//!
//! ```text
//! DIR/lock             locked by the running server
//! DIR/active.json      the saved state: which bundle is active, under which generation; replaced as a whole
//! DIR/bundles/HEX.tar  every bundle that decided, packed, by its digest: records name them
//! DIR/swaps.jsonl      the history: activations and failed attempts
//! ```
//!
//! **Invariant**: a server may be killed at any moment; the next one begins with the bundle that was acknowledged last.

use super::{active::SavedState, history::Attempt};
use inferenceguard_bundle::{Bundle, BundleError};
use inferenceguard_model::{ModelIdentity, OtherModel};
use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

const ACTIVE: &str = "active.json";
const SWAPS: &str = "swaps.jsonl";
const BUNDLES: &str = "bundles";
/// The largest number of a generation in a saved state: far beyond any, and a whole number in every program that reads JSON.
const MOST_GENERATIONS: u64 = 1 << 53;
/// How many bundles are kept beside those that the saved state names.
const KEPT: usize = 1000;

/// A folder for the state of one server at a time.
#[derive(Debug)]
pub struct Store {
    dir: PathBuf,
    /// Whether a server may begin with other score models than those that ran last.
    accepts_models: bool,
    _lock: File,
}

/// Why the store could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system reported.
        #[source]
        source: io::Error,
    },
    /// Another server uses the folder.
    #[error("{}: another server uses this folder; give each server its own", path.display())]
    Busy {
        /// The folder.
        path: PathBuf,
    },
    /// A file has other contents than expected.
    #[error("{}: {problem}; restore it, or move the folder away to start with an empty one", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// A score model is another one than ran last with this bundle.
    #[error(
        "{}: the score model `{name}` is another one than ran here last: {source}. It would price answers differently: start \
         the server with the model that ran last, or accept this one with --accept-models",
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
    /// A saved bundle cannot be read, or a bundle cannot be packed.
    #[error("{}: {source}; restore it, or begin with another bundle", path.display())]
    Bundle {
        /// Its file.
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
        Ok(Self { dir: dir.to_owned(), accepts_models: false, _lock: lock })
    }

    /// This store; a server may then begin with other score models than those that ran last.
    #[must_use]
    pub fn accepting_models(self) -> Self {
        Self { accepts_models: true, ..self }
    }

    /// Checks whether a server may continue from this state with these score models.
    pub(super) fn accepts(
        &self,
        state: &SavedState,
        scores: &BTreeMap<String, ModelIdentity>,
    ) -> Result<(), StoreError> {
        match state.expects(scores) {
            Err((name, source)) if !self.accepts_models => {
                Err(StoreError::OtherScoreModel { path: self.dir.clone(), name, source })
            }
            Err((name, source)) => {
                tracing::warn!(name, %source, "another score model than ran last is accepted");
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    /// The saved state; none in a new folder.
    ///
    /// # Errors
    /// [`StoreError::File`], [`StoreError::Damaged`].
    pub fn state(&self) -> Result<Option<SavedState>, StoreError> {
        let path = self.dir.join(ACTIVE);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(file(&path, source)),
        };
        let damaged = |problem: String| StoreError::Damaged { path: path.clone(), problem };
        let found: SavedState = serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
        if !(1..=SavedState::FORMAT).contains(&found.format) {
            return Err(damaged(format!("found the format {}; expected at most {}", found.format, SavedState::FORMAT)));
        }
        let newest = found.newest.max(found.generation);
        if newest > MOST_GENERATIONS {
            return Err(damaged(format!("found the generation {newest}; expected at most {MOST_GENERATIONS}")));
        }
        Ok(Some(found))
    }

    /// A saved bundle by its digest, which is checked.
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

    /// Saves a bundle.
    ///
    /// # Errors
    /// [`StoreError::File`], [`StoreError::Bundle`].
    pub(super) fn keep(&self, bundle: &Bundle) -> Result<(), StoreError> {
        let path = self.path(&bundle.digest().to_string());
        let packed = bundle.pack();
        let packed = packed.map_err(|source| StoreError::Bundle { path: path.clone(), source: Box::new(source) })?;
        replace(&path, &packed).map_err(|source| file(&path, source))
    }

    /// Saves the state, then removes bundles that decided long ago.
    ///
    /// # Errors
    /// [`StoreError::File`]; the state before is then still saved.
    pub(super) fn commit(&self, next: &SavedState) -> Result<(), StoreError> {
        let path = self.dir.join(ACTIVE);
        let text = serde_json::to_vec_pretty(next).map_err(|error| file(&path, error.into()))?;
        replace(&path, &text).map_err(|source| file(&path, source))?;
        // A file that could not be removed only takes room.
        drop(self.prune(next));
        Ok(())
    }

    /// Removes the oldest bundles that the state does not name.
    fn prune(&self, state: &SavedState) -> io::Result<()> {
        let kept: Vec<PathBuf> = state.bundles().map(|digest| self.path(digest)).collect();
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

    /// Appends to the history, on a line of its own.
    pub(super) fn append(&self, attempt: &Attempt) -> Result<(), StoreError> {
        let path = self.dir.join(SWAPS);
        let write = || -> io::Result<()> {
            let mut file = OpenOptions::new().create(true).read(true).append(true).open(&path)?;
            let mut line = if is_cut(&mut file)? { b"\n".to_vec() } else { Vec::new() };
            serde_json::to_writer(&mut line, attempt)?;
            line.push(b'\n');
            file.write_all(&line)
        };
        write().map_err(|source| file(&path, source))
    }

    /// The newest attempts of the history, the newest first. A line that a kill cut off is left out, and so is a damaged one.
    pub(super) fn history(&self, most: usize) -> Vec<Attempt> {
        let bytes = fs::read(self.dir.join(SWAPS)).unwrap_or_default();
        let lines = bytes.split(|byte| *byte == b'\n').rev();
        lines.filter_map(|line| serde_json::from_slice(line).ok()).take(most).collect()
    }

    fn path(&self, digest: &str) -> PathBuf {
        // The digest may come from a damaged file: the path must stay inside the folder.
        let hex = digest.strip_prefix("sha256:").unwrap_or(digest).replace(|c: char| !c.is_ascii_hexdigit(), "-");
        self.dir.join(BUNDLES).join(format!("{hex}.tar"))
    }
}

/// Whether the last line of a file has no end, because a kill cut it off.
fn is_cut(file: &mut File) -> io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(false);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

/// Replaces a file as a whole; it is on the disk when this returns.
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
