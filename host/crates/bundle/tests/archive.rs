//! Bundles in one file: the same bundle comes out, and what is odd is refused.

mod common;

use common::{bundle, files, manifest};
use inferenceguard_bundle::{Bundle, BundleError, NewKey, SigningKey, Statement};
use proptest::prelude::*;
use std::fs;
use tar::{Builder, EntryType, Header};

/// A tar file of these entries, written without the checks of a good writer.
fn tar(entries: &[(&str, &[u8], EntryType)]) -> Vec<u8> {
    let mut archive = Builder::new(Vec::new());
    for (name, bytes, kind) in entries {
        let mut header = Header::new_gnu();
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.set_mode(0o644);
        header.set_size(bytes.len() as u64);
        header.set_entry_type(*kind);
        header.set_cksum();
        archive.append(&header, *bytes).unwrap();
    }
    archive.into_inner().unwrap()
}

fn refused(bytes: &[u8]) -> String {
    Bundle::unpack(bytes).unwrap_err().to_string()
}

#[test]
fn a_packed_bundle_is_the_same_bundle() {
    let made = bundle("1.0.0");
    let secret = NewKey::generate(None).unwrap().secret;
    let signature = SigningKey::parse(&secret, None).unwrap().sign(&Statement::of(&made, 1, None).unwrap()).unwrap();
    let made = made.with_signature(Some(signature));

    let packed = made.pack().unwrap();
    let opened = Bundle::unpack(&packed).unwrap();
    assert_eq!(opened.digest(), made.digest());
    assert_eq!(opened.files(), made.files());
    assert_eq!(opened.signature(), made.signature());
    assert_eq!(opened.pack().unwrap(), packed, "the same bytes for the same bundle");

    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("example.tar");
    fs::write(&file, &packed).unwrap();
    assert_eq!(Bundle::open(&file).unwrap().digest(), made.digest());
}

#[test]
fn long_paths_survive() {
    let long = format!("{}/policy.wasm", "folder".repeat(40));
    let text = manifest("1.0.0").replace("policy.wasm", &long);
    let mut files = files();
    files.insert(long.clone(), b"x".to_vec());
    let made = Bundle::from_parts(&text, &files).unwrap();
    assert_eq!(Bundle::unpack(&made.pack().unwrap()).unwrap().file(&long), Some(&b"x"[..]));
}

#[test]
fn odd_archives_are_refused_in_words() {
    let text = manifest("1.0.0");
    let manifest = ("bundle.toml", text.as_bytes(), EntryType::Regular);
    let policy = ("policy.wasm", &b"p"[..], EntryType::Regular);
    let tracker = ("parts/tracker.wasm", &b"t"[..], EntryType::Regular);
    assert!(Bundle::unpack(&tar(&[manifest, policy, tracker])).is_ok());

    assert!(refused(b"").contains("it is empty"));
    assert!(refused(b"no tar at all").contains("expected a tar file that is whole"));
    let secret = refused(&b"secret".repeat(200));
    assert!(!secret.contains("secret"), "the caller may not be allowed to read the file: {secret}");
    assert!(refused(&tar(&[policy, manifest, tracker])).contains("its first entry is `policy.wasm`"));
    assert!(refused(&tar(&[manifest, policy, policy, tracker])).contains("`policy.wasm` twice"));
    assert!(refused(&tar(&[manifest, policy])).contains("no file `parts/tracker.wasm`"));
    for path in ["../policy.wasm", "/etc/passwd", "more.wasm"] {
        let message = refused(&tar(&[manifest, policy, tracker, (path, b"x", EntryType::Regular)]));
        assert!(message.contains("only files that its manifest names"), "{message}");
    }
    let message = refused(&tar(&[manifest, ("policy.wasm", b"", EntryType::Symlink), tracker]));
    assert!(message.contains("no plain file"), "{message}");
}

#[test]
fn archives_of_other_kinds_are_named() {
    for (begin, kind) in [
        (&b"\x1f\x8b\x08\0"[..], "gzip"),
        (b"\x28\xb5\x2f\xfd", "zstd"),
        (b"\xfd7zXZ\0", "xz"),
        (b"BZh9", "bzip2"),
        (b"PK\x03\x04", "zip"),
    ] {
        let message = refused(&[begin, &[7; 600][..]].concat());
        assert!(message.contains(kind) && message.contains("plain tar file"), "{message}");
    }
}

#[test]
fn a_path_has_one_spelling() {
    for path in ["sub//c.wasm", "sub/./c.wasm", "./c.wasm", "sub/c.wasm/", "/c.wasm", "sub/../c.wasm", ""] {
        let text = manifest("1.0.0").replace("policy.wasm", path);
        let mut files = files();
        files.insert(path.to_owned(), b"x".to_vec());
        let refused = Bundle::from_parts(&text, &files);
        assert!(matches!(refused, Err(BundleError::Path { .. })), "{path:?}");
    }
}

#[test]
fn a_manifest_cannot_name_its_own_signature() {
    let text = manifest("1.0.0").replace("policy.wasm", "bundle.signed.toml");
    assert!(matches!(Bundle::from_parts(&text, &files()), Err(BundleError::Path { .. })));
}

#[test]
fn limits_hold_inside_archives() {
    let text = format!("{}\n[limits]\ncomponent = 1024\n", manifest("1.0.0"));
    let policy = ("policy.wasm", &[0; 1025][..], EntryType::Regular);
    let message = refused(&tar(&[("bundle.toml", text.as_bytes(), EntryType::Regular), policy]));
    assert!(message.contains("at most 1024 are allowed"), "{message}");
}

proptest! {
    /// Whatever a bundle takes can be packed, and what is packed opens as the same bundle.
    #[test]
    fn whatever_is_packed_opens(path in "[a-c./ é~-]{1,12}|[a-z]{90,120}/[a-z]{1,160}\\.wasm") {
        let text = manifest("1.0.0").replace("policy.wasm", &path);
        let mut files = files();
        files.insert(path, b"x".to_vec());
        let Ok(made) = Bundle::from_parts(&text, &files) else { return Ok(()) };
        let opened = Bundle::unpack(&made.pack().unwrap());
        prop_assert_eq!(opened.map(|opened| opened.digest()).map_err(|error| error.to_string()), Ok(made.digest()));
    }

    /// Cut or damaged anywhere: an error or the same bundle (its padding means nothing), never a panic, never another one.
    #[test]
    fn a_damaged_archive_is_never_another_bundle(cut in 0_usize..6000, at in 0_usize..6000, flip in 1_u8..) {
        let made = bundle("1.0.0");
        let packed = made.pack().unwrap();
        let cut_off = &packed[..cut.min(packed.len())];
        if let Ok(found) = Bundle::unpack(cut_off) {
            prop_assert_eq!(found.digest(), made.digest());
        }
        let mut damaged = packed.clone();
        let at = at % damaged.len();
        damaged[at] ^= flip;
        if let Ok(found) = Bundle::unpack(&damaged) {
            let same = found.digest() == made.digest();
            let content = found.files() != made.files() || found.text() != made.text();
            prop_assert!(same || content, "other content, other digest");
        }
    }
}
