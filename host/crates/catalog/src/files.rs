//! Files that commands write: whole or not at all.

use crate::CatalogError;
use std::{
    io::{self, Write},
    path::Path,
};
use tempfile::{Builder, NamedTempFile};

/// Writes a file whole or not at all.
///
/// # Errors
/// [`CatalogError::FileWrite`].
pub fn write_file(path: &Path, bytes: &[u8]) -> Result<(), CatalogError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let write = || -> io::Result<()> {
        let mut file = temporary(folder)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    };
    write().map_err(|source| CatalogError::FileWrite { path: path.to_owned(), source })
}

/// A temporary file with the usual rights, not only for its owner.
fn temporary(folder: &Path) -> io::Result<NamedTempFile> {
    let mut builder = Builder::new();
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder)
}
