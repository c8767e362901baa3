//! Files of records that answers are appended to.

use crate::{CatalogError, Note, keys::signing_key};
use inferenceguard_bundle::SigningKey;
use inferenceguard_record::{Journal, holds_signatures};
use std::path::Path;

/// What happens to a file whose records do not verify.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damaged {
    /// It is an error.
    Refused,
    /// It is renamed, and a new file takes its place, so that a server starts.
    SetAside,
}

/// Opens the file for the record of one answer, if one is named; the key that signs it is in a file.
///
/// # Errors
/// As [`open`], and a key that cannot be used.
pub fn of_answer(path: Option<&Path>, key: Option<&Path>, note: Note) -> Result<Option<Journal>, CatalogError> {
    let key = key.map(signing_key).transpose()?;
    path.map(|path| open(path, true, key, Damaged::Refused, note)).transpose()
}

/// Opens a file to append to; signs the records if a key is given. `bodies`: whether records hold prompts and answers.
///
/// # Errors
/// [`CatalogError::Record`], and [`CatalogError::UnsignedRecords`] for a signed file without a key. A file that holds records
/// of another key is not touched.
pub fn open(
    path: &Path,
    bodies: bool,
    key: Option<SigningKey>,
    damaged: Damaged,
    note: Note,
) -> Result<Journal, CatalogError> {
    let unsigned = || CatalogError::UnsignedRecords { path: path.to_owned() };
    // Before anything is renamed or cut: damage to a signed file must not lead to an unsigned one.
    if key.is_none() && damaged == Damaged::SetAside && holds_signatures(path) {
        return Err(unsigned());
    }
    key.as_ref().map_or(Ok(()), |key| Journal::check_key(path, key))?;
    let (journal, aside) = match damaged {
        Damaged::Refused => (Journal::open(path, bodies)?, None),
        Damaged::SetAside => Journal::open_or_set_aside(path, bodies)?,
    };
    if let Some((wrong, aside)) = aside {
        note(&format!("error: {wrong}"));
        note(&format!("                it is kept as {}; a new file begins in its place", aside.display()));
    }
    Ok(match key {
        Some(key) => journal.signing(key)?,
        None if journal.is_signed() => return Err(unsigned()),
        None => journal,
    })
}
