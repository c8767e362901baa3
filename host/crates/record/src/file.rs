//! The file that records are appended to, and whether it is still what was left there.

use crate::{
    RecordError,
    chain::{BEGINNING, read},
};
use std::{
    fs::{self, File, Metadata, TryLockError},
    io::{self, BufRead, BufReader, Seek, SeekFrom, Write},
    path::Path,
};

/// A file that is open at its end, and where its chain stands.
pub(crate) struct Open {
    file: File,
    /// Bytes that are whole records.
    len: u64,
    /// The sequence number of the next record, from 1.
    pub(crate) next: u64,
    /// The hash of the last record.
    pub(crate) previous: String,
    /// Whether a failed write may have left bytes behind the whole records.
    torn: bool,
    /// Bytes of the last record, if it could not be written.
    missing: Option<usize>,
}

/// Where a write went.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Room {
    /// Behind the last whole record.
    AtItsEnd,
    /// The file is not as it was left. If it was emptied, the record was taken out again; otherwise it stays where it went.
    Elsewhere,
}

impl Open {
    /// Opens a file at its end, or makes it; and whether the last record that is there is signed.
    pub(crate) fn at(path: &Path) -> Result<(Self, bool), RecordError> {
        let failed = |source| RecordError::File { path: path.to_owned(), source };
        let mut file = locked(path)?;
        let (mut next, mut previous, mut signed) = (1, BEGINNING.to_owned(), false);
        for line in read(path)? {
            let line = line?;
            (next, previous, signed) = (line.header.sequence + 1, line.hash, line.signature.is_some());
        }
        let len = whole(&mut file).map_err(failed)?;
        let torn = file.metadata().map_err(failed)?.len().saturating_sub(len);
        if torn > 0 {
            let path = path.display().to_string();
            tracing::warn!(
                path,
                torn,
                "the last record is not whole, and is cut off: it was never acknowledged, or it was damaged"
            );
            file.set_len(len).map_err(failed)?;
        }
        Ok((Self { file, len, next, previous, torn: false, missing: None }, signed))
    }

    /// Checks that the file at this path is the file that was left there. A file that was emptied begins a new chain, and so
    /// does a new file where the old one is gone.
    pub(crate) fn find(&mut self, path: &Path) -> Result<(), RecordError> {
        let failed = |source| RecordError::File { path: path.to_owned(), source };
        let own = self.file.metadata().map_err(failed)?;
        match fs::metadata(path) {
            Ok(there) if is_same(&there, &own) => self.check_length(path, there.len()),
            Ok(_) => self.replace(path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.replace(path),
            Err(error) => Err(failed(error)),
        }
    }

    /// Checks that the file has the length that it was left with. An emptied file begins a new chain.
    fn check_length(&mut self, path: &Path, found: u64) -> Result<(), RecordError> {
        if self.torn && found > self.len {
            self.cut().map_err(|source| RecordError::File { path: path.to_owned(), source })?;
        } else if found == 0 && self.len > 0 {
            let path = path.display().to_string();
            let records = self.next - 1;
            tracing::warn!(
                path,
                records,
                "the file of records was emptied by another program; a new chain begins in it"
            );
            (self.len, self.next, self.previous) = (0, 1, BEGINNING.to_owned());
        } else if found != self.len {
            return Err(self.changed(path));
        }
        self.torn = false;
        Ok(())
    }

    /// Goes on in another file, which must be empty.
    fn replace(&mut self, path: &Path) -> Result<(), RecordError> {
        let failed = |source| RecordError::File { path: path.to_owned(), source };
        let file = locked(path)?;
        let found = file.metadata().map_err(failed)?.len();
        if found > 0 {
            return Err(RecordError::Changed { path: path.to_owned(), found, expected: 0 });
        }
        let records = self.next - 1;
        let shown = path.display().to_string();
        tracing::warn!(
            path = shown,
            records,
            "the file of records was moved or removed; a new file with a chain of its own begins"
        );
        let (previous, missing) = (BEGINNING.to_owned(), self.missing);
        *self = Self { file, len: 0, next: 1, previous, torn: false, missing };
        Ok(())
    }

    /// Appends a record, waits for the disk, and says whether the record stands behind the last whole one.
    pub(crate) fn write(&mut self, line: &[u8]) -> io::Result<Room> {
        let added = line.len() as u64;
        let done = self.file.write_all(line).and_then(|()| self.file.sync_data()).and_then(|()| self.file.metadata());
        match done {
            Ok(there) if there.len() == self.len + added => {
                (self.len, self.missing) = (there.len(), None);
                Ok(Room::AtItsEnd)
            }
            Ok(there) if there.len() == added => self.file.set_len(0).map(|()| Room::Elsewhere),
            Ok(_) => Ok(Room::Elsewhere),
            Err(error) => {
                (self.torn, self.missing) = (true, Some(line.len()));
                // If not even this works, the next record or the next opening cuts it off.
                let _ = self.cut();
                Err(error)
            }
        }
    }

    /// Tries whether there is room for a record that could not be written last.
    pub(crate) fn try_room(&mut self) -> io::Result<()> {
        let Some(bytes) = self.missing else { return Ok(()) };
        self.torn = true;
        let room = self.file.write_all(&vec![b' '; bytes]).and_then(|()| self.file.sync_data());
        self.cut()?;
        room?;
        self.missing = None;
        Ok(())
    }

    /// Cuts off what is no whole record.
    fn cut(&mut self) -> io::Result<()> {
        self.file.set_len(self.len)?;
        self.torn = false;
        Ok(())
    }

    /// The error of a file that has another length than it was left with.
    pub(crate) fn changed(&self, path: &Path) -> RecordError {
        let found = self.file.metadata().map_or(0, |there| there.len());
        RecordError::Changed { path: path.to_owned(), found, expected: self.len }
    }
}

/// Opens a file that nobody else appends to; a new one is in its folder when this returns.
fn locked(path: &Path) -> Result<File, RecordError> {
    let failed = |source| RecordError::File { path: path.to_owned(), source };
    let new = !path.exists();
    let file = File::options().read(true).append(true).create(true).open(path).map_err(failed)?;
    if matches!(file.try_lock(), Err(TryLockError::WouldBlock)) {
        return Err(RecordError::Busy { path: path.to_owned() });
    }
    if new {
        sync_folder(path).map_err(failed)?;
    }
    Ok(file)
}

/// Waits until the name of a new file is on the disk, in its folder.
fn sync_folder(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

#[cfg(unix)]
fn is_same(one: &Metadata, other: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

/// Elsewhere an open file is not replaced.
#[cfg(not(unix))]
fn is_same(_: &Metadata, _: &Metadata) -> bool {
    true
}

/// How many bytes are whole lines.
fn whole(file: &mut File) -> io::Result<u64> {
    file.seek(SeekFrom::Start(0))?;
    let (mut lines, mut line, mut whole) = (BufReader::new(file), Vec::new(), 0);
    while lines.read_until(b'\n', &mut line)? > 0 {
        if line.ends_with(b"\n") {
            whole += line.len() as u64;
        }
        line.clear();
    }
    Ok(whole)
}
