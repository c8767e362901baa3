//! Bundles in one file: an uncompressed tar, as [`Bundle::pack`] describes it. Nothing is written to disk here, so that no
//! path in an archive can lead anywhere.

use crate::{
    Bundle, BundleError, MANIFEST, Manifest, Signature,
    bundle::{limit, missing},
    folder::{Limit, MANIFEST_LIMIT, SIGNATURE_LIMIT, not_text, unreadable, within},
};
use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::Path,
};
use tar::{Archive, Builder, Entry, EntryType, Header};

pub(crate) fn open(path: &Path) -> Result<Bundle, BundleError> {
    let file = File::open(path).map_err(|source| unreadable(path, "file", source))?;
    read(BufReader::new(file))
}

pub(crate) fn unpack(bytes: &[u8]) -> Result<Bundle, BundleError> {
    read(bytes)
}

pub(crate) fn pack(bundle: &Bundle) -> Result<Vec<u8>, BundleError> {
    let mut archive = Builder::new(Vec::new());
    let signature = bundle.signature();
    let signature = signature.into_iter().flat_map(Signature::files);
    let parts = std::iter::once((MANIFEST, bundle.text())).chain(signature);
    let parts = parts.map(|(name, text)| (name, text.as_bytes()));
    let files = bundle.files().iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice()));
    for (name, bytes) in parts.chain(files) {
        let mut header = Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(bytes.len() as u64);
        header.set_entry_type(EntryType::Regular);
        archive.append_data(&mut header, name, bytes).map_err(broken)?;
    }
    archive.into_inner().map_err(broken)
}

/// The first bytes of formats other than a plain tar, and their names.
const OTHERS: [(&[u8], &str); 5] = [
    (b"\x1f\x8b", "compressed with gzip"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd"),
    (b"\xfd7zXZ\0", "compressed with xz"),
    (b"BZh", "compressed with bzip2"),
    (b"PK\x03\x04", "a zip file"),
];

fn read(mut source: impl BufRead) -> Result<Bundle, BundleError> {
    let begin = source.fill_buf().map_err(broken)?;
    if let Some((_, kind)) = OTHERS.iter().find(|(mark, _)| begin.starts_with(mark)) {
        return Err(wrong(&format!("it is {kind}"), "a plain tar file, as `bundle pack` writes it: unpack it first"));
    }
    let mut archive = Archive::new(source);
    let mut entries = archive.entries().map_err(broken)?;
    let first = entries.next().ok_or_else(|| wrong("it is empty", "`bundle.toml` as its first entry"))?;
    let mut first = first.map_err(broken)?;
    let name = name_of(&first)?;
    if name != MANIFEST {
        return Err(wrong(&format!("its first entry is `{name}`"), "`bundle.toml`"));
    }
    let manifest = content(&mut first, &name, MANIFEST_LIMIT)?;
    let text = String::from_utf8(manifest).map_err(|_| not_text(MANIFEST))?;
    let manifest = Manifest::parse(&text)?;
    let mut found = BTreeMap::new();
    for entry in entries {
        let mut entry = entry.map_err(broken)?;
        let name = name_of(&entry)?;
        let bytes = content(&mut entry, &name, limit_of(&manifest, &name)?)?;
        if found.insert(name.clone(), bytes).is_some() {
            return Err(wrong(&format!("it has `{name}` twice"), "every file once"));
        }
    }
    let signature = signature(&mut found)?;
    if let Some((key, file)) = manifest.files().into_iter().find(|(_, file)| !found.contains_key(*file)) {
        return Err(missing(&key, file));
    }
    Ok(Bundle::assemble(&text, manifest, found)?.with_signature(signature))
}

fn name_of(entry: &Entry<'_, impl Read>) -> Result<String, BundleError> {
    let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
    if entry.header().entry_type() != EntryType::Regular {
        return Err(wrong(&format!("its entry `{name}` is no plain file"), "plain files only"));
    }
    Ok(name)
}

/// Takes only files that the manifest names, so that the digest covers all of a bundle.
fn limit_of(manifest: &Manifest, name: &str) -> Result<Limit, BundleError> {
    if [Signature::STATEMENT, Signature::FILE].contains(&name) {
        return Ok(SIGNATURE_LIMIT);
    }
    let files = manifest.files();
    let key = files.iter().find(|(_, file)| *file == name).map(|(key, _)| key);
    let key = key.ok_or_else(|| wrong(&format!("it has `{name}`"), "only files that its manifest names"))?;
    crate::bundle::check_relative(key, name)?;
    Ok(limit(manifest, key))
}

fn content(entry: &mut Entry<'_, impl Read>, name: &str, limit: Limit) -> Result<Vec<u8>, BundleError> {
    within(Path::new(name), entry.size(), limit)?;
    let mut bytes = Vec::new();
    entry.take(limit.bytes + 1).read_to_end(&mut bytes).map_err(broken)?;
    if bytes.len() as u64 == entry.size() {
        return Ok(bytes);
    }
    Err(wrong(&format!("`{name}` ends after {} bytes", bytes.len()), &format!("{} bytes", entry.size())))
}

fn signature(found: &mut BTreeMap<String, Vec<u8>>) -> Result<Option<Signature>, BundleError> {
    let mut part = |name: &str| {
        let bytes = found.remove(name);
        bytes.map(|bytes| String::from_utf8(bytes).map_err(|_| not_text(name))).transpose()
    };
    let (statement, signature) = (part(Signature::STATEMENT)?, part(Signature::FILE)?);
    Ok(statement.zip(signature).map(|(statement, signature)| Signature { statement, signature }))
}

/// The error does not quote the file: the caller may not be allowed to read it.
fn broken(error: io::Error) -> BundleError {
    wrong(&format!("it cannot be read ({})", error.kind()), "a tar file that is whole")
}

fn wrong(found: &str, expected: &str) -> BundleError {
    BundleError::Archive { found: found.to_owned(), expected: expected.to_owned() }
}
