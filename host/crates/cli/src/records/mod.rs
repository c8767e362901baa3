//! Records: `verify`, `replay`, `explain`, and what they have in common.

pub(crate) mod args;
mod explain;
mod forget;
mod replay;
mod source;
mod verify;

pub(crate) use explain::explain;
pub(crate) use forget::forget;
pub(crate) use replay::replay;
pub(crate) use source::Source;
pub(crate) use verify::verify;

use inferenceguard_record::{Body, Header, RecordError, read};
use std::path::Path;

/// The records of a file that have a body, in order; those without are counted by `skipped`.
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
