//! Data sets from files: what is read, and what is refused by file and line.

use flate2::{Compression, write::GzEncoder};
use inferenceguard_eval::{Dataset, EvalError, Intent, Prompt};
use proptest::prelude::*;
use std::{fs, io::Write};

/// Reads `text` from a file of this name.
fn read(name: &str, bytes: impl AsRef<[u8]>) -> Result<Dataset, EvalError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, bytes).unwrap();
    Dataset::read(&path)
}

fn texts(dataset: &Dataset) -> Vec<&str> {
    dataset.prompts.iter().map(|prompt| prompt.text.as_str()).collect()
}

fn gzipped(text: &str) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::default());
    packer.write_all(text.as_bytes()).unwrap();
    packer.finish().unwrap()
}

#[test]
fn json_lines_bring_text_and_intent() {
    let found = read(
        "p.jsonl",
        r#"{"text": "a", "intent": "benign", "topic": "home"}
        {"prompt": "b", "intent": "harmful", "other": 1}

        {"text": "c"}"#,
    )
    .unwrap();
    assert_eq!(texts(&found), ["a", "b", "c"]);
    let intents: Vec<Intent> = found.prompts.iter().map(|prompt| prompt.intent).collect();
    assert_eq!(intents, [Intent::Benign, Intent::Harmful, Intent::Unknown]);
    assert_eq!(
        (found.prompts[0].topic.as_deref(), found.prompts[2].id, found.name.as_str()),
        (Some("home"), 2, "p.jsonl")
    );
}

#[test]
fn a_category_is_a_topic_where_there_is_none() {
    let lines = [
        r#"{"prompt": "a", "category": "violence"}"#,
        r#"{"prompt": "b", "category": "violence", "topic": "home"}"#,
        r#"{"prompt": "c", "category": {"violence": true}}"#,
        r#"{"prompt": "d", "category": null, "source": "somewhere"}"#,
    ];
    let found = read("p.jsonl", lines.join("\n")).unwrap();
    let topics: Vec<Option<&str>> = found.prompts.iter().map(|prompt| prompt.topic.as_deref()).collect();
    assert_eq!(topics, [Some("violence"), Some("home"), None, None]);
}

const RECORD: &str = r#"{"prompt": "P", "response_0": "x", "response_1": "y", "prompt_source": "s",
    "is_response_0_safe": false, "is_response_1_safe": true, "better_response_id": 0, "safer_response_id": 1,
    "response_0_severity_level": 2, "response_0_harm_category": {"Violence": true}}"#;

fn record(prompt: &str) -> String {
    RECORD.replace('\n', " ").replace("\"P\"", &format!("{prompt:?}"))
}

#[test]
fn records_of_pku_safe_rlhf_give_each_prompt_once_and_no_intent() {
    let lines = [record("a"), record("b"), record("a")].join("\n");
    for (name, bytes) in [("test.jsonl", lines.clone().into_bytes()), ("test.jsonl.gz", gzipped(&lines))] {
        let found = read(name, bytes).unwrap();
        assert_eq!((texts(&found), found.repeated), (vec!["a", "b"], 1), "{name}");
        assert!(
            found.prompts.iter().all(|prompt| prompt.intent == Intent::Unknown),
            "flags of responses are no intent"
        );
    }
    // Plain prompts may repeat: somebody wrote them down twice.
    assert_eq!(read("p.jsonl", "{\"text\": \"a\"}\n{\"text\": \"a\"}").unwrap().prompts.len(), 2);
}

#[test]
fn plain_lists_have_a_prompt_per_line() {
    for (name, bytes) in [("p.txt", b"one\r\n\n  two {\n".to_vec()), ("p.txt.gz", gzipped("one\n\ntwo {\n"))] {
        assert_eq!(texts(&read(name, bytes).unwrap()), ["one", "two {"], "{name}");
    }
    assert_eq!(texts(&read("p.txt", "\u{feff}one").unwrap()), ["one"]);
}

#[track_caller]
fn refuses(name: &str, bytes: impl AsRef<[u8]>, words: &[&str]) {
    let refused = read(name, bytes).unwrap_err().to_string();
    words.iter().for_each(|word| assert!(refused.contains(word), "{word:?} is not in {refused:?}"));
}

#[test]
fn what_is_wrong_is_named_by_file_and_line() {
    refuses("p.jsonl", "{\"text\": \"a\"}\n{\"text\": 3}", &["p.jsonl, line 2 of the prompts", "expected"]);
    refuses("p.jsonl", "{\"text\": \"a\"}\n{\"text\": \"a\"", &["p.jsonl, line 2 of the prompts", "EOF"]);
    refuses("p.jsonl", "\n\n{\"intent\": \"benign\"}", &["line 3 of the prompts", "`text` is missing"]);
    refuses("p.jsonl", "\n{\"text\": \"  \"}", &["line 2 of the prompts", "the text is empty"]);
    refuses("p.jsonl", r#"{"text": "a", "intent": "odd"}"#, &["line 1 of the prompts", "odd"]);
    refuses("p.jsonl", "[\"a\"]", &["line 1 of the prompts"]);
    let part = record("a").replace("is_response_1_safe", "other");
    refuses(
        "t.jsonl",
        record("b") + "\n" + &part,
        &["t.jsonl, line 2", "`is_response_1_safe` is missing", "PKU-SafeRLHF"],
    );
    let flag = record("a").replace("\"is_response_0_safe\": false", "\"is_response_0_safe\": \"no\"");
    refuses("t.jsonl", flag, &["t.jsonl, line 1"]);
    refuses("p.txt", b"fine\n\xff\xfe", &["p.txt, line 2 of the prompts", "not UTF-8"]);
    refuses("p.gz", &gzipped("one\ntwo")[..12], &["p.gz: cannot be read"]);
}

#[test]
fn empty_sets_and_absent_files_are_refused() {
    for name in ["p.jsonl", "p.txt"] {
        refuses(name, " \n\n", &["there are no prompts"]);
    }
    let refused = Dataset::read("no/such/file.jsonl".as_ref()).unwrap_err();
    assert!(refused.to_string().starts_with("no/such/file.jsonl: cannot be read"), "{refused}");
    let some = read("p.txt", "one").unwrap();
    assert!(matches!(some.limited(0), Err(EvalError::NoPrompts { .. })));
}

#[test]
fn attacks_stand_beside_the_prompts_and_are_counted_apart() {
    let file = "{\"text\": \"a\", \"intent\": \"harmful\"}\n{\"text\": \"b\", \"intent\": \"benign\"}\n\
                {\"text\": \"c\", \"intent\": \"harmful\"}\n{\"text\": \"d\", \"intent\": \"harmful\", \"attack\": \"suite\"}";
    let plain = read("p.jsonl", file).unwrap();
    assert_eq!(plain.prompts[3].group.as_deref(), Some("suite"));
    let written: Vec<String> = plain.prompts.iter().map(|prompt| serde_json::to_string(prompt).unwrap()).collect();
    assert_eq!(read("w.jsonl", written.join("\n")).unwrap().prompts, plain.prompts, "what is written is read again");
    assert_eq!(read("o.jsonl", "{\"text\": \"a\", \"attack\": 7}").unwrap().prompts[0].group, None);
    let all = plain.clone().with_attacks(10, 1).unwrap();
    assert_eq!(all.prompts.len(), 4 + 11);
    let ids: std::collections::BTreeSet<usize> = all.prompts.iter().map(|prompt| prompt.id).collect();
    assert_eq!(ids.len(), all.prompts.len(), "every prompt has a seed of its own");
    assert_eq!(all.prompts[..4], plain.prompts[..]);
    assert!(all.prompts[4..].iter().all(|prompt| prompt.group.is_some() && prompt.intent == Intent::Harmful));
    let benign = read("p.jsonl", "{\"text\": \"b\", \"intent\": \"benign\"}").unwrap();
    assert!(benign.with_attacks(10, 1).unwrap_err().to_string().contains("of harmful intent"));
}

fn numbered(count: usize) -> Dataset {
    let prompt = |at: usize| Prompt { id: 0, text: at.to_string(), intent: Intent::Benign, topic: None, group: None };
    Dataset::new("n", (0..count).map(prompt).collect()).unwrap()
}

#[test]
fn a_limit_spreads_over_all_prompts_and_keeps_their_ids() {
    let found = numbered(9).limited(3).unwrap();
    assert_eq!(texts(&found), ["2", "5", "8"]);
    assert_eq!(found.prompts.iter().map(|prompt| prompt.id).collect::<Vec<_>>(), [2, 5, 8]);
}

proptest! {
    #[test]
    fn a_limit_gives_as_many_as_it_can(count in 1usize..60, limit in 1usize..80) {
        let found = numbered(count).limited(limit).unwrap();
        prop_assert_eq!(found.prompts.len(), count.min(limit));
        prop_assert!(found.prompts.is_sorted_by_key(|prompt| prompt.id));
    }

    #[test]
    fn a_digest_tells_sets_apart(a in "[ab]{1,3}", b in "[ab]{1,3}") {
        let digest = |texts: [&str; 2]| {
            let prompt = |text: &str| Prompt { id: 0, text: text.into(), intent: Intent::Benign, topic: None, group: None };
            Dataset::new("n", texts.map(prompt).to_vec()).unwrap().digest()
        };
        prop_assert_eq!(digest([&a, "x"]) == digest([&b, "x"]), a == b);
        prop_assert_ne!(digest([&a, &b]), digest([&format!("{a}{b}"), "-"]));
    }
}
