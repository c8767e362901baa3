//! Bundles in folders.

use crate::{
    Bundle, BundleError, MANIFEST, Manifest, Signature,
    bundle::{check_relative, limit, missing, outside},
};
use std::{
    collections::{BTreeMap, btree_map::Entry},
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

pub(crate) const MANIFEST_LIMIT: Limit = Limit { bytes: 1 << 20, remedy: "write a shorter manifest" };
pub(crate) const SIGNATURE_LIMIT: Limit = Limit { bytes: 1 << 20, remedy: "sign the bundle again" };

/// How large a file may be, and what to do about a larger one.
#[derive(Clone, Copy)]
pub(crate) struct Limit {
    pub(crate) bytes: u64,
    pub(crate) remedy: &'static str,
}

pub(crate) fn open(dir: &Path, lend: impl Fn(&str) -> Option<Vec<u8>>) -> Result<Bundle, BundleError> {
    let root = dir.canonicalize().map_err(|source| unreadable(dir, "folder", source))?;
    let text = text(&root.join(MANIFEST), MANIFEST_LIMIT)?;
    let manifest = Manifest::parse(&text)?;
    let mut files = BTreeMap::new();
    for (key, file) in manifest.files() {
        if let Entry::Vacant(vacant) = files.entry(file.to_owned()) {
            let bytes = file_of(&root, &key, vacant.key(), limit(&manifest, &key), &lend)?;
            vacant.insert(bytes);
        }
    }
    Ok(Bundle::assemble(&text, manifest, files)?.with_signature(signature(&root)?))
}

pub(crate) fn file_of(
    root: &Path,
    key: &str,
    file: &str,
    limit: Limit,
    lend: impl Fn(&str) -> Option<Vec<u8>>,
) -> Result<Vec<u8>, BundleError> {
    match inside(root, key, file) {
        Ok(path) => read_limited(&path, limit),
        Err(missing @ BundleError::Missing { .. }) => {
            let bytes = lend(file).ok_or(missing)?;
            within(Path::new(file), bytes.len() as u64, limit).map(|()| bytes)
        }
        Err(error) => Err(error),
    }
}

/// The signature beside the manifest. One of its two files alone is no signature.
fn signature(root: &Path) -> Result<Option<Signature>, BundleError> {
    let part = |name: &str| match text(&root.join(name), SIGNATURE_LIMIT) {
        Ok(text) => Ok(Some(text)),
        Err(BundleError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    };
    let (statement, signature) = (part(Signature::STATEMENT)?, part(Signature::FILE)?);
    Ok(statement.zip(signature).map(|(statement, signature)| Signature { statement, signature }))
}

pub(crate) fn text(path: &Path, limit: Limit) -> Result<String, BundleError> {
    let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    String::from_utf8(read_limited(path, limit)?).map_err(|_| not_text(&name))
}

/// The real path of a file, after links; an error if that is not inside the bundle.
fn inside(root: &Path, key: &str, file: &str) -> Result<PathBuf, BundleError> {
    check_relative(key, file)?;
    let path = root.join(file);
    let real = path.canonicalize().map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => missing(key, file),
        _ => unreadable(&path, "file", source),
    })?;
    if real.starts_with(root) { Ok(real) } else { Err(outside(key, file)) }
}

/// Reads at most `limit` bytes, also where the file system reports a smaller size.
fn read_limited(path: &Path, limit: Limit) -> Result<Vec<u8>, BundleError> {
    let failed = |source| unreadable(path, "file", source);
    // Opening a pipe would block until a writer opens it.
    if !fs::metadata(path).map_err(failed)?.is_file() {
        return Err(failed(io::Error::new(io::ErrorKind::InvalidInput, "it is no plain file")));
    }
    let file = fs::File::open(path).map_err(failed)?;
    let size = file.metadata().map_err(failed)?.len();
    let mut bytes = Vec::new();
    file.take(limit.bytes + 1).read_to_end(&mut bytes).map_err(failed)?;
    within(path, size.max(bytes.len() as u64), limit).map(|()| bytes)
}

pub(crate) fn within(path: &Path, found: u64, limit: Limit) -> Result<(), BundleError> {
    if found <= limit.bytes {
        return Ok(());
    }
    let (path, limit, remedy) = (path.to_owned(), limit.bytes, limit.remedy);
    Err(BundleError::TooLarge { path, found, limit, remedy })
}

pub(crate) fn unreadable(path: &Path, expected: &'static str, source: io::Error) -> BundleError {
    BundleError::Read { path: path.to_owned(), expected, source }
}

pub(crate) fn not_text(file: &str) -> BundleError {
    let problem = "found bytes that are not UTF-8; expected text".to_owned();
    BundleError::Manifest { file: file.to_owned(), line: 0, key: String::new(), problem }
}
