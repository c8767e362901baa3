//! Files of labelled answers, gzipped or not.

use super::{
    labelled::{Labels, parse},
    unit::Unit,
};
use crate::error::{CriticError, Result};
use flate2::read::MultiGzDecoder;
use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
    str::FromStr,
};

/// How a gzip file begins.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// A file, and how much each of its answers counts.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    /// JSON lines, gzipped or not.
    pub path: PathBuf,
    /// Above 0.
    pub weight: f64,
}

impl FromStr for Source {
    type Err = CriticError;

    /// `FILE`, or `FILE=WEIGHT`.
    fn from_str(text: &str) -> Result<Self> {
        let Some((path, weight)) = text.rsplit_once('=') else { return Ok(Self { path: text.into(), weight: 1.0 }) };
        match weight.trim().parse() {
            Ok(weight) if weight > 0.0 && f64::is_finite(weight) => Ok(Self { path: path.into(), weight }),
            _ => Err(CriticError::option("data", text, "FILE, or FILE=WEIGHT with a weight above 0")),
        }
    }
}

/// All answers of these files, in order. `asked` is the prompt of texts without one.
///
/// # Errors
/// [`CriticError::File`]; [`CriticError::Line`] with file and line; [`CriticError::TooFew`] for files without an answer.
pub fn read(sources: &[Source], asked: &str) -> Result<Vec<Unit>> {
    read_as(sources, asked, Labels::Harm)
}

/// As [`read`], with labels that say this.
pub(super) fn read_as(sources: &[Source], asked: &str, labels: Labels) -> Result<Vec<Unit>> {
    let mut units = Vec::new();
    for source in sources {
        let text = text(&source.path)?;
        for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let wrong = |found| CriticError::Line { path: source.path.clone(), line: at + 1, found };
            units.extend(parse(line, source.weight, asked, labels).map_err(wrong)?);
        }
    }
    if units.is_empty() {
        Err(CriticError::TooFew { what: "labelled answers", found: 0, expected: 1 })
    } else {
        Ok(units)
    }
}

fn text(path: &Path) -> Result<String> {
    let mut bytes = fs::read(path).map_err(CriticError::file("read", path))?;
    if bytes.starts_with(&GZIP) {
        let mut unpacked = Vec::new();
        MultiGzDecoder::new(bytes.as_slice()).read_to_end(&mut unpacked).map_err(CriticError::file("read", path))?;
        bytes = unpacked;
    }
    String::from_utf8(bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        CriticError::Line { path: path.to_owned(), line, found: "bytes that are no text; expected UTF-8".to_owned() }
    })
}
