//! Files of records: opened for writing, and read.

use crate::{key_files::signing_key, output};
use anyhow::anyhow;
use inferenceguard_record::{Body, Header, Journal, RecordError, holds_signatures, read};
use std::path::Path;

/// What happens to a file whose records do not verify.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Damaged {
    /// It is an error.
    Refused,
    /// It is renamed, and a new file takes its place, so that a server starts.
    SetAside,
}

/// Opens a file to append to; signs the records if a key is given.
pub(crate) fn open(path: &Path, bodies: bool, key: Option<&Path>, damaged: Damaged) -> anyhow::Result<Journal> {
    let unsigned = || {
        anyhow!(
            "{}: its records are signed, and one without a signature would spoil them; give --record-key, or another file",
            path.display()
        )
    };
    // Before anything is renamed: damage to a signed file must not lead to an unsigned one.
    if key.is_none() && damaged == Damaged::SetAside && holds_signatures(path) {
        return Err(unsigned());
    }
    let (journal, aside) = match damaged {
        Damaged::Refused => (Journal::open(path, bodies)?, None),
        Damaged::SetAside => Journal::open_or_set_aside(path, bodies)?,
    };
    if let Some((wrong, aside)) = aside {
        output::note(format_args!("error: {wrong}"));
        output::note(format_args!("                it is kept as {}; a new file begins in its place", aside.display()));
    }
    Ok(match key {
        Some(key) => journal.signing(signing_key(key)?)?,
        None if journal.is_signed() => return Err(unsigned()),
        None => journal,
    })
}

/// The records of a file that have a body, in order; `skipped` counts the others.
pub(crate) fn bodies<'a>(
    path: &'a Path,
    skipped: &'a mut u64,
) -> Result<impl Iterator<Item = Result<(Header, Body), RecordError>> + 'a, RecordError> {
    Ok(read(path)?.filter_map(|line| match line {
        Ok(line) => {
            let header = line.header;
            *skipped += u64::from(line.body.is_none());
            line.body.map(|body| Ok((header, body)))
        }
        Err(error) => Some(Err(error)),
    }))
}

/// Every model that a header names, and its fingerprint, without control characters.
pub(crate) fn models(header: &Header) -> impl Iterator<Item = (String, String)> + '_ {
    let shown = |text: &str| text.escape_debug().to_string();
    let language = (format!("language model {}", shown(&header.model.name)), shown(&header.model.fingerprint));
    let scores = header.scores.iter().flatten();
    let scores = scores.map(move |(name, one)| (format!("score model {}", shown(name)), shown(&one.fingerprint)));
    std::iter::once(language).chain(scores)
}
