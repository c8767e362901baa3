//! Appends records.

use crate::{
    Body, Header, RecordError,
    body::Place,
    chain::{BEGINNING, read, written},
};
use inferenceguard_bundle::{SignatureError, SigningKey};
use inferenceguard_host::Output;
use std::{
    fs::{File, TryLockError},
    io::{self, BufRead, BufReader, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

struct Open {
    file: File,
    /// Bytes that are whole records.
    len: u64,
    next: u64,
    previous: String,
}

/// A file of records, open at its end. Threads may share it.
pub struct Journal {
    path: PathBuf,
    bodies: bool,
    key: Option<SigningKey>,
    open: Mutex<Open>,
    /// Whether the last record that was there is signed.
    signed: bool,
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journal").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Journal {
    /// Opens a file, or makes it. Every record that is there is checked; a torn last line is cut off. With `bodies` set
    /// to false only headers are kept: no text, and nothing to replay.
    ///
    /// # Errors
    /// [`RecordError::Line`] if the chain is broken, [`RecordError::Busy`], [`RecordError::File`].
    pub fn open(path: &Path, bodies: bool) -> Result<Self, RecordError> {
        let failed = |source| RecordError::File { path: path.to_owned(), source };
        let mut file =
            File::options().read(true).write(true).create(true).truncate(false).open(path).map_err(failed)?;
        if matches!(file.try_lock(), Err(TryLockError::WouldBlock)) {
            return Err(RecordError::Busy { path: path.to_owned() });
        }
        let (mut next, mut previous, mut signed) = (1, BEGINNING.to_owned(), false);
        for line in read(path)? {
            let line = line?;
            (next, previous, signed) = (line.header.sequence + 1, line.hash, line.signature.is_some());
        }
        let len = whole(&mut file).map_err(failed)?;
        file.set_len(len).and_then(|()| file.seek(SeekFrom::Start(len))).map_err(failed)?;
        let open = Mutex::new(Open { file, len, next, previous });
        Ok(Self { path: path.to_owned(), bodies, key: None, open, signed })
    }

    /// Whether the records that were there are signed: one without a signature would spoil them.
    #[must_use]
    pub fn is_signed(&self) -> bool {
        self.signed
    }

    /// The same, and signs every record that it appends. A signature speaks for all records before it, so those that are there
    /// must be this key's: a new key begins a new file.
    ///
    /// # Errors
    /// [`RecordError::Line`] at a record that is not, [`RecordError::File`].
    pub fn signing(self, key: SigningKey) -> Result<Self, RecordError> {
        let damaged = |error: SignatureError| io::Error::other(error.to_string());
        let public = key.public().map_err(|e| RecordError::File { path: self.path.clone(), source: damaged(e) })?;
        for (at, line) in read(&self.path)?.enumerate() {
            let wrong = |wrong| RecordError::Line { path: self.path.clone(), line: at + 1, wrong };
            line?.signed_by(&public).map_err(wrong)?;
        }
        Ok(Self { key: Some(key), ..self })
    }

    /// Appends the record of an output and waits until it is on the disk. What a failed write left is cut off again.
    ///
    /// # Errors
    /// [`RecordError::NotRecorded`], [`RecordError::File`].
    pub fn append(&self, output: &Output) -> Result<Header, RecordError> {
        let failed = |source| RecordError::File { path: self.path.clone(), source };
        let body = Body::of(output)?.pack().map_err(failed)?;
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let place = Place { sequence: open.next, previous: open.previous.clone() };
        let header = Header::of(output, place, &body);
        let kept = self.bodies.then_some(body.as_slice());
        let (hash, line) = written(&header, kept, self.key.as_ref()).map_err(failed)?;
        let done = open.file.write_all(&line).and_then(|()| open.file.sync_data());
        if let Err(source) = done {
            let len = open.len;
            // If not even this works, the next opening cuts it off.
            let _ = open.file.set_len(len).and_then(|()| open.file.seek(SeekFrom::Start(len)).map(drop));
            return Err(failed(source));
        }
        (open.len, open.next, open.previous) = (open.len + line.len() as u64, open.next + 1, hash);
        Ok(header)
    }
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
