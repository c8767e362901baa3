//! The answers of a run, each written at once, so that a run that was stopped can continue.
//!
//! `run.json` holds the [`Settings`] and the [`Origin`]; `answers.jsonl` one answer per line, written whole before the
//! next prompt is asked. A line that was cut short by a kill or a full disk is dropped when the run continues.

use crate::{EvalError, Graded, Origin, Settings};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{
    collections::HashSet,
    fs::{self, File, TryLockError},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

/// The key of an answer: model, row, seed, prompt.
type Key = (String, String, u64, usize);

/// Where answers are written, and the answers so far.
pub struct Journal {
    path: PathBuf,
    sink: Option<Box<dyn Write + Send>>,
    done: HashSet<Key>,
    answers: Vec<Graded>,
    origin: Origin,
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journal")
            .field("path", &self.path)
            .field("answers", &self.answers.len())
            .finish_non_exhaustive()
    }
}

/// `run.json`.
#[derive(Serialize, Deserialize)]
struct RunFile {
    settings: Settings,
    origin: Origin,
}

impl Journal {
    /// The file of the settings.
    pub const RUN: &'static str = "run.json";
    /// The file of the answers.
    pub const ANSWERS: &'static str = "answers.jsonl";

    /// A journal in memory only.
    #[must_use]
    pub fn memory(origin: Origin) -> Self {
        Self { path: PathBuf::new(), sink: None, done: HashSet::new(), answers: Vec::new(), origin }
    }

    /// Begins a run in `folder`, or continues the run that is there.
    ///
    /// # Errors
    /// [`EvalError::OtherSettings`] if it is another run, [`EvalError::Busy`] if another process writes there,
    /// [`EvalError::Damaged`], [`EvalError::Read`], [`EvalError::Write`].
    pub fn open(folder: &Path, settings: &Settings, origin: Origin) -> Result<Self, EvalError> {
        fs::create_dir_all(folder).map_err(unwritable(folder))?;
        let path = folder.join(Self::ANSWERS);
        let mut file = open(&path)?;
        let origin = agree(folder, settings, origin)?;
        let answers: Vec<Graded> = recover(&mut file, &path)?;
        let mut journal = Self { path, sink: Some(Box::new(file)), done: HashSet::new(), answers: Vec::new(), origin };
        for (at, graded) in answers.into_iter().enumerate() {
            journal.refuse_second(at + 1, &graded)?;
            journal.keep(graded);
        }
        Ok(journal)
    }

    /// Whether the journal has this answer.
    #[must_use]
    pub fn has(&self, model: &str, row: &str, seed: u64, prompt: usize) -> bool {
        self.done.contains(&(model.to_owned(), row.to_owned(), seed, prompt))
    }

    /// Writes an answer whole, and keeps it in memory.
    ///
    /// # Errors
    /// [`EvalError::Write`]; the other answers are kept.
    pub fn append(&mut self, graded: Graded) -> Result<(), EvalError> {
        let mut line = serde_json::to_vec(&graded)?;
        line.push(b'\n');
        if let Some(sink) = &mut self.sink {
            sink.write_all(&line).and_then(|()| sink.flush()).map_err(unwritable(&self.path))?;
        }
        self.keep(graded);
        Ok(())
    }

    /// The answers, in the order they came.
    #[must_use]
    pub fn answers(&self) -> &[Graded] {
        &self.answers
    }

    /// The same, to take opinions.
    pub(crate) fn answers_mut(&mut self) -> &mut [Graded] {
        &mut self.answers
    }

    /// The program and command of the answers, earlier runs included.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Refuses a line with an answer that is there already: it would count twice in every figure.
    fn refuse_second(&self, line: usize, graded: &Graded) -> Result<(), EvalError> {
        let Graded { model, row, seed, prompt_id, .. } = graded;
        if !self.has(model, row, *seed, *prompt_id) {
            return Ok(());
        }
        let problem = format!("{row} of {model} answers prompt {prompt_id} with seed {seed} a second time");
        Err(EvalError::Damaged { path: self.path.clone(), line, problem })
    }

    fn keep(&mut self, graded: Graded) {
        self.done.insert((graded.model.clone(), graded.row.clone(), graded.seed, graded.prompt_id));
        self.answers.push(graded);
    }
}

pub(crate) fn unwritable(path: &Path) -> impl FnOnce(io::Error) -> EvalError {
    let path = path.to_owned();
    move |source| EvalError::Write { path, source }
}

/// Opens a file for one process at a time.
pub(crate) fn open(path: &Path) -> Result<File, EvalError> {
    let file = File::options().read(true).write(true).create(true).truncate(false).open(path);
    let file = file.map_err(unwritable(path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(EvalError::Busy { path: path.to_owned() }),
        // A file system without locks does not prevent a run.
        Err(TryLockError::Error(_)) => Ok(file),
    }
}

/// Writes `run.json`, or compares with the file that is there.
fn agree(folder: &Path, settings: &Settings, mut origin: Origin) -> Result<Origin, EvalError> {
    let path = folder.join(Journal::RUN);
    if path.exists() {
        let text = fs::read_to_string(&path).map_err(|source| EvalError::Read { path: path.clone(), source })?;
        let before: RunFile = serde_json::from_str(&text).map_err(|error| damaged(&path, error.line(), &error))?;
        if let Some((what, found, expected)) = before.settings.difference(settings)? {
            return Err(EvalError::OtherSettings { path, what, found, expected });
        }
        let new = origin.commits.iter().filter(|commit| !before.origin.commits.contains(commit)).cloned();
        origin.commits = before.origin.commits.iter().cloned().chain(new).collect();
    }
    let run = RunFile { settings: settings.clone(), origin };
    write_whole(&path, &serde_json::to_vec_pretty(&run)?)?;
    Ok(run.origin)
}

/// Reads the lines of a file, and cuts it after the last whole one.
pub(crate) fn recover<T: DeserializeOwned>(file: &mut File, path: &Path) -> Result<Vec<T>, EvalError> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(|source| EvalError::Read { path: path.to_owned(), source })?;
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let lines = bytes[..whole].split(|byte| *byte == b'\n').enumerate().filter(|(_, line)| !line.is_empty());
    let parsed =
        |(at, line): (usize, &[u8])| serde_json::from_slice(line).map_err(|error| damaged(path, at + 1, &error));
    let found = lines.map(parsed).collect::<Result<Vec<T>, _>>()?;
    file.set_len(whole as u64).and_then(|()| file.seek(SeekFrom::End(0))).map_err(unwritable(path))?;
    Ok(found)
}

fn damaged(path: &Path, line: usize, error: &serde_json::Error) -> EvalError {
    EvalError::Damaged { path: path.to_owned(), line, problem: error.to_string() }
}

/// Writes a file whole or not at all.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), EvalError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let write = || -> io::Result<()> {
        let mut builder = tempfile::Builder::new();
        // Temporary files belong to their owner only; results get the usual rights.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let mut file = builder.tempfile_in(folder)?;
        file.write_all(bytes)?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    };
    write().map_err(unwritable(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Answer, Intent};
    use std::sync::{Arc, Mutex};

    /// A disk with so much room; what does not fit is refused, after a part of it was written.
    struct Disk {
        room: usize,
        written: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let fits = bytes.len().min(self.room);
            if fits == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.room -= fits;
            self.written.lock().unwrap().extend(&bytes[..fits]);
            Ok(fits)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn graded(prompt_id: usize) -> Graded {
        Graded {
            model: "m".into(),
            row: "r".into(),
            method: "r".into(),
            budget: 1.0,
            seed: 0,
            prompt_id,
            prompt: "p".into(),
            intent: Intent::Unknown,
            topic: None,
            group: None,
            answer: Answer::failure("none".into()),
            priced_again: None,
            end_cost: None,
            emitted_reward: None,
            verdict: None,
            opinions: Vec::new(),
        }
    }

    #[test]
    fn a_full_disk_is_reported_and_loses_no_earlier_answer() {
        let line = serde_json::to_vec(&graded(0)).unwrap().len() + 1;
        let written = Arc::new(Mutex::new(Vec::new()));
        let disk = Disk { room: 2 * line + line / 2, written: Arc::clone(&written) };
        let mut journal = Journal {
            sink: Some(Box::new(disk)),
            path: "out/answers.jsonl".into(),
            ..Journal::memory(Origin::default())
        };
        journal.append(graded(0)).unwrap();
        journal.append(graded(1)).unwrap();
        let refused = journal.append(graded(2)).unwrap_err();
        assert!(refused.to_string().contains("out/answers.jsonl: cannot be written"), "{refused}");
        assert!(refused.to_string().contains("what was answered before is kept"), "{refused}");
        assert!(journal.has("m", "r", 0, 1) && !journal.has("m", "r", 0, 2));
        // What such a disk holds is taken up again, without the torn line.
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&written.lock().unwrap()).unwrap();
        file.rewind().unwrap();
        let answers: Vec<Graded> = recover(&mut file, Path::new("answers.jsonl")).unwrap();
        assert_eq!(answers, [graded(0), graded(1)]);
        assert_eq!(file.metadata().unwrap().len(), 2 * line as u64);
    }
}
