//! Lines of a file, and the chain that holds them together.

use crate::{
    Body, Header, RecordError, Wrong,
    body::{decode, digest, encode},
};
use inferenceguard_bundle::{SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize, de::IgnoredAny};
use serde_json::value::RawValue;
use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufRead, BufReader},
    path::Path,
};

/// What the first record follows.
pub(crate) const BEGINNING: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// One line of a file, its hash checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// The hash of its header.
    pub hash: String,
    /// Its header.
    pub header: Header,
    /// Its body; nothing if it was removed.
    pub body: Option<Body>,
    /// The text of a minisign signature of the hash, if it was signed.
    pub signature: Option<String>,
}

/// As it is written. The header is kept as its bytes, which are what is hashed.
#[derive(Serialize, Deserialize)]
pub(crate) struct Written<'a> {
    hash: String,
    #[serde(borrow)]
    header: &'a RawValue,
    pub(crate) body: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signature: Option<String>,
}

/// Whether a line is a record, of whatever chain.
pub(crate) fn is_record(text: &str) -> bool {
    let written = serde_json::from_str::<Written<'_>>(text);
    written.is_ok_and(|written| digest(written.header.get().as_bytes()) == written.hash)
}

/// Whether a line says that it is signed, whatever else is wrong with it.
pub(crate) fn has_signature(text: &str) -> bool {
    serde_json::from_str::<Written<'_>>(text).is_ok_and(|written| written.signature.is_some())
}

/// Checks that a line that says it is signed is signed by this key, whatever else is wrong with it.
///
/// # Errors
/// [`Wrong::Unsigned`].
pub(crate) fn is_this_keys(text: &str, key: &VerifyingKey) -> Result<(), Wrong> {
    let Ok(Written { hash, signature: Some(signature), .. }) = serde_json::from_str::<Written<'_>>(text) else {
        return Ok(());
    };
    match key.vouches_for(&hash, &signature) {
        true => Ok(()),
        false => Err(Wrong::Unsigned("its signature is not this key's")),
    }
}

/// The hash of a record and its text, with its line break.
pub(crate) fn written(
    header: &Header,
    body: Option<&[u8]>,
    key: Option<&SigningKey>,
) -> Result<(String, Vec<u8>), io::Error> {
    let header = serde_json::to_string(header)?;
    let hash = digest(header.as_bytes());
    let raw = RawValue::from_string(header)?;
    let signature = key.map(|key| key.sign_text(&hash, "record")).transpose().map_err(io::Error::other)?;
    let mut line =
        serde_json::to_vec(&Written { hash: hash.clone(), header: &raw, body: body.map(encode), signature })?;
    line.push(b'\n');
    Ok((hash, line))
}

/// The keys of a line.
const KEYS: [&str; 4] = ["hash", "header", "body", "signature"];

/// Refuses a key that no hash covers: a reader might believe it.
fn no_other_key(text: &str) -> Result<(), Wrong> {
    let keys: BTreeMap<String, IgnoredAny> =
        serde_json::from_str(text).map_err(|error| Wrong::Unreadable(error.to_string()))?;
    let other = keys.into_keys().find(|key| !KEYS.contains(&key.as_str()));
    other.map_or(Ok(()), |key| Err(Wrong::Unreadable(format!("unknown field `{}`", key.escape_debug()))))
}

/// The version of a header's format, read before the rest, whose meaning depends on it.
#[derive(Deserialize)]
struct HeaderFormat {
    format: u32,
}

/// The header in this text. What a later version of the format adds is not known here, and neither is another key.
fn header(text: &str) -> Result<Header, Wrong> {
    let unreadable = |error: serde_json::Error| Wrong::Unreadable(error.to_string());
    let HeaderFormat { format } = serde_json::from_str(text).map_err(unreadable)?;
    if !(1..=Header::FORMAT).contains(&format) {
        let expected = format!("expected 1 to {}, which this program knows: read it with a newer one", Header::FORMAT);
        return Err(Wrong::Unreadable(format!("found the format {format}; {expected}")));
    }
    serde_json::from_str(text).map_err(unreadable)
}

impl Line {
    /// Reads one line that follows `previous`.
    pub(crate) fn parse(text: &str, previous: &str) -> Result<Self, Wrong> {
        let unreadable = |error: serde_json::Error| Wrong::Unreadable(error.to_string());
        let written: Written<'_> = serde_json::from_str(text).map_err(unreadable)?;
        no_other_key(text)?;
        let found = digest(written.header.get().as_bytes());
        if found != written.hash {
            return Err(Wrong::Hash { found, expected: written.hash });
        }
        let header = header(written.header.get())?;
        if header.previous != previous {
            return Err(Wrong::Chain { found: header.previous, expected: previous.to_owned() });
        }
        let body = written.body.map(|text| opened(&text, &header)).transpose()?;
        Ok(Self { hash: written.hash, header, body, signature: written.signature })
    }

    /// Checks that this key signed it. The hash speaks for the header, the header for the body and for all records before.
    ///
    /// # Errors
    /// [`Wrong::Unsigned`].
    pub fn signed_by(&self, key: &VerifyingKey) -> Result<(), Wrong> {
        let signature = self.signature.as_deref().ok_or(Wrong::Unsigned("it has no signature"))?;
        match key.vouches_for(&self.hash, signature) {
            true => Ok(()),
            false => Err(Wrong::Unsigned("its signature is not this key's")),
        }
    }
}

fn opened(text: &str, header: &Header) -> Result<Body, Wrong> {
    let bytes = decode(text)?;
    let found = digest(&bytes);
    if found != header.body {
        return Err(Wrong::Body { found, expected: header.body.clone() });
    }
    let body = Body::unpack(&bytes)?;
    header.agrees(&body).map(|()| body)
}

/// The records of a file, in order; each is checked against the one before. A last line without its line break was never
/// acknowledged and is left out.
///
/// # Errors
/// [`RecordError::File`]; in the iterator [`RecordError::Line`], after which nothing more comes.
pub fn read(path: &Path) -> Result<impl Iterator<Item = Result<Line, RecordError>>, RecordError> {
    let failed = |source| RecordError::File { path: path.to_owned(), source };
    let mut file = BufReader::new(File::open(path).map_err(failed)?);
    let (path, mut previous, mut number) = (path.to_owned(), BEGINNING.to_owned(), 0);
    let mut broken = false;
    Ok(std::iter::from_fn(move || {
        let mut bytes = Vec::new();
        if broken {
            return None;
        }
        number += 1;
        let line = match file.read_until(b'\n', &mut bytes) {
            Ok(_) if !bytes.ends_with(b"\n") => return None,
            Ok(_) => {
                let text = str::from_utf8(&bytes).map_err(|error| Wrong::Unreadable(error.to_string()));
                let line = text.and_then(|text| Line::parse(text, &previous));
                line.map_err(|wrong| RecordError::Line { path: path.clone(), line: number, wrong })
            }
            Err(source) => Err(RecordError::File { path: path.clone(), source }),
        };
        match &line {
            Ok(line) => previous.clone_from(&line.hash),
            Err(_) => broken = true,
        }
        Some(line)
    }))
}
