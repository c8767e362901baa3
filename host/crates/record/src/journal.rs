//! Appends records.

use crate::{
    Body, Header, RecordError, Wrong,
    body::ChainPosition,
    chain::{has_signature, is_record, is_this_keys, read, written},
    file::{Open, Room},
};
use inferenceguard_bundle::{SignatureError, SigningKey, VerifyingKey};
use inferenceguard_model::lock;
use inferenceguard_search::Output;
use std::{
    ffi::OsString,
    fs::{self, File},
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    sync::{
        Mutex, MutexGuard, TryLockError,
        atomic::{AtomicBool, Ordering},
    },
};

/// A file of records, open at its end. Threads may share it.
///
/// Before each record it looks whether the file is still the one it left: in its place, and as long as it was. If the file was
/// emptied, or is gone, records go on in a new chain of their own; if it was changed in any other way, nothing is appended.
pub struct Journal {
    path: PathBuf,
    bodies: bool,
    key: Option<SigningKey>,
    open: Mutex<Open>,
    /// Whether the last record could not be written.
    failing: AtomicBool,
    /// Whether the last record that was there is signed.
    signed: bool,
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journal").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Journal {
    /// Opens a file, or makes it. Every record that is there is checked; a torn last line is cut off, and the log says so. With
    /// `bodies` set to false only headers are kept: no text, and nothing to replay.
    ///
    /// # Errors
    /// [`RecordError::Line`] if the chain is broken, [`RecordError::Busy`], [`RecordError::File`].
    pub fn open(path: &Path, bodies: bool) -> Result<Self, RecordError> {
        let (open, signed) = Open::at(path)?;
        let (path, open, failing) = (path.to_owned(), Mutex::new(open), AtomicBool::new(false));
        Ok(Self { path, bodies, key: None, open, failing, signed })
    }

    /// Opens a file; one whose records do not verify is renamed first, whole, and a new file begins in its place. What was
    /// wrong and the name it has now are given back. A file that holds no record at all is somebody else's and is left alone.
    ///
    /// # Errors
    /// As [`Journal::open`].
    pub fn open_or_set_aside(path: &Path, bodies: bool) -> Result<(Self, Option<(RecordError, PathBuf)>), RecordError> {
        match Self::open(path, bodies) {
            Err(damaged @ RecordError::Line { .. }) if holds_records(path) => {
                let failed = |source| RecordError::File { path: path.to_owned(), source };
                let aside = free_name(path);
                fs::rename(path, &aside).map_err(failed)?;
                Ok((Self::open(path, bodies)?, Some((damaged, aside))))
            }
            opened => Ok((opened?, None)),
        }
    }

    /// Whether this key may sign what follows in a file: it signed every record that says it is signed, also where records do
    /// not verify, and every record of a file that verifies. Nothing is changed, not even a torn last line. A file that is not
    /// there holds nothing.
    ///
    /// # Errors
    /// [`RecordError::Line`] at the first record that is not this key's, [`RecordError::File`].
    pub fn check_key(path: &Path, key: &SigningKey) -> Result<(), RecordError> {
        if !path.exists() {
            return Ok(());
        }
        let public = public(path, key)?;
        match Self::check_all(path, &public) {
            // What does not verify is set aside, or is an error later.
            Err(RecordError::Line { wrong, .. }) if !matches!(wrong, Wrong::Unsigned(_)) => check_lines(path, &public),
            // The last line is left out there, and a whole record may stand in it.
            Ok(()) if is_torn(path)? => check_lines(path, &public),
            checked => checked,
        }
    }

    /// The first record of a file that this key did not sign; where the chain is broken, that is the error.
    fn check_all(path: &Path, public: &VerifyingKey) -> Result<(), RecordError> {
        let mut first = None;
        for (at, line) in read(path)?.enumerate() {
            if let Err(wrong) = line?.signed_by(public) {
                first.get_or_insert(RecordError::Line { path: path.to_owned(), line: at + 1, wrong });
            }
        }
        first.map_or(Ok(()), Err)
    }

    /// Whether the records that were there are signed: one without a signature would spoil them.
    #[must_use]
    pub fn is_signed(&self) -> bool {
        self.signed
    }

    /// This journal, which signs every record that it appends. A signature speaks for all records before it, so those that are
    /// there must be this key's: a new key begins a new file.
    ///
    /// # Errors
    /// [`RecordError::Line`] at a record that is not, [`RecordError::File`].
    pub fn signing(self, key: SigningKey) -> Result<Self, RecordError> {
        Self::check_all(&self.path, &public(&self.path, &key)?)?;
        Ok(Self { key: Some(key), ..self })
    }

    /// Appends the record of an output and waits until it is on the disk. What a failed write left is cut off again.
    ///
    /// # Errors
    /// [`RecordError::NotRecorded`]; [`RecordError::Changed`], [`RecordError::Busy`] or [`RecordError::File`] if the record is
    /// not in the file.
    pub fn append(&self, output: &Output) -> Result<Header, RecordError> {
        let failed = |source| RecordError::File { path: self.path.clone(), source };
        let body = Body::of(output)?.pack().map_err(failed)?;
        let mut open = self.lock();
        let appended = self.put(&mut open, output, &body);
        self.failing.store(appended.is_err(), Ordering::Relaxed);
        appended
    }

    fn put(&self, open: &mut Open, output: &Output, body: &[u8]) -> Result<Header, RecordError> {
        let failed = |source| RecordError::File { path: self.path.clone(), source };
        // The second time where the file was emptied between the look at it and the write.
        for _ in 0..2 {
            open.find(&self.path)?;
            let position = ChainPosition { sequence: open.next, previous: open.previous.clone() };
            let header = Header::of(output, position, body);
            let (hash, line) = written(&header, self.bodies.then_some(body), self.key.as_ref()).map_err(failed)?;
            if open.write(&line).map_err(failed)? == Room::AtItsEnd {
                (open.next, open.previous) = (open.next + 1, hash);
                return Ok(header);
            }
        }
        Err(open.changed(&self.path))
    }

    /// Whether a record could be written now. After a record that could not be, it tries whether there is room for one as
    /// long; nothing of that stays in the file.
    ///
    /// # Errors
    /// Why not, as [`Journal::append`]; [`RecordError::Unwritable`] while another record is being written and the last one
    /// was not.
    pub fn check(&self) -> Result<(), RecordError> {
        let mut open = match self.open.try_lock() {
            Ok(open) => open,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) if self.failing.load(Ordering::Relaxed) => {
                return Err(RecordError::Unwritable { path: self.path.clone() });
            }
            Err(TryLockError::WouldBlock) => return Ok(()),
        };
        open.find(&self.path)?;
        open.try_room().map_err(|source| RecordError::File { path: self.path.clone(), source })?;
        self.failing.store(false, Ordering::Relaxed);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        lock(&self.open)
    }
}

fn public(path: &Path, key: &SigningKey) -> Result<VerifyingKey, RecordError> {
    let damaged = |error: SignatureError| io::Error::other(error.to_string());
    key.public().map_err(|error| RecordError::File { path: path.to_owned(), source: damaged(error) })
}

/// Checks that every line that says it is signed is this key's, whatever else is wrong with the file.
fn check_lines(path: &Path, public: &VerifyingKey) -> Result<(), RecordError> {
    let failed = |source| RecordError::File { path: path.to_owned(), source };
    let file = BufReader::new(File::open(path).map_err(failed)?);
    for (at, line) in file.split(b'\n').enumerate() {
        let wrong = |wrong| RecordError::Line { path: path.to_owned(), line: at + 1, wrong };
        let line = String::from_utf8_lossy(&line.map_err(failed)?).into_owned();
        is_this_keys(line.trim_start_matches('\0'), public).map_err(wrong)?;
    }
    Ok(())
}

/// Whether a file ends without a line break: what stands after the last one was never acknowledged, and [`read`] leaves it out.
///
/// # Errors
/// [`RecordError::File`].
pub fn is_torn(path: &Path) -> Result<bool, RecordError> {
    let last = || -> io::Result<u8> {
        let (mut file, mut last) = (File::open(path)?, [b'\n']);
        if file.seek(SeekFrom::End(0))? > 0 {
            file.seek(SeekFrom::End(-1))?;
            file.read_exact(&mut last)?;
        }
        Ok(last[0])
    };
    let last = last().map_err(|source| RecordError::File { path: path.to_owned(), source })?;
    Ok(last != b'\n')
}

/// Whether any line of a file is a record.
fn holds_records(path: &Path) -> bool {
    any_line(path, is_record)
}

/// Whether any line of a file is signed, though its records may not verify: records without a signature must not follow them, nor
/// take their place.
#[must_use]
pub fn holds_signatures(path: &Path) -> bool {
    any_line(path, has_signature)
}

fn any_line(path: &Path, is_it: impl Fn(&str) -> bool) -> bool {
    let Ok(file) = File::open(path) else { return false };
    let lines = BufReader::new(file).split(b'\n').map_while(Result::ok);
    // A file that was emptied below an older program begins with zeros.
    lines.filter_map(|line| String::from_utf8(line).ok()).any(|line| is_it(line.trim_start_matches('\0')))
}

/// A name beside this path that no file has.
fn free_name(path: &Path) -> PathBuf {
    let name = |number: u32| {
        let mut name = OsString::from(path);
        name.push(format!(".damaged-{number}"));
        PathBuf::from(name)
    };
    (1..u32::MAX).map(name).find(|name| name.symlink_metadata().is_err()).unwrap_or_else(|| name(u32::MAX))
}
