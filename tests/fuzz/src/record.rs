//! Record files: refused in words, or records that can be explained and verified.

use crate::{bytes::parts, guests, scratch};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use flate2::{Compression, write::ZlibEncoder};
use inferenceguard_host::Request;
use inferenceguard_record::{Journal, Line, forget, holds_signatures, read};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::{fs, io::Write, path::Path};

/// What the first record of a file follows.
const FIRST: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// The first byte says whether the rest is a file, or a header and a body whose hashes are made right first: mutations of a
/// file seldom pass its hashes.
pub fn run(bytes: &[u8]) {
    let Some((kind, rest)) = bytes.split_first() else { return };
    let file = if kind % 2 == 0 { rest.to_vec() } else { hashed(rest) };
    let path = scratch::file("record/records.jsonl", &file);
    let lines: Vec<Line> = read(&path).expect("the file is there").map_while(Result::ok).collect();
    lines.iter().for_each(ask);
    let _ = (holds_signatures(&path), Journal::open(&path, true).map(drop));
    keeps(&path, lines.len());
}

fn ask(line: &Line) {
    let _ = line.header.unnamed();
    if let Some(body) = &line.body {
        let _ = (body.verify(), body.steps(), body.nearest());
    }
}

/// Forgetting bodies keeps every record.
fn keeps(path: &Path, before: usize) {
    let whole = read(path).expect("the file is there").all(|line| line.is_ok());
    if whole && forget(path, u64::MAX).is_ok() {
        let after: Vec<Line> = read(path).expect("the file is there").collect::<Result<_, _>>().expect("records stay");
        assert_eq!(after.len(), before, "a record is lost");
        assert!(after.iter().all(|line| line.body.is_none()), "a body stays");
    }
}

/// A header in JSON, a zero, and a body before it is compressed.
fn hashed(bytes: &[u8]) -> Vec<u8> {
    let [header, body] = parts(bytes);
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body).expect("memory takes bytes");
    let body = encoder.finish().expect("memory takes bytes");
    let mut header: Value = serde_json::from_slice(header).unwrap_or_default();
    if let Some(fields) = header.as_object_mut() {
        fields.insert("body".into(), hex(&body).into());
        fields.insert("previous".into(), FIRST.into());
    }
    let header = header.to_string();
    let line = serde_json::json!({ "hash": hex(header.as_bytes()), "body": STANDARD.encode(&body) }).to_string();
    let (start, _) = line.split_at(line.len() - 1);
    format!("{start},\"header\":{header}}}\n").into_bytes()
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A file with a finished and a refused answer, and the first of them taken apart.
pub fn seeds() -> Vec<Vec<u8>> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("records.jsonl");
    let (engine, journal) = (guests::engine(), Journal::open(&path, true).expect("a new file"));
    for seed in 0..2 {
        let mut request = Request::new("ask");
        (request.seed, request.record) = (Some(seed), true);
        journal.append(&engine.generate(request).expect("an answer")).expect("a record");
    }
    let file = fs::read(&path).expect("the records");
    let first = read(&path).expect("the records").next().expect("a record").expect("a record that is right");
    let header = serde_json::to_vec(&first.header).expect("a header");
    let mut body = Vec::new();
    ciborium::into_writer(first.body.as_ref().expect("a body"), &mut body).expect("a body");
    vec![[vec![0], file].concat(), [vec![1], header, vec![0], body].concat()]
}
