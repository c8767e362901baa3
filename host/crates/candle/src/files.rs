//! The files of a model, in a folder or in memory (a program that carries its model).

use crate::{
    CandleError, split_names,
    stored::{Content, digest},
};
use inferenceguard_model::lock;
use memmap2::Mmap;
use serde_json::Value;
use std::{
    borrow::Cow,
    collections::BTreeMap,
    fs::File,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard},
};

/// Weights as safetensors: one file, or an index of several.
pub(crate) const SAFETENSORS: [&str; 2] = ["model.safetensors", "model.safetensors.index.json"];
/// Weights as GGUF.
const GGUF: &str = "model.gguf";

/// The files of one model, named as in a Hugging Face folder.
#[derive(Debug, Clone)]
pub struct ModelFiles {
    /// The folder; of files in memory only a name, for messages.
    folder: PathBuf,
    /// The weights, if a GGUF file was named instead of a folder.
    gguf: Option<String>,
    memory: Option<BTreeMap<String, Cow<'static, [u8]>>>,
    /// The digest of each small file that was read, by name.
    seen: Arc<Mutex<BTreeMap<String, String>>>,
}

impl ModelFiles {
    /// The files of a folder; or a GGUF file (a path that ends in `.gguf`), with the other files of its folder.
    #[must_use]
    pub fn folder(path: &Path) -> Self {
        let gguf = path.file_name().map(|name| name.to_string_lossy().into_owned());
        match gguf.filter(|name| is_gguf(name) && !path.is_dir()) {
            None => Self { folder: path.to_owned(), gguf: None, memory: None, seen: Arc::default() },
            gguf => Self {
                folder: path.parent().unwrap_or(Path::new("")).to_owned(),
                gguf,
                memory: None,
                seen: Arc::default(),
            },
        }
    }

    /// Files in memory, by name. `name` stands for the folder in messages, and names the model unless the options do.
    #[must_use]
    pub fn memory(name: &str, files: BTreeMap<String, Cow<'static, [u8]>>) -> Self {
        Self { folder: name.into(), gguf: None, memory: Some(files), seen: Arc::default() }
    }

    /// The names of all files of the GGUF model that the file of this name belongs to: more than one where the name says
    /// `-00001-of-00003`.
    #[must_use]
    pub fn parts(name: &str) -> Vec<String> {
        split_names::all(name)
    }

    /// The folder, or what stands for it.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.folder
    }

    /// The GGUF file that the caller named instead of a folder, if it is one.
    #[must_use]
    pub fn named_gguf(&self) -> Option<&str> {
        self.gguf.as_deref()
    }

    /// The default name of the model: the name of the folder, or of the GGUF file that the caller gave.
    #[must_use]
    pub fn name(&self) -> Option<String> {
        let named = self.gguf.as_ref().map(|name| Path::new(name).file_stem());
        named.unwrap_or(self.folder.file_name()).map(|name| name.to_string_lossy().into_owned())
    }

    /// The GGUF file with the weights: the file that the caller gave, or model.gguf, or the only GGUF file. `None` if there are
    /// safetensors or no GGUF file.
    pub(crate) fn gguf(&self) -> Result<Option<String>, CandleError> {
        let safetensors = || SAFETENSORS.iter().any(|name| self.has(name));
        if self.gguf.is_some() || safetensors() {
            return Ok(self.gguf.clone());
        }
        // The files of a split model count as one.
        let names = self.names().into_iter().filter(|name| is_gguf(name));
        let mut found: Vec<String> = names.map(|name| split_names::first(&name)).collect();
        found.sort_unstable();
        found.dedup();
        match found.iter().position(|name| name == GGUF) {
            Some(i) => Ok(Some(found.swap_remove(i))),
            None if found.len() > 1 => {
                Err(CandleError::ManyGguf { folder: self.folder.clone(), found: found.join(", ") })
            }
            None => Ok(found.pop()),
        }
    }

    /// The bytes of a file; 0 if it is not there.
    pub(crate) fn size(&self, name: &str) -> u64 {
        match &self.memory {
            Some(files) => files.get(name).map_or(0, |bytes| bytes.len() as u64),
            None => std::fs::metadata(self.folder.join(name)).map_or(0, |file| file.len()),
        }
    }

    /// The names of all files; none where the folder cannot be read.
    pub(crate) fn names(&self) -> Vec<String> {
        if let Some(files) = &self.memory {
            return files.keys().cloned().collect();
        }
        let entries = std::fs::read_dir(&self.folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        match &self.memory {
            Some(files) => files.contains_key(name),
            None => self.folder.join(name).is_file(),
        }
    }

    /// The same files, of which none was read yet.
    pub(crate) fn unread(&self) -> Self {
        Self { seen: Arc::default(), ..self.clone() }
    }

    /// The digests of the small files that were read, by name. Whatever a model takes from a file is among them.
    pub(crate) fn digests(&self) -> BTreeMap<String, String> {
        self.lock().clone()
    }

    /// A small file, whole; `what` says what it is for when it is missing.
    pub(crate) fn read(&self, name: &str, what: &'static str) -> Result<Cow<'static, [u8]>, CandleError> {
        let path = self.folder.join(name);
        if !self.has(name) {
            return Err(CandleError::MissingFile { path, what });
        }
        let bytes = match self.memory.as_ref().and_then(|files| files.get(name)) {
            Some(bytes) => bytes.clone(),
            None => std::fs::read(&path).map(Cow::Owned).map_err(|source| CandleError::Read { path, source })?,
        };
        self.lock().insert(name.to_owned(), digest(&bytes));
        Ok(bytes)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        lock(&self.seen)
    }

    /// A JSON file.
    pub(crate) fn json(&self, name: &str, what: &'static str) -> Result<Value, CandleError> {
        let bytes = self.read(name, what)?;
        serde_json::from_slice(&bytes).map_err(|source| CandleError::Json { path: self.folder.join(name), source })
    }

    /// A weights file: mapped, or as it lies in memory.
    pub(crate) fn open(&self, name: &str) -> Result<Content, CandleError> {
        match self.memory.as_ref().and_then(|files| files.get(name)) {
            Some(bytes) => Ok(Content::Memory(bytes.clone())),
            None => map_file(&self.folder.join(name)).map(Content::Mapped),
        }
    }
}

fn is_gguf(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|end| end.eq_ignore_ascii_case("gguf"))
}

fn map_file(path: &Path) -> Result<Mmap, CandleError> {
    let failed = |source| CandleError::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(failed)?;
    #[expect(unsafe_code, reason = "weights are mapped, not copied; model files must not be changed while in use")]
    let map = unsafe { Mmap::map(&file) };
    map.map_err(failed)
}
