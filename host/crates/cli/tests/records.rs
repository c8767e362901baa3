//! Records from an answer to the proof: verified, decided again, explained, and judged by another bundle.

mod common;

use common::{run, text};
use inferenceguard_catalog::bundles::{self, Fallback};
use inferenceguard_host::{CancelToken, EngineBuilder, Event, Request};
use inferenceguard_model::toy::ToyScript;
use inferenceguard_record::Journal;
use inferenceguard_search::Finish;
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
    // Without the end of its line the last record is none, and that is shown.
    let whole = fs::read_to_string(&records).unwrap();
    fs::write(&records, whole.trim_end()).unwrap();
    let torn = run(&["verify", text(&records)]);
    assert!(torn.stdout.contains("3 added up") && torn.stdout.contains("the last line has no end"), "{}", torn.stdout);
    assert!(!verified.stdout.contains("has no end"), "{}", verified.stdout);
    fs::write(&records, &whole).unwrap();
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
        let ran = run(&serve);
        let refused = ran.code == Some(1) && ran.stderr.contains("error: ") && !ran.stderr.contains("panicked");
        assert!(refused && ran.stderr.contains("its signature is not this key's"), "{}", ran.stderr);
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
    for words in ["record 1: ", "the prompt: \"", "chunk 1: ", "safe; ", "safety: "] {
        assert!(ran.stdout.contains(words), "{words}: {}", ran.stdout);
    }
    assert!(!ran.stdout.contains("record 2"));
    let all = run(&["explain", text(&records), "--json"]);
    assert_eq!(all.stdout.lines().count(), 2, "{}", all.stderr);
    run(&["explain", text(&records), "--record", "9"])
        .refuses("no such record with a body; found 2 with one and 0 without");
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
        assert_eq!(run(&["bundle", "init", text(bundle), "--template", "score"]).code, Some(0));
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

/// A bundle of words that most answers of this world hold, under a large budget or a small one.
fn words(dir: &Path, name: &str, budget: &str) -> std::path::PathBuf {
    let bundle = dir.join(name);
    assert_eq!(run(&["bundle", "init", text(&bundle), "--template", "words", "--name", "w"]).code, Some(0));
    let path = bundle.join("bundle.toml");
    let manifest = fs::read_to_string(&path).unwrap();
    let manifest = manifest.replace("\"bomb*\" = 5.0", "\"the\" = 1.0, \"a\" = 1.0, \"it\" = 1.0");
    fs::write(&path, manifest.replace("budget = 4.5", &format!("budget = {budget}"))).unwrap();
    bundle
}

#[test]
fn an_explanation_names_what_was_found_and_shows_the_records_own_text() {
    let dir = tempfile::tempdir().unwrap();
    let (records, loose) = (dir.path().join("records.jsonl"), words(dir.path(), "loose", "1000.0"));
    answer(&records, "1", &["--bundle", text(&loose)]);
    let ran = run(&["explain", text(&records), "--record", "1"]);
    assert!(ran.stdout.contains("words found \"the\" at token "), "{}{}", ran.stdout, ran.stderr);
    let lines: Vec<serde_json::Value> = run(&["explain", text(&records), "--json"])
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let nearest = &lines[0]["nearest"];
    let texts: Vec<&str> = nearest["texts"].as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect();
    assert_eq!(texts.len(), nearest["tokens"].as_array().unwrap().len());
    for found in nearest["found"].as_array().unwrap() {
        let token = usize::try_from(found["token"].as_u64().unwrap()).unwrap();
        let around = texts[token.saturating_sub(4)..=token].concat().to_lowercase();
        assert!(around.contains(found["found"].as_str().unwrap()), "{found}: {around}");
    }
    // It decides again without its notes, which no decision depends on.
    let replayed = run(&["replay", text(&records), "--n", "4", "--bundle", text(&loose)]);
    assert!(replayed.stdout.contains("1 records decided again"), "{}{}", replayed.stdout, replayed.stderr);
}

#[test]
fn an_explanation_says_what_was_found_in_a_candidate_that_was_not_safe() {
    let dir = tempfile::tempdir().unwrap();
    let (records, strict) = (dir.path().join("records.jsonl"), words(dir.path(), "strict", "0.5"));
    answer(&records, "1", &["--bundle", text(&strict)]);
    let ran = run(&["explain", text(&records)]);
    let reason = |line: &&str| line.contains("not safe: words: ") && line.contains("more than the budget of 0.5");
    let why = ran.stdout.lines().find(reason).expect(&ran.stdout);
    assert!(why.contains("; words found \""), "{why}");
    assert!(ran.stdout.contains("(activation 1)"), "{}", ran.stdout);
}

#[test]
fn costs_of_text_alone_are_compared_without_a_model() {
    let dir = tempfile::tempdir().unwrap();
    let (loose, strict) = (words(dir.path(), "loose", "1000.0"), words(dir.path(), "strict", "0.5"));
    let records = dir.path().join("records.jsonl");
    for seed in ["1", "2"] {
        answer(&records, seed, &["--bundle", text(&loose)]);
    }
    let ran = run(&["bundle", "diff", text(&loose), text(&strict), "--records", text(&records)]);
    assert!(ran.stderr.contains("2 would not pass any more"), "{}{}", ran.stdout, ran.stderr);
    let same = run(&["bundle", "diff", text(&loose), text(&loose), "--records", text(&records)]);
    assert!(same.stderr.contains("2 answers are judged the same"), "{}", same.stderr);
    // Records of another bundle, whose costs read no text, do not hold the text of each token.
    let scored = dir.path().join("scored.jsonl");
    answer(&scored, "1", &[]);
    run(&["bundle", "diff", text(&loose), text(&strict), "--records", text(&scored)]).refuses("name the model");
}

/// Records an answer that was cancelled before anything was decided.
fn cancelled(bundle: &Path, records: &Path) {
    let toy = ToyScript::parse("vocab: <eos>* ask good\ncontext: 512\nafter : good 1").unwrap();
    let bundle = bundles::open(Some(bundle), Fallback::Plain).unwrap();
    let engine = EngineBuilder::new().model(Box::new(toy.model())).bundle(&bundle).build().unwrap();
    let (cancel, request) = (CancelToken::new(), Request { record: true, ..Request::new("ask") });
    let leave = |event| {
        if matches!(event, Event::Begun) {
            cancel.cancel();
        }
    };
    let output = engine.stream(request, &cancel, leave).unwrap();
    assert_eq!(output.finish, Finish::Cancelled);
    Journal::open(records, true).unwrap().append(&output).unwrap();
}

#[test]
fn a_cancelled_request_is_no_refusal() {
    let dir = tempfile::tempdir().unwrap();
    let (records, loose) = (dir.path().join("records.jsonl"), words(dir.path(), "loose", "1000.0"));
    cancelled(&loose, &records);
    let ran = run(&["verify", text(&records)]);
    assert!(ran.stdout.contains("0 refused, 0 failed, 1 cancelled"), "{}{}", ran.stdout, ran.stderr);
    let ran = run(&["explain", text(&records), "--record", "1"]);
    assert!(ran.stdout.contains("record 1: cancelled"), "{}{}", ran.stdout, ran.stderr);
    let ran = run(&["bundle", "diff", text(&loose), text(&loose), "--records", text(&records)]);
    let counts = "0 refusals, 0 failed requests, 1 cancelled requests";
    assert!(ran.stderr.contains(counts), "{}{}", ran.stdout, ran.stderr);
}
