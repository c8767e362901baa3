//! Files of records that other programs empty, move, shorten or write to while records are appended.

use inferenceguard_bundle::{NewKey, SigningKey};
use inferenceguard_host::{Output, Request};
use inferenceguard_record::{Journal, RecordError, Wrong, read};
use inferenceguard_testkit::toy::{SCRIPT, engine};
use std::{fs, io::Write, path::Path};

fn output() -> Output {
    engine(SCRIPT, 11.0).generate(Request { seed: Some(1), record: true, ..Request::new("good") }).unwrap()
}

/// The sequence numbers of a file whose chain is whole.
fn numbers(path: &Path) -> Vec<u64> {
    read(path).unwrap().map(|line| line.unwrap().header.sequence).collect()
}

/// A file with two records, and its journal.
fn two(dir: &Path, output: &Output) -> (std::path::PathBuf, Journal) {
    let path = dir.join("records.jsonl");
    let journal = Journal::open(&path, true).unwrap();
    (0..2).for_each(|_| drop(journal.append(output).unwrap()));
    (path, journal)
}

#[test]
fn a_file_that_was_emptied_begins_a_new_chain_without_holes() {
    let (dir, output) = (tempfile::tempdir().unwrap(), output());
    let (path, journal) = two(dir.path(), &output);
    for _ in 0..2 {
        fs::File::options().write(true).open(&path).unwrap().set_len(0).unwrap();
        journal.check().unwrap();
        assert_eq!(journal.append(&output).unwrap().sequence, 1);
        assert_eq!(journal.append(&output).unwrap().sequence, 2);
        assert_eq!(numbers(&path), [1, 2]);
    }
    drop(journal);
    assert_eq!(Journal::open(&path, true).unwrap().append(&output).unwrap().sequence, 3);
}

#[cfg(unix)]
#[test]
fn a_file_that_is_gone_or_another_begins_a_new_chain() {
    let (dir, output) = (tempfile::tempdir().unwrap(), output());
    let (path, journal) = two(dir.path(), &output);
    let moved = dir.path().join("records.jsonl.1");
    fs::rename(&path, &moved).unwrap();
    assert_eq!(journal.append(&output).unwrap().sequence, 1);
    assert_eq!((numbers(&moved), numbers(&path)), (vec![1, 2], vec![1]));
    // As a rotation that creates the next file itself.
    fs::remove_file(&path).unwrap();
    fs::write(&path, "").unwrap();
    assert_eq!(journal.append(&output).unwrap().sequence, 1);
    assert_eq!(numbers(&path), [1]);
    assert!(matches!(Journal::open(&path, true), Err(RecordError::Busy { .. })), "the new file is held as well");
    // A file with something in it is nobody's to append to.
    fs::remove_file(&path).unwrap();
    fs::write(&path, "notes\n").unwrap();
    assert!(matches!(journal.append(&output), Err(RecordError::Changed { found: 6, expected: 0, .. })));
    assert!(journal.check().is_err());
    assert_eq!(fs::read_to_string(&path).unwrap(), "notes\n");
    fs::remove_file(&path).unwrap();
    journal.check().unwrap();
    assert_eq!(journal.append(&output).unwrap().sequence, 1);
}

#[cfg(unix)]
#[test]
fn without_its_folder_nothing_is_recorded_until_it_is_back() {
    let (dir, output) = (tempfile::tempdir().unwrap(), output());
    let folder = dir.path().join("records");
    fs::create_dir(&folder).unwrap();
    let (_, journal) = two(&folder, &output);
    fs::remove_dir_all(&folder).unwrap();
    assert!(matches!(journal.append(&output), Err(RecordError::File { .. })));
    assert!(journal.check().is_err());
    fs::create_dir(&folder).unwrap();
    journal.check().unwrap();
    assert_eq!(journal.append(&output).unwrap().sequence, 1);
}

#[test]
fn a_file_that_was_shortened_or_written_to_takes_no_more_records() {
    let (dir, output) = (tempfile::tempdir().unwrap(), output());
    let (path, journal) = two(dir.path(), &output);
    let whole = fs::read(&path).unwrap();
    let refused = |journal: &Journal| {
        let error = journal.append(&output).unwrap_err();
        assert!(matches!(error, RecordError::Changed { .. }), "{error}");
        assert!(journal.check().is_err());
    };
    let file = || fs::File::options().append(true).open(&path).unwrap();
    file().set_len(whole.len() as u64 - 1).unwrap();
    refused(&journal);
    file().write_all(&whole[whole.len() - 1..]).unwrap();
    file().write_all(b"{}\n").unwrap();
    refused(&journal);
    assert_eq!(fs::read(&path).unwrap(), [&whole[..], b"{}\n"].concat(), "nothing was appended, nothing removed");
    file().set_len(whole.len() as u64).unwrap();
    journal.check().unwrap();
    assert_eq!(journal.append(&output).unwrap().sequence, 3);
    assert_eq!(numbers(&path), [1, 2, 3]);
}

#[test]
fn records_that_do_not_verify_are_set_aside_whole_and_other_files_are_left_alone() {
    let (dir, output) = (tempfile::tempdir().unwrap(), output());
    let (path, journal) = two(dir.path(), &output);
    drop(journal);
    let whole = fs::read(&path).unwrap();
    let first = whole.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    let holes = [vec![0; first], whole[first..].to_vec()].concat();
    let not_text = [&whole[..first], b"\xff\xfe\n", &whole[first..]].concat();
    for (number, damaged) in [whole[first..].to_vec(), holes, not_text].into_iter().enumerate() {
        fs::write(&path, &damaged).unwrap();
        assert!(matches!(Journal::open(&path, true), Err(RecordError::Line { .. })), "{number}");
        let (journal, aside) = Journal::open_or_set_aside(&path, true).unwrap();
        let (_, aside) = aside.expect("it was damaged");
        assert_eq!(aside, dir.path().join(format!("records.jsonl.damaged-{}", number + 1)));
        assert_eq!(fs::read(&aside).unwrap(), damaged);
        assert_eq!(journal.append(&output).unwrap().sequence, 1);
    }
    let (journal, aside) = Journal::open_or_set_aside(&path, true).unwrap();
    assert!(aside.is_none() && journal.append(&output).unwrap().sequence == 2);
    let other = dir.path().join("notes.txt");
    fs::write(&other, "not a record\n").unwrap();
    assert!(matches!(Journal::open_or_set_aside(&other, true), Err(RecordError::Line { line: 1, .. })));
    assert_eq!(fs::read_to_string(&other).unwrap(), "not a record\n");
}

#[test]
fn a_file_of_another_key_is_found_before_it_is_touched() {
    let dir = tempfile::tempdir().unwrap();
    let (path, output) = (dir.path().join("records.jsonl"), output());
    let keys = [NewKey::generate(None).unwrap(), NewKey::generate(None).unwrap()];
    let [mine, other] = keys.each_ref().map(|key| SigningKey::parse(&key.secret, None).unwrap());
    let again = SigningKey::parse(&keys[0].secret, None).unwrap();
    let journal = Journal::open(&path, true).unwrap().signing(again).unwrap();
    (0..2).for_each(|_| drop(journal.append(&output).unwrap()));
    drop(journal);
    let whole = fs::read(&path).unwrap();
    let first = whole.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    let torn = whole[..whole.len() - 9].to_vec();
    let unbroken = whole[..first - 1].to_vec();
    let zeroed = [vec![0; first], whole[first..].to_vec()].concat();
    let nonsense = [b"nonsense\n", &whole[..]].concat();
    for (name, there) in
        [("whole", whole.clone()), ("torn", torn), ("unbroken", unbroken), ("zeroed", zeroed), ("nonsense", nonsense)]
    {
        fs::write(&path, &there).unwrap();
        Journal::check_key(&path, &mine).unwrap();
        let refused = Journal::check_key(&path, &other).unwrap_err();
        assert!(matches!(refused, RecordError::Line { wrong: Wrong::Unsigned(_), .. }), "{name}: {refused}");
        assert_eq!(fs::read(&path).unwrap(), there, "{name}");
    }
    // A file that verifies and is not signed takes no signed records; a damaged file may be set aside.
    fs::remove_file(&path).unwrap();
    Journal::check_key(&path, &mine).unwrap();
    drop(Journal::open(&path, true).unwrap().append(&output).unwrap());
    assert!(Journal::check_key(&path, &mine).is_err());
    let bare = fs::read(&path).unwrap();
    fs::write(&path, [b"nonsense\n", &bare[..]].concat()).unwrap();
    Journal::check_key(&path, &mine).unwrap();
}
