//! Removes bodies when their time is over; the chain stays.

use crate::{
    RecordError,
    chain::{Written, read},
};
use std::{
    fs::{File, TryLockError},
    io::{self, BufRead, BufReader, Write},
    path::Path,
};

/// Removes the bodies of all records written before this time (seconds since 1970), and says how many there were. Headers
/// stay as they are, byte for byte. The file is checked first, and replaced whole; nobody may be writing to it.
///
/// # Errors
/// [`RecordError::Line`] if it does not verify, [`RecordError::Busy`], [`RecordError::File`].
pub fn forget(path: &Path, before: u64) -> Result<u64, RecordError> {
    let failed = |source| RecordError::File { path: path.to_owned(), source };
    let file = File::options().read(true).write(true).open(path).map_err(failed)?;
    if matches!(file.try_lock(), Err(TryLockError::WouldBlock)) {
        return Err(RecordError::Busy { path: path.to_owned() });
    }
    let old = read(path)?.map(|line| line.map(|line| line.header.at < before && line.body.is_some()));
    let old = old.collect::<Result<Vec<bool>, _>>()?;
    rewritten(path, &file, &old).map_err(failed)?;
    Ok(old.iter().filter(|old| **old).count() as u64)
}

fn rewritten(path: &Path, file: &File, old: &[bool]) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut next = tempfile::NamedTempFile::new_in(folder)?;
    for (text, old) in BufReader::new(file).lines().zip(old) {
        let text = text?;
        let mut written: Written<'_> = serde_json::from_str(&text)?;
        if *old {
            written.body = None;
        }
        serde_json::to_writer(&mut next, &written)?;
        next.write_all(b"\n")?;
    }
    next.as_file().set_permissions(file.metadata()?.permissions())?;
    next.as_file().sync_all()?;
    next.persist(path).map(drop).map_err(|error| error.error)
}
