//! The models that lie in the hub's cache on this machine.

use super::{HubError, parse};
use hf_hub::{Cache, Repo, RepoType};
use std::{fmt, fs, io, path::Path};

/// What the folders of models begin with.
const MODELS: &str = "models--";

/// A model in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CachedModel {
    /// Its id: `org/name`.
    pub id: String,
    /// The size of its files, in bytes.
    pub bytes: u64,
}

impl fmt::Display for CachedModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>9}  {}", megabytes(self.bytes), self.id)
    }
}

/// A size in words.
#[must_use]
pub fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

/// All models in the cache, by id.
///
/// # Errors
/// [`HubError::Cache`] if a folder cannot be read.
pub fn cached_models() -> Result<Vec<CachedModel>, HubError> {
    cached_in(Cache::from_env().path())
}

fn cached_in(cache: &Path) -> Result<Vec<CachedModel>, HubError> {
    let unreadable = |source| HubError::Cache { path: cache.to_owned(), source };
    let entries = match fs::read_dir(cache) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(unreadable)?,
    };
    let mut all = Vec::new();
    for entry in entries {
        let entry = entry.map_err(unreadable)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if let Some(id) = name.strip_prefix(MODELS) {
            all.push(CachedModel { id: id.replacen("--", "/", 1), bytes: size(&entry.path()).map_err(unreadable)? });
        }
    }
    all.sort_by(|one, other| one.id.cmp(&other.id));
    Ok(all)
}

/// The size of the files below a folder; links are not followed.
fn size(folder: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let about = entry.metadata()?;
        bytes += if about.is_dir() { size(&entry.path())? } else { u64::from(about.is_file()) * about.len() };
    }
    Ok(bytes)
}

/// Removes a model from the cache, with all of its revisions; gives its size in bytes.
///
/// # Errors
/// [`HubError::NotAnId`] unless `id` is `org/name`, [`HubError::NotHeld`] if it is not in the cache, [`HubError::Cache`].
pub fn remove(id: &str) -> Result<u64, HubError> {
    remove_from(Cache::from_env().path(), id)
}

fn remove_from(cache: &Path, id: &str) -> Result<u64, HubError> {
    // Only what is an id becomes a path.
    let whole = parse(id).filter(|named| named.file.is_none() && !id.contains('@'));
    whole.ok_or_else(|| HubError::NotAnId { found: id.to_owned() })?;
    let path = cache.join(Repo::new(id.to_owned(), RepoType::Model).folder_name());
    if !path.is_dir() {
        return Err(HubError::NotHeld { id: id.to_owned(), cache: cache.to_owned() });
    }
    let failed = |source| HubError::Cache { path: path.clone(), source };
    let bytes = size(&path).map_err(failed)?;
    fs::remove_dir_all(&path).map_err(failed)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_are_listed_with_their_sizes_and_removed_by_their_ids_only() {
        let cache = tempfile::tempdir().unwrap();
        assert_eq!(cached_in(&cache.path().join("none")).unwrap(), []);
        for (model, bytes) in [("models--b--two", 5), ("models--a--one", 3), ("datasets--a--one", 9)] {
            let blobs = cache.path().join(model).join("blobs");
            fs::create_dir_all(&blobs).unwrap();
            fs::write(blobs.join("0"), vec![0; bytes]).unwrap();
        }
        let listed: Vec<(String, u64)> =
            cached_in(cache.path()).unwrap().into_iter().map(|one| (one.id, one.bytes)).collect();
        assert_eq!(listed, [("a/one".to_owned(), 3), ("b/two".to_owned(), 5)]);
        for bad in ["..", "a/..", "../a", "a", "a/one@main", "a/one:x.gguf", "/a/one", ""] {
            assert!(matches!(remove_from(cache.path(), bad), Err(HubError::NotAnId { .. })), "{bad}");
        }
        assert!(matches!(remove_from(cache.path(), "a/none"), Err(HubError::NotHeld { .. })));
        assert_eq!(remove_from(cache.path(), "a/one").unwrap(), 3);
        assert_eq!(cached_in(cache.path()).unwrap().len(), 1);
        assert!(cache.path().join("datasets--a--one").is_dir());
    }
}
