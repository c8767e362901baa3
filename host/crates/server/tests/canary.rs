//! A forbidden token stays inside over HTTP: every combination of search, path, stream, release, log-probabilities and number of
//! choices is asked for. `tests/canary.rs` of the repository does the same for engines, company and migrations.
#![expect(clippy::print_stdout, reason = "the number of combinations is worth a line")]

mod common;

use common::{Got, MANIFEST, Running, bundle, config, engine_of, start_config};
use inferenceguard_model::Token;
use inferenceguard_record::{Journal, read};
use inferenceguard_server::ServerConfig;
use serde_json::{Value, json};
use std::path::Path;

/// The forbidden word costs more than the budget, and pays most. It has letters that no digest has.
const WORD: &str = "zzyzx";
const FORBIDDEN: Token = 3;
const SCRIPT: &str = "vocab: <eos>* ask good zzyzx plain
context: 64
after : good 3, plain 3, zzyzx 4, <eos> 1
score cost: zzyzx 5
score reward cumulative: good 1, zzyzx 3";

/// Further settings of the policy: without retries, with them, and with fewer candidates while nothing is at risk.
const SEARCHES: [&str; 3] = [", retries = 0", ", retries = 2", ", retries = 2, adaptive-width = 2"];

/// Bodies of all requests, with their paths: two paths, whole or as a stream, three releases, with or without log-probabilities, one
/// choice or three.
fn requests() -> Vec<(&'static str, Value)> {
    let paths = [
        ("/v1/chat/completions", json!({"messages": [{"role": "user", "content": "ask"}]}), json!(true)),
        ("/v1/completions", json!({"prompt": "ask"}), json!(0)),
    ];
    let mut all = Vec::new();
    for (path, body, logprobs) in paths {
        for release in [json!("at_end"), json!("agreement"), json!({"commit": 1})] {
            for (stream, choices) in [(false, 1), (false, 3), (true, 1), (true, 3)] {
                let mut plain = body.clone();
                (plain["stream"], plain["n"]) = (json!(stream), json!(choices));
                plain["inferenceguard"] = json!({"release": release});
                let mut with_logprobs = plain.clone();
                with_logprobs["logprobs"] = logprobs.clone();
                all.extend([(path, plain), (path, with_logprobs)]);
            }
        }
    }
    all
}

/// A server that records, with these settings of the policy.
fn server(more: &str, records: &Path) -> Running {
    let manifest = MANIFEST.replace("chunk-len = 4", &format!("chunk-len = 4{more}"));
    assert_ne!(manifest, MANIFEST, "the manifest has a policy with a length of chunks");
    let active = bundle(&manifest);
    let engine = engine_of(SCRIPT, 4, &active, 1);
    let records = Some(Journal::open(records, true).unwrap());
    start_config(ServerConfig { records, ..config(&engine, active) })
}

/// The choices of an answer, or those of all events of a stream.
fn choices(got: &Got, body: &Value) -> Vec<Value> {
    let events = if body["stream"] == true { got.events() } else { vec![got.json()] };
    events.iter().flat_map(|event| event["choices"].as_array().unwrap().clone()).collect()
}

/// How many tokens are in the lists of log-probabilities; none of them is forbidden.
fn listed(choice: &Value) -> usize {
    let list = &choice["logprobs"];
    let chat = list["content"].as_array().map(|all| all.iter().map(|one| one["token"].clone()).collect());
    let tokens: Vec<Value> = chat.or_else(|| list["tokens"].as_array().cloned()).unwrap_or_default();
    assert!(tokens.iter().all(|token| token != WORD), "{choice}");
    tokens.len()
}

#[test]
fn a_forbidden_token_stays_inside_under_every_combination_of_fields() {
    let (folder, mut asked, mut seed) = (tempfile::tempdir().unwrap(), 0, 0);
    for (number, more) in SEARCHES.into_iter().enumerate() {
        let path = folder.path().join(format!("{number}.jsonl"));
        let server = server(more, &path);
        let (mut tokens, mut recorded) = (0, 0);
        for (path, mut body) in requests() {
            seed += 10;
            body["seed"] = json!(seed);
            let got = server.post(path, &body);
            assert_eq!(got.status, 200, "{more} {path} {body}: {}", got.text);
            assert!(!got.text.contains(WORD), "{more} {path} {body}: {}", got.text);
            let choices = choices(&got, &body);
            let ended: Vec<&Value> = choices.iter().filter(|choice| !choice["finish_reason"].is_null()).collect();
            assert_eq!(ended.len() as u64, body["n"].as_u64().unwrap(), "{more} {path} {body}: {}", got.text);
            let spelled = choices.iter().flat_map(|choice| {
                [&choice["message"]["content"], &choice["delta"]["content"], &choice["text"]].map(Value::as_str)
            });
            assert!(!spelled.flatten().collect::<String>().contains(WORD), "{more} {path} {body}: {}", got.text);
            let found: usize = choices.iter().map(listed).sum();
            assert!(found == 0 || !body["logprobs"].is_null(), "{more} {path} {body}: {}", got.text);
            (tokens, recorded, asked) = (tokens + found, recorded + ended.len(), asked + 1);
        }
        drop(server);
        assert!(tokens > 0, "{more}: lists hold the tokens of answers");
        check_records(&path, recorded);
    }
    println!("{asked} combinations");
    assert_eq!(asked, 3 * 2 * 3 * 4 * 2);
}

/// Every choice is recorded, and no outcome has the token; what was sampled had it.
fn check_records(path: &Path, choices: usize) {
    let bodies: Vec<_> = read(path).unwrap().map(|line| line.unwrap().body.unwrap()).collect();
    assert_eq!(bodies.len(), choices);
    for body in &bodies {
        body.verify().unwrap();
        let outcome = &body.outcome;
        assert!(!outcome.tokens.contains(&FORBIDDEN) && !outcome.text.contains(WORD), "{outcome:?}");
    }
    assert!(bodies.iter().any(|body| body.outcome.usage.retries > 0 || body.outcome.tokens.is_empty()), "tempted");
}
