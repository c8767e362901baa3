//! Many requests at once, and bundles that change under them.

mod deployment;

use deployment::{MANIFEST, bundle_with, engine};
use inferenceguard_bundle::Bundle;
use inferenceguard_host::{CancelToken, Engine, EngineError, LiveBeams, Output, Request};
use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
};

const SCRIPT: &str = "vocab: <eos>* ask good bad plain
context: 64
after : good 3, plain 3, bad 3, <eos> 1
score cost: bad 5
score reward cumulative: good 1, bad 3";

const METHODS: [&str; 5] = ["inference-guard", "base", "best-of-n", "beam+augmented", "args"];

fn request(seed: u64) -> Request {
    let method = METHODS[usize::try_from(seed).unwrap() % METHODS.len()];
    Request { seed: Some(seed), method: Some(method.to_owned()), ..Request::new("ask") }
}

fn timeless(output: Output) -> Output {
    let mut timeless = output;
    (timeless.seconds, timeless.generations, timeless.profile) = (0.0, Vec::new(), Default::default());
    timeless
}

fn bundle(budget: f64) -> Bundle {
    bundle_with(&MANIFEST.replace("budget = 4", &format!("budget = {budget}")), &[])
}

#[test]
fn together_is_as_alone() {
    let engine = engine(SCRIPT, "", &[], &METHODS);
    let alone: Vec<Output> = (0..40).map(|seed| timeless(engine.generate(request(seed)).unwrap())).collect();
    let together: Vec<Output> = thread::scope(|scope| {
        let asked: Vec<_> = (0..40)
            .map(|seed| {
                scope.spawn({
                    let engine = &engine;
                    move || engine.generate(request(seed))
                })
            })
            .collect();
        asked.into_iter().map(|thread| timeless(thread.join().unwrap().unwrap())).collect()
    });
    for (alone, together) in alone.iter().zip(&together) {
        assert_eq!(format!("{alone:?}"), format!("{together:?}"));
    }
    assert_eq!((engine.live_beams(), engine.live(), engine.waiting()), (LiveBeams::default(), 0, 0));
}

#[test]
fn cancelled_and_refused_requests_leave_the_others_alone() {
    let engine = engine(SCRIPT, "", &[], &METHODS);
    let expected: Vec<Output> = (0..20).map(|seed| timeless(engine.generate(request(seed)).unwrap())).collect();
    thread::scope(|scope| {
        for seed in 0..20 {
            let (engine, expected) = (&engine, &expected);
            scope.spawn(move || {
                let found = timeless(engine.generate(request(seed)).unwrap());
                assert_eq!(format!("{found:?}"), format!("{:?}", expected[usize::try_from(seed).unwrap()]));
            });
            scope.spawn(move || engine.generate(Request::new("unheard")).unwrap_err());
            scope.spawn(move || {
                let cancel = CancelToken::new();
                cancel.cancel();
                // Whether its turn had come or not, it ends without an answer.
                match engine.stream(request(seed), &cancel, |_| {}) {
                    Ok(output) => assert!(output.tokens.is_empty(), "{output:?}"),
                    Err(error) => assert!(matches!(error, EngineError::CancelledWaiting), "{error}"),
                }
            });
        }
    });
    assert_eq!(engine.live_beams(), LiveBeams::default());
}

/// The budget that a generation has: odd ones 4, even ones 9.
fn budget_of(generation: u64) -> f64 {
    if generation % 2 == 1 { 4.0 } else { 9.0 }
}

fn check(output: &Output) {
    let [generation] = output.generations[..] else { panic!("{:?}", output.generations) };
    assert_eq!(output.constraints[0].budget, budget_of(generation), "generation {generation}");
    assert!(output.failures.is_empty(), "{:?}", output.failures);
}

fn ask_until(engine: &Engine, done: &AtomicBool, answered: &AtomicUsize, seed: u64) {
    while !done.load(Ordering::Relaxed) {
        check(&engine.generate(Request { seed: Some(seed), ..Request::new("ask") }).unwrap());
        answered.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn bundles_change_under_load_and_every_answer_has_one_generation() {
    let engine = engine(SCRIPT, "", &[], &["inference-guard"]);
    let bundles = [bundle(9.0), bundle(4.0)];
    let (done, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        for seed in 0..32 {
            let (engine, done, answered) = (&engine, &done, &answered);
            scope.spawn(move || ask_until(engine, done, answered, seed));
        }
        for swap in 0..300_usize {
            let generation = engine.activate(&bundles[swap % 2]).unwrap();
            assert_eq!(generation.number, swap as u64 + 2);
            assert_eq!(engine.generation(), generation);
        }
        done.store(true, Ordering::Relaxed);
    });
    assert!(answered.into_inner() > 32);
    assert_eq!((engine.live_beams(), engine.generation().number), (LiveBeams::default(), 301));
}

#[test]
fn who_begins_after_the_acknowledgement_is_decided_by_the_new_bundle() {
    let engine = engine(SCRIPT, "", &[], &["inference-guard"]);
    let (old, new) = (bundle(4.0), bundle(9.0));
    for round in 0..20 {
        let (acknowledged, asked) =
            (engine.activate(if round % 2 == 0 { &new } else { &old }).unwrap(), Request::new("ask"));
        assert_eq!(engine.generate(asked).unwrap().generations, [acknowledged.number]);
    }
}

#[test]
fn those_who_wait_are_decided_by_what_is_active_when_their_turn_comes() {
    let toy = deployment::builder(SCRIPT, "", &[]).method("inference-guard").max_live(1).build().unwrap();
    let new = bundle(9.0);
    let mut generations = BTreeSet::new();
    thread::scope(|scope| {
        let mut waiting = None;
        let mut begun = false;
        let output = toy.stream(Request::new("ask"), &CancelToken::new(), |_| {
            if std::mem::replace(&mut begun, true) {
                return;
            }
            waiting = Some(scope.spawn(|| toy.generate(Request::new("ask")).unwrap()));
            while toy.waiting() == 0 {
                thread::yield_now();
            }
            toy.activate(&new).unwrap();
        });
        generations.extend(output.unwrap().generations);
        let later = waiting.unwrap().join().unwrap();
        check(&later);
        generations.extend(later.generations);
    });
    assert_eq!(generations, BTreeSet::from([1, 2]), "the first one was drained, the other began later");
}

#[test]
fn a_bundle_that_does_not_fit_never_becomes_active() {
    let engine = engine(SCRIPT, "", &[], &["inference-guard"]);
    let before = engine.generation();
    let other_model = bundle_with(&MANIFEST.replace("model = \"cost\"", "model = \"absent\""), &[]);
    let bad_setting = bundle_with(&MANIFEST.replace("n = 8", "n = 0"), &[]);
    for (bundle, words) in [(other_model, "`absent`"), (bad_setting, "n")] {
        let error = engine.activate(&bundle).unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
        assert_eq!(engine.generation(), before);
    }
    check(&engine.generate(Request::new("ask")).unwrap());
    assert_eq!(engine.activate(&bundle(9.0)).unwrap().number, 2, "a failed activation takes no number");
}
