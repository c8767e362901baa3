//! The records of a file, and the models that they name.

use crate::ReplayError;
use inferenceguard_record::{Body, Header, RecordError, read};
use std::path::Path;

/// The records of a file that have a body, in order; `skipped` counts the others.
///
/// # Errors
/// When the file cannot be read; an item is an error where the chain breaks.
pub fn bodies<'a>(
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

/// Shows the record of this number, or every record, as far as it has a body.
///
/// # Errors
/// [`ReplayError::NotShown`] if no such record has a body; a file that cannot be read, or whose chain breaks; what `show` returns.
pub fn show<E: From<ReplayError>>(
    path: &Path,
    number: Option<u64>,
    show: &mut dyn FnMut(&Header, &Body) -> Result<(), E>,
) -> Result<(), E> {
    let (mut skipped, mut found, mut shown) = (0, 0, 0);
    for record in bodies(path, &mut skipped).map_err(ReplayError::from)? {
        let (header, body) = record.map_err(ReplayError::from)?;
        found += 1;
        if number.is_none_or(|number| number == header.sequence) {
            shown += 1;
            show(&header, &body)?;
        }
    }
    match shown {
        0 => Err(ReplayError::NotShown { path: path.to_owned(), found, skipped }.into()),
        _ => Ok(()),
    }
}

/// Every model that a header names (`language model NAME`, `score model NAME`), and its fingerprint, without control
/// characters.
pub fn models(header: &Header) -> impl Iterator<Item = (String, String)> + '_ {
    let shown = |text: &str| text.escape_debug().to_string();
    let language = (format!("language model {}", shown(&header.model.name)), shown(&header.model.fingerprint));
    let scores = header.scores.iter().flatten();
    let scores = scores.map(move |(name, one)| (format!("score model {}", shown(name)), shown(&one.fingerprint)));
    std::iter::once(language).chain(scores)
}
