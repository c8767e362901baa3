//! The example verifies what an engine recorded, and finds what was changed.

#[path = "../examples/verify.rs"]
#[allow(dead_code, reason = "`main` is for the command line")]
mod verify;

use inferenceguard_host::Request;
use inferenceguard_record::Journal;
use inferenceguard_testkit::toy::{SCRIPT, engine};
use std::fs;

#[test]
fn records_are_read_and_verified() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("records.jsonl");
    let (engine, journal) = (engine(SCRIPT, 11.0), Journal::open(&path, true).unwrap());
    for seed in 0..3 {
        let request = Request { seed: Some(seed), record: true, ..Request::new("good") };
        journal.append(&engine.generate(request).unwrap()).unwrap();
    }
    let found = verify::verify(&path).unwrap();
    assert_eq!((found.records, found.with_body, found.statuses.values().sum::<usize>()), (3, 3, 3));

    let changed = fs::read_to_string(&path).unwrap().replacen("\"seed\":1", "\"seed\":2", 1);
    fs::write(&path, changed).unwrap();
    assert!(verify::verify(&path).is_err(), "a header was changed");
}
