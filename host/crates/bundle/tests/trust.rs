//! Signatures: what is taken, and that nothing else is.

mod common;

use common::{bundle, files, manifest};
use inferenceguard_bundle::{Bundle, NewKey, Signature, SigningKey, Statement, Trust};
use std::{fs, sync::OnceLock};

const NOW: u64 = 1_000_000;

fn key() -> &'static NewKey {
    static KEY: OnceLock<NewKey> = OnceLock::new();
    KEY.get_or_init(|| NewKey::generate(None).unwrap())
}

fn sign(bundle: Bundle, key: &NewKey, expires: Option<u64>) -> Bundle {
    let statement = Statement::of(&bundle, NOW, expires).unwrap();
    let signature = SigningKey::parse(&key.secret, None).unwrap().sign(&statement).unwrap();
    bundle.with_signature(Some(signature))
}

/// Trusts [`key`], and more.
fn trust(more: &str) -> Trust {
    let line = key().public.lines().nth(1).unwrap();
    Trust::parse(&format!("require_signature = true\n{more}\n[keys]\nalice = \"{line}\"\n")).unwrap()
}

fn refused(trust: &Trust, bundle: &Bundle, now: u64) -> String {
    trust.check(bundle, now).unwrap_err().to_string()
}

#[test]
fn a_signed_bundle_is_taken_and_its_signer_named() {
    let signer = trust("").check(&sign(bundle("1.0.0"), key(), Some(NOW + 10)), NOW + 10).unwrap().unwrap();
    assert_eq!((signer.name.as_str(), signer.signed_at, signer.expires_at), ("alice", NOW, Some(NOW + 10)));
    assert!(key().public.contains(&signer.key), "the id of the key's file");
}

#[test]
fn unsigned_is_refused_only_where_a_signature_is_required() {
    assert!(refused(&trust(""), &bundle("1.0.0"), NOW).contains("is not signed"));
    assert_eq!(Trust::default().check(&bundle("1.0.0"), NOW).unwrap(), None);
}

#[test]
fn a_signature_that_is_there_must_hold_even_where_none_is_required() {
    let signed = sign(bundle("1.0.0"), key(), None);
    assert!(refused(&Trust::default(), &signed, NOW).contains("none of the 0 that are trusted"));
}

#[test]
fn other_keys_revoked_keys_and_old_signatures_are_refused() {
    let stranger = NewKey::generate(None).unwrap();
    assert!(
        refused(&trust(""), &sign(bundle("1.0.0"), &stranger, None), NOW).contains("none of the 1 that are trusted")
    );

    let signed = sign(bundle("1.0.0"), key(), Some(NOW + 10));
    assert!(refused(&trust(""), &signed, NOW + 11).contains("expired"));
    let id = trust("").check(&signed, NOW).unwrap().unwrap().key;
    assert!(refused(&trust(&format!("revoked = [\"{}\"]", id.to_lowercase())), &signed, NOW).contains("was revoked"));
}

#[test]
fn what_is_no_key_is_named() {
    let refusal = |text: &str| Trust::parse(text).unwrap_err().to_string();
    let message = refusal("revoked = [\"4176AB\"]");
    assert!(message.contains("found `4176AB`; expected the 16 hexadecimal digits"), "{message}");
    assert!(refusal("[keys]\nalice = \"RWQ\"").contains("the key `alice`"));
}

#[test]
fn a_signature_is_about_one_bundle_only() {
    let signature = sign(bundle("1.0.0"), key(), None).signature().cloned();
    let mut swapped = files();
    swapped.insert("policy.wasm".to_owned(), b"another".to_vec());
    let swapped = Bundle::from_parts(&manifest("1.0.0"), &swapped).unwrap().with_signature(signature.clone());
    assert!(refused(&trust(""), &swapped, NOW).contains("`policy.wasm` differs"));
    let newer = bundle("1.0.1").with_signature(signature);
    assert!(refused(&trust(""), &newer, NOW).contains("`bundle.toml` differs"));
}

#[test]
fn a_statement_that_was_changed_is_forged() {
    let signed = sign(bundle("1.0.0"), key(), Some(NOW));
    let signature = signed.signature().unwrap();
    let later = signature.statement.replace(&NOW.to_string(), &(NOW + 999).to_string());
    let changed = Signature { statement: later, signature: signature.signature.clone() };
    let message = refused(&trust(""), &signed.with_signature(Some(changed)), NOW);
    assert!(message.contains("forged or damaged"), "{message}");
}

#[test]
fn old_versions_are_refused_signed_or_not() {
    let trust = trust("minimum_versions = { example = \"1.2.0\" }");
    assert!(trust.check(&sign(bundle("1.2.0"), key(), None), NOW).is_ok());
    assert!(trust.check(&sign(bundle("1.10.0"), key(), None), NOW).is_ok(), "compared as versions, not as texts");
    assert!(refused(&trust, &sign(bundle("1.2.0-rc.1"), key(), None), NOW).contains("nothing older than 1.2.0"));
}

#[test]
fn bad_keys_and_files_are_refused_in_words() {
    assert!(SigningKey::parse("no key", None).unwrap_err().to_string().contains("the key cannot be used"));
    assert!(Trust::parse("keys = { a = \"!\" }").unwrap_err().to_string().contains("the key cannot be used"));
    assert!(Trust::parse("require = true").unwrap_err().to_string().contains("require_signature"));
    let broken = Signature { statement: String::new(), signature: "x".to_owned() };
    let message = refused(&trust(""), &bundle("1.0.0").with_signature(Some(broken)), NOW);
    assert!(message.contains("cannot be read"), "{message}");
    assert!(refused_version("1.0").contains("semantic version"));
}

fn refused_version(version: &str) -> String {
    Bundle::from_parts(&manifest(version), &files()).unwrap_err().to_string()
}

#[test]
fn a_folder_keeps_its_signature() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("parts")).unwrap();
    fs::write(dir.path().join("bundle.toml"), manifest("1.0.0")).unwrap();
    for (name, bytes) in files() {
        fs::write(dir.path().join(name), bytes).unwrap();
    }
    let signed = sign(Bundle::open(dir.path()).unwrap(), key(), None);
    for (name, text) in signed.signature().unwrap().files() {
        fs::write(dir.path().join(name), text).unwrap();
    }
    let opened = Bundle::open(dir.path()).unwrap();
    assert!(trust("").check(&opened, NOW).unwrap().is_some());
    fs::write(dir.path().join("policy.wasm"), "tampered").unwrap();
    assert!(refused(&trust(""), &Bundle::open(dir.path()).unwrap(), NOW).contains("`policy.wasm` differs"));
}
