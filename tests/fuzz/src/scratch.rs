//! Files on disk, for what can only be read from there.

use std::{fs, path::PathBuf, sync::LazyLock};
use tempfile::TempDir;

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().expect("a temporary folder"));

/// Writes a file of the process's own folder, over what was there. Each target uses names of its own, as tests run side by
/// side.
pub(crate) fn file(name: &str, bytes: &[u8]) -> PathBuf {
    let path = FOLDER.path().join(name);
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).expect("a folder in the temporary folder");
    }
    fs::write(&path, bytes).expect("a file in the temporary folder");
    path
}
