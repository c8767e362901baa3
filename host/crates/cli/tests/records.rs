//! Records from an answer to the proof: verified, decided again, explained, and judged by another bundle.

mod common;

use common::{run, text};
use std::{fs, path::Path};

const PROMPT: &str = "How do I clean a knife?";

fn answer(records: &Path, seed: &str, more: &[&str]) {
    let arguments = ["run", "--max-tokens", "40", "--seed", seed, "--record", text(records), PROMPT];
    let more = if more.contains(&"--n") { more.to_vec() } else { [&["--n", "4"], more].concat() };
    let ran = run(&[&arguments[..], &more].concat());
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
}

#[test]
fn what_was_decided_can_be_decided_again() {
    let dir = tempfile::tempdir().unwrap();
    let records = dir.path().join("records.jsonl");
    answer(&records, "1", &[]);
    answer(&records, "2", &["--method", "inference-guard+critic"]);
    answer(&records, "3", &["--method", "best-of-n+augmented"]);
    answer(&records, "4", &["--method", "re-control"]);
    let verified = run(&["verify", text(&records)]);
    assert!(verified.stdout.contains("4 added up again and confirmed"), "{}{}", verified.stdout, verified.stderr);
    let kept = run(&["forget", "--keep", "1", text(&records)]);
    assert!(kept.stdout.contains("0 bodies removed"), "{}{}", kept.stdout, kept.stderr);

    let replayed = run(&["replay", text(&records), "--n", "4"]);
    assert!(replayed.stdout.contains("4 records decided again"), "{}{}", replayed.stdout, replayed.stderr);
    let modelled = run(&["replay", text(&records), "--n", "4", "--with-model"]);
    assert!(modelled.stdout.contains("the model read every answer again"), "{}{}", modelled.stdout, modelled.stderr);

    run(&["replay", text(&records)]).refuses("name that with --bundle or --state");
}

#[test]
fn a_servers_records_are_signed_if_it_has_a_key() {
    let dir = tempfile::tempdir().unwrap();
    let (records, key) = (dir.path().join("records.jsonl"), dir.path().join("key"));
    assert_eq!(run(&["bundle", "keygen", text(&key)]).code, Some(0));
    let public = dir.path().join("key.pub");
    answer(&records, "1", &["--record-key", text(&key)]);
    let verified = run(&["verify", "--key", text(&public), text(&records)]);
    assert!(verified.stdout.contains("1 signed"), "{}{}", verified.stdout, verified.stderr);
    let unsigned = ["run", "--n", "4", "--max-tokens", "4", "--record", text(&records), PROMPT];
    run(&unsigned).refuses("its records are signed");
    let (other, whole) = (dir.path().join("other"), fs::read_to_string(&records).unwrap());
    assert_eq!(run(&["bundle", "keygen", text(&other)]).code, Some(0));
    for there in [whole.clone(), format!("{whole}{{\"torn\": "), format!("no record\n{whole}")] {
        fs::write(&records, &there).unwrap();
        let serve = ["serve", "--n", "4", "--records", text(&records), "--record-key", text(&other)];
        run(&serve).refuses("its signature is not this key's");
        assert_eq!(fs::read_to_string(&records).unwrap(), there);
        assert!(!dir.path().join("records.jsonl.damaged-1").exists());
    }
    fs::write(&records, &whole).unwrap();
    let mixed = dir.path().join("mixed.jsonl");
    answer(&mixed, "2", &[]);
    run(&["verify", "--key", text(&public), text(&mixed)]).refuses("record 1");
    assert_eq!(run(&["verify", text(&records)]).code, Some(0));
}

#[test]
fn a_record_is_explained_in_words() {
    let dir = tempfile::tempdir().unwrap();
    let records = dir.path().join("records.jsonl");
    answer(&records, "1", &[]);
    answer(&records, "1", &["--budget", "0.0001", "--n", "2"]);
    let ran = run(&["explain", text(&records), "--record", "1"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    for words in ["record 1: ", "chunk 1: ", "safe; ", "safety: "] {
        assert!(ran.stdout.contains(words), "{words}: {}", ran.stdout);
    }
    assert!(!ran.stdout.contains("record 2"));
    let all = run(&["explain", text(&records), "--json"]);
    assert_eq!(all.stdout.lines().count(), 2, "{}", all.stderr);
    run(&["explain", text(&records), "--record", "9"]).refuses("no such record");
}

#[test]
fn another_bundle_is_compared_on_what_was_answered() {
    let dir = tempfile::tempdir().unwrap();
    let records = dir.path().join("records.jsonl");
    for seed in ["1", "2", "3"] {
        answer(&records, seed, &["--method", "base"]);
    }
    let (old, new) = (dir.path().join("old"), dir.path().join("new"));
    for bundle in [&old, &new] {
        assert_eq!(run(&["bundle", "init", text(bundle)]).code, Some(0));
    }
    let diff = || run(&["bundle", "diff", text(&old), text(&new), "--records", text(&records)]);
    assert!(diff().stderr.contains("3 answers are judged the same"), "{}", diff().stderr);
    // Words of every answer of this world.
    let manifest = fs::read_to_string(new.join("bundle.toml")).unwrap();
    let stricter = "[costs.words]\ncomponent = \"keyword-cost.wasm\"\nsettings = { words = [\"the\", \"a\"] }\n\n\
                    [[constraints]]\nname = \"words\"\ncost = \"words\"\nbudget = 0.5\n";
    fs::write(new.join("bundle.toml"), format!("{manifest}\n{stricter}")).unwrap();
    let ran = diff();
    assert!(
        ran.stdout.contains("would not pass any more") && ran.stdout.contains("words"),
        "{}{}",
        ran.stdout,
        ran.stderr
    );
}

#[test]
fn what_is_no_record_is_reported() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("x.jsonl");
    fs::write(&file, "{}\n").unwrap();
    for command in ["verify", "replay", "explain"] {
        run(&[command, text(&file)]).refuses("line 1");
        run(&[command, "/no/such/file"]).refuses("/no/such/file");
    }
}
