//! Files that exist whole or not at all, and what they were made with.
//!
//! Each file carries its [`Setting`], and a file that was made with another setting is refused.

use super::error::{CriticError, Result};
use sha2::{Digest, Sha256};
use std::{
    collections::{BTreeMap, HashMap},
    fs,
    io::Write,
    path::Path,
};

/// Writes a file beside its place and moves it there.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let write = || -> std::io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    };
    write().map_err(CriticError::file("write", path))
}

/// The bytes of a file, if it is there.
pub(super) fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(CriticError::file("read", path)(error)),
    }
}

/// Makes a folder and those above it.
pub(super) fn folder(path: &Path) -> Result<()> {
    fs::create_dir_all(path).map_err(CriticError::file("make", path))
}

/// The one setting of which a file may hold more than is asked for: a list of latents.
pub(super) const LATENTS: &str = "latents";

/// Settings that are written only where they are on, and their values where they are off: older files do not name them.
pub(super) const OFF: [(&str, &str); 2] = [("min-p", "0"), ("repetition-penalty", "1")];

/// Names and values of everything that a file's content follows from, written as its metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Setting(BTreeMap<String, String>);

impl Setting {
    pub(super) fn new<'a>(entries: impl IntoIterator<Item = (&'a str, String)>) -> Self {
        Self(entries.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    /// As metadata of a file.
    pub(super) fn metadata(&self) -> HashMap<String, String> {
        self.0.clone().into_iter().collect()
    }

    /// Refuses the file at `path`, which carries `found`, if it was made with anything else.
    pub(super) fn check(&self, path: &Path, found: Option<&HashMap<String, String>>) -> Result<()> {
        let there = |name: &str| found.and_then(|found| found.get(name));
        let here = self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let off = OFF.iter().filter(|(name, _)| !self.0.contains_key(*name) && there(name).is_some()).copied();
        let Some((name, expected)) = here.chain(off).find(|(name, value)| !fits(name, there(name), value)) else {
            return Ok(());
        };
        let (name, expected) = (name.to_owned(), expected.to_owned());
        let found = there(&name).map_or("nothing", String::as_str).to_owned();
        Err(CriticError::OtherSetting { path: path.to_owned(), name, found, expected })
    }

    /// A digest of it, in hexadecimal digits.
    pub(super) fn digest(&self) -> String {
        hex(Sha256::new_with_prefix(format!("{:?}", self.0)))
    }
}

fn fits(name: &str, there: Option<&String>, here: &str) -> bool {
    match there {
        Some(there) if name == LATENTS => {
            here.split(',').filter(|one| !one.is_empty()).all(|one| there.split(',').any(|other| other == one))
        }
        there => there.is_some_and(|there| there == here),
    }
}

pub(super) fn hex(hash: Sha256) -> String {
    hex::encode(hash.finalize())
}
