//! The cost of serving and activating: HTTP over the engine, activations under load, a component from upload to decision.
//!
//! It runs on the toy model, so that only the server and the policy are measured. With `--test` every part runs briefly.

#![allow(clippy::print_stdout, reason = "a bench prints its figures")]

#[path = "../tests/common/mod.rs"]
mod common;

use common::{MANIFEST, Running, bundle, chat, start, with};
use inferenceguard_host::{Engine, Event, Request};
use inferenceguard_testkit::components;
use serde_json::json;
use std::{
    fs,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

const STREAMS: usize = 32;

fn main() {
    let short = std::env::args().any(|argument| argument == "--test");
    let count = |whole: usize| if short { whole.div_ceil(100) } else { whole };
    overhead(count(2000));
    first_decision(count(2000));
    upload(count(100));
    swaps(count(10_000));
}

fn tighter() -> String {
    MANIFEST.replace("budget = 4", "budget = 3")
}

fn request(seed: usize) -> Request {
    Request { seed: Some(seed as u64), ..Request::new("ask") }
}

/// The same requests through HTTP and directly to the engine, in turn.
fn overhead(times: usize) {
    let server = start("");
    let (mut through_http, mut through_engine) = (Vec::new(), Vec::new());
    for seed in 0..times {
        through_http.push(timed(|| {
            assert_eq!(server.post("/v1/chat/completions", with(chat("ask"), "seed", json!(seed))).status, 200);
        }));
        through_engine.push(timed(|| drop(server.engine.generate(request(seed)).expect("an answer"))));
    }
    let (http, engine) = (median(&mut through_http), median(&mut through_engine));
    println!("a request through HTTP {http:.3} ms, through the engine {engine:.3} ms");
    limited("what HTTP adds to a request, median", http - engine, 1.0);
}

/// From the acknowledged activation of a bundle that was compiled before, to the first decision under it.
fn first_decision(times: usize) {
    let server = start("");
    let engine: &Engine = &server.engine;
    let bundles = [bundle(MANIFEST), bundle(&tighter())];
    let mut found: Vec<f64> = (0..times)
        .map(|turn| {
            let number = engine.activate(&bundles[turn % 2]).expect("it fits").number;
            let (start, mut first) = (Instant::now(), None);
            let listen = |event| {
                if let Event::Progress(_) = event {
                    first.get_or_insert_with(|| start.elapsed());
                }
            };
            let output = engine.stream(request(turn), &Default::default(), listen).expect("an answer");
            assert_eq!(output.generations, [number]);
            milliseconds(first.expect("a decision"))
        })
        .collect();
    println!("from an acknowledged activation to the first decision, median {:.3} ms", median(&mut found));
    limited("the same, 99th percentile (prompt, first chunk and prices included)", percentile(&mut found, 0.99), 1.0);
}

/// A new component of 300 kB, from `PUT` to active.
fn upload(times: usize) {
    let server = start("");
    let mut found: Vec<f64> = (0..times)
        .map(|turn| {
            let dir = tempfile::tempdir().expect("a folder");
            let policy = padded(&components::first_party()["inference-guard"], 300_000, turn);
            fs::write(dir.path().join("inference-guard.wasm"), policy).expect("a component");
            fs::write(dir.path().join("bundle.toml"), MANIFEST).expect("a manifest");
            timed(|| assert_eq!(server.put("/admin/bundle", json!({"path": dir.path()})).status, 200))
        })
        .collect();
    limited("a new component of 300 kB from upload to active, median", median(&mut found), 150.0);
}

/// The same component with a custom section that makes it larger and unique.
fn padded(component: &[u8], size: usize, turn: usize) -> Vec<u8> {
    let padding = size.saturating_sub(component.len() + 16);
    let mut content = vec![3];
    content.extend(b"pad");
    content.extend(turn.to_le_bytes());
    content.resize(padding.max(content.len()), 0);
    let mut padded = component.to_vec();
    padded.push(0);
    let mut length = content.len();
    while length >= 0x80 {
        padded.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    padded.push(length as u8);
    padded.extend(content);
    padded
}

/// Activations while streams run.
fn swaps(times: usize) {
    let server = start("max_waiting = 1000");
    let (done, answers) = (AtomicBool::new(false), AtomicU64::new(0));
    let start = Instant::now();
    thread::scope(|scope| {
        for stream in 0..STREAMS {
            let (server, done, answers) = (&server, &done, &answers);
            scope.spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    whole_and_of_one_generation(server, stream);
                    answers.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for turn in 0..times {
            let manifest = if turn % 2 == 0 { tighter() } else { MANIFEST.to_owned() };
            assert_eq!(server.put("/admin/bundle", json!({"manifest": manifest})).status, 200);
        }
        done.store(true, Ordering::Relaxed);
    });
    let (answers, seconds) = (answers.load(Ordering::Relaxed), start.elapsed().as_secs_f64());
    println!(
        "{times} activations under {STREAMS} streams in {seconds:.1} s: {answers} answers, none failed or cut off, each of one \
         generation and its budget"
    );
}

/// Reads a stream. Panics unless it is complete, and one generation decided it with its own budget.
fn whole_and_of_one_generation(server: &Running, seed: usize) {
    let body = with(with(chat("ask"), "stream", json!(true)), "seed", json!(seed));
    let got = server.post("/v1/chat/completions", body);
    assert!(got.status == 200 && got.text.trim_end().ends_with("data: [DONE]"), "{}", got.text);
    let events = got.events();
    let guard = events.iter().find_map(|event| event["choices"][0].get("inferenceguard")).expect("an ending");
    let generations = guard["generations"].as_array().expect("generations");
    assert_eq!(generations.len(), 1, "{guard}");
    let budget = if generations[0].as_u64().expect("a number") % 2 == 1 { 4.0 } else { 3.0 };
    assert_eq!(guard["constraints"][0]["budget"], budget, "{guard}");
}

fn timed(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    milliseconds(start.elapsed())
}

fn milliseconds(time: Duration) -> f64 {
    1000.0 * time.as_secs_f64()
}

fn median(values: &mut [f64]) -> f64 {
    percentile(values, 0.5)
}

fn percentile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let at = ((values.len() as f64 * share) as usize).min(values.len() - 1);
    values[at]
}

fn limited(what: &str, found: f64, limit: f64) {
    println!("{what}: {found:.3} ms, at most {limit} ms: {:.2} of it", found / limit);
}
