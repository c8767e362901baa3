//! Removes bodies when their time is over; the chain stays.

use crate::{
    RecordError,
    chain::{Written, read},
};
use inferenceguard_bundle::seconds_since_1970;
use std::{
    fs::{File, TryLockError},
    io::{self, BufRead, BufReader, Write},
    path::Path,
};

const DAY: u64 = 24 * 60 * 60;

/// As [`forget`], for records that are older than this many days; 0 removes all bodies.
///
/// # Errors
/// As [`forget`].
pub fn forget_older(path: &Path, days: u64) -> Result<u64, RecordError> {
    // With 0 days, records of this second are removed as well.
    forget(path, (seconds_since_1970() + 1).saturating_sub(days.saturating_mul(DAY)))
}

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
