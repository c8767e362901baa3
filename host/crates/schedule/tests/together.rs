//! Many callers at once: answers are those of each alone, whatever joins and leaves.

mod common;

use common::{
    Event, Gate, Wrong, back_end, growth, handle, let_callers_come, open_scheduler, request, rows, scheduler, script,
    words,
};
use inferenceguard_model::{
    BackEnd, BeamId, Caller, Generator, ModelError, ScoreId, ScoreModel, ScoreRow, Token,
    conformance::{GeneratorOptions, ScoreOptions, generator, score},
};
use inferenceguard_schedule::{Limits, Scheduler};
use proptest::prelude::*;
use std::{sync::Arc, thread};

const SMALL: Limits = Limits { rows: 5, positions: 2, queue: 3 };

/// A handle, and the answer that it has begun.
type Opened = (Box<dyn ScoreModel>, ScoreId);

#[test]
fn a_scheduled_toy_keeps_every_promise() {
    for limits in [Limits::default(), SMALL] {
        let options = GeneratorOptions { tolerance: 0.0, ..GeneratorOptions::default() };
        let result = generator(|| back_end(&open_scheduler(limits)), &options).expect("every promise is kept");
        assert_eq!((result.checked.len(), result.skipped), (23, Vec::new()));
    }
}

#[test]
fn scheduled_scores_keep_every_promise() {
    let answers = vec![vec![1, 2, 3, 4, 1], vec![3, 2, 1, 4, 0], vec![4, 4, 2, 1]];
    let options = ScoreOptions::new(script().tokenizer(), ["a".into(), "b c".into()], answers);
    for name in ["cost", "judge"] {
        let make = || open_scheduler(Limits::default()).score_back_ends()[name].handle(&Caller::default());
        score(make, &ScoreOptions { tolerance: 0.0, ..options.clone() }).unwrap_or_else(|e| panic!("{name}: {e}"));
    }
}

#[test]
fn among_sixteen_callers_each_gets_what_it_gets_alone() {
    for limits in [Limits::default(), SMALL] {
        let alone: Vec<_> = (0..16).map(|i| request(&mut *handle(&open_scheduler(limits)), i).expect("rows")).collect();
        let scheduler = open_scheduler(limits);
        let together: Vec<_> = thread::scope(|scope| {
            let ask = |i| {
                let mut handle = handle(&scheduler);
                move || (0..3).map(|_| request(&mut *handle, i).expect("rows")).collect::<Vec<_>>()
            };
            let threads: Vec<_> = (0..16).map(|i| scope.spawn(ask(i))).collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
        });
        for (i, (alone, together)) in alone.iter().zip(together).enumerate() {
            assert!(together.iter().all(|one| one == alone), "caller {i}: {together:?} instead of {alone:?}");
        }
        assert_eq!(back_end(&scheduler).live_beams(), 0);
    }
}

#[test]
fn scores_of_many_callers_are_those_of_each_alone() {
    let scored = |scheduler: &Scheduler, variant: u32| -> Result<Vec<String>, ModelError> {
        let mut handle = scheduler.score_back_ends()["cost"].handle(&Caller::default());
        let root = handle.open("a b", script().tokenizer())?;
        let ids = handle.fork(&[root; 5])?;
        let tokens = |i: u32, len: u32| (0..len).map(|j| 1 + (variant + i * 3 + j) % 4).collect::<Vec<Token>>();
        let mut seen = Vec::new();
        for len in [4, 1, 7] {
            let rows = ids.iter().zip(0..).map(|(id, i)| ScoreRow { id: *id, tokens: tokens(i, len), ended: false });
            seen.push(format!("{:?}", handle.extend(&rows.collect::<Vec<_>>())?));
        }
        Ok(seen)
    };
    let alone: Vec<_> = (0..8).map(|i| scored(&open_scheduler(SMALL), i).expect("scores")).collect();
    let scheduler = open_scheduler(Limits { positions: 9, ..SMALL });
    let together: Vec<_> = thread::scope(|scope| {
        let (scheduler, scored) = (&scheduler, &scored);
        let threads: Vec<_> = (0..8).map(|i| scope.spawn(move || scored(scheduler, i))).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic").expect("scores")).collect()
    });
    assert_eq!(together, alone);
    let cost = &scheduler.score_back_ends()["cost"];
    assert_eq!((cost.positions(), cost.live_rows()), (8 * 5 * 12, 0));
}

#[test]
fn bad_calls_of_one_caller_fail_for_nobody_else() {
    let alone = request(&mut *handle(&open_scheduler(SMALL)), 3).expect("rows");
    let scheduler = open_scheduler(SMALL);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut bad = handle(&scheduler);
            let long = bad.open(&vec![1; 398]).expect("it fits");
            for _ in 0..30 {
                let grown = bad.grow(&growth(9), rows(long, 2, 9, 0));
                assert!(matches!(grown, Err(ModelError::ContextExceeded { .. })) || grown.is_ok(), "{grown:?}");
                assert!(matches!(bad.append(&[(BeamId(7777), 1)]), Err(ModelError::UnknownBeam(_))));
                assert!(matches!(bad.append(&[(long, 99)]), Err(ModelError::UnknownToken { .. })));
                assert!(matches!(bad.open(&[]), Err(ModelError::EmptyPrompt)));
                assert!(bad.grow(&growth(0), rows(long, 1, 1, 0)).is_err());
            }
        });
        for _ in 0..10 {
            assert_eq!(request(&mut *handle(&scheduler), 3).expect("rows"), alone);
        }
    });
    assert_eq!(back_end(&scheduler).live_beams(), 0);
}

/// Scores these rows in one slice, one row per caller: what each got, and the positions of each slice.
fn in_one_slice(rows: &[(Vec<Token>, usize)]) -> (Vec<Result<f32, ModelError>>, Vec<usize>) {
    let gate = Gate::closed();
    let scheduler = scheduler(&gate, Limits::default(), Wrong::default(), false);
    let opened = |before: usize| {
        let mut handle = scheduler.score_back_ends()["cost"].handle(&Caller::default());
        let id = handle.open("a", script().tokenizer()).expect("it fits");
        handle.extend(&[ScoreRow { id, tokens: vec![2; before], ended: false }]).expect("it fits");
        (handle, id)
    };
    let opened: Vec<_> = rows.iter().map(|(_, before)| opened(*before)).collect();
    let begun = gate.events().len();
    let scored = thread::scope(|scope| {
        let growing = scope.spawn(|| {
            let mut handle = handle(&scheduler);
            let root = handle.open(&[1]).expect("a prompt");
            handle.grow(&growth(9), common::rows(root, 1, 9, 1)).expect("a row")
        });
        gate.wait_entered(1);
        let extend = |((mut handle, id), (tokens, _)): (Opened, &(Vec<Token>, usize))| {
            let row = ScoreRow { id, tokens: tokens.clone(), ended: false };
            move || -> Result<f32, ModelError> { Ok(handle.extend(&[row])?.remove(0).end) }
        };
        let threads: Vec<_> = opened.into_iter().zip(rows).map(|one| scope.spawn(extend(one))).collect();
        let_callers_come();
        gate.allow(usize::MAX / 2);
        growing.join().expect("no panic");
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    let positions = |event: &Event| if let Event::Score(positions, _) = event { Some(*positions) } else { None };
    (scored, gate.events()[begun..].iter().filter_map(positions).collect())
}

#[test]
fn a_row_that_cannot_be_scored_fails_for_its_own_call() {
    type Fails = fn(&ModelError) -> bool;
    let bad: [(Vec<Token>, usize, Fails); 2] = [
        (vec![2; 120], 360, |error| matches!(error, ModelError::ContextExceeded { .. })),
        (vec![2, 99], 1, |error| matches!(error, ModelError::UnknownToken { token: 99, .. })),
    ];
    for (bad, before, fails) in bad {
        let len = bad.len();
        let rows = [(vec![2; 10], 1), (vec![2; 20], 2), (bad, before), (vec![2; 30], 3)];
        let (scored, mut slices) = in_one_slice(&rows);
        assert!(scored[2].as_ref().is_err_and(fails), "{scored:?}");
        for (at, end) in [(0, 11.0), (1, 22.0), (3, 33.0)] {
            assert_eq!(*scored[at].as_ref().expect("it fits"), end);
        }
        // All four in one slice, then each alone.
        assert_eq!(slices.remove(0), 60 + len, "{slices:?}");
        slices.sort_unstable();
        let mut alone = vec![10, 20, 30, len];
        alone.sort_unstable();
        assert_eq!(slices, alone);
    }
}

#[test]
fn an_endless_model_names_no_end_token() {
    let scheduler = open_scheduler(Limits::default());
    let endless = scheduler.endless().expect("a language model");
    assert!(endless.info().eos.is_empty() && endless.handle(&Caller::default()).info().eos.is_empty());
    assert_eq!(back_end(&scheduler).info().eos, [0]);
}

/// What a handle does next; numbers choose among its beams.
#[derive(Debug, Clone)]
enum Act {
    Grow { beam: usize, rows: u64, tokens: u32, variant: u64 },
    Append { beam: usize, token: Token },
    Fork { beam: usize },
    Read { beam: usize },
    Release { beam: usize },
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        3 => (any::<usize>(), 1_u64..5, 1_u32..8, 0_u64..50)
            .prop_map(|(beam, rows, tokens, variant)| Act::Grow { beam, rows, tokens, variant }),
        2 => (any::<usize>(), 1_u32..5).prop_map(|(beam, token)| Act::Append { beam, token }),
        1 => any::<usize>().prop_map(|beam| Act::Fork { beam }),
        1 => any::<usize>().prop_map(|beam| Act::Read { beam }),
        1 => any::<usize>().prop_map(|beam| Act::Release { beam }),
    ]
}

/// Performs the acts; all that was seen.
fn perform(scheduler: &Scheduler, acts: &[Act]) -> Result<Vec<String>, ModelError> {
    let mut handle = handle(scheduler);
    let mut beams = vec![handle.open(&[1, 2])?];
    let mut seen = Vec::new();
    for act in acts {
        let at = |beam: &usize| beam % beams.len();
        match act {
            Act::Grow { beam, rows: count, tokens, variant } => {
                let grown = handle.grow(&growth(*tokens), rows(beams[at(beam)], *count, *tokens, *variant))?;
                seen.push(words(&grown));
                beams.extend(grown.into_iter().flatten().map(|(beam, _)| beam));
            }
            Act::Append { beam, token } => handle.append(&[(beams[at(beam)], *token)])?,
            Act::Fork { beam } => {
                let forks = handle.fork(&[beams[at(beam)]])?;
                beams.extend(forks);
            }
            Act::Read { beam } => seen.push(format!("{:?}", handle.logits(&[beams[at(beam)]])?)),
            Act::Release { beam } if beams.len() > 1 => {
                let beam = beams.remove(at(beam));
                handle.release(&[beam]);
            }
            Act::Release { .. } => {}
        }
    }
    Ok(seen)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn however_calls_interleave_each_handle_sees_what_it_sees_alone(
        programs in prop::collection::vec(prop::collection::vec(act(), 1..12), 2..6),
        limit in 1_usize..9,
    ) {
        let limits = Limits { rows: limit, positions: 1, queue: 2 };
        let alone: Vec<_> = programs.iter().map(|acts| perform(&open_scheduler(limits), acts).expect("it fits")).collect();
        let scheduler = open_scheduler(limits);
        let together: Vec<_> = thread::scope(|scope| {
            let threads: Vec<_> =
                programs.iter().map(|acts| scope.spawn(|| perform(&scheduler, acts).expect("it fits"))).collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
        });
        prop_assert_eq!(together, alone);
        prop_assert_eq!(back_end(&scheduler).live_beams(), 0);
    }
}

#[test]
fn back_ends_and_handles_keep_the_thread_and_the_models() {
    let (back_end, scores): (Arc<dyn BackEnd>, _) = {
        let scheduler = open_scheduler(Limits::default());
        (back_end(&scheduler), scheduler.score_back_ends())
    };
    let mut handle: Box<dyn Generator> = back_end.handle(&Caller::default());
    let mut score: Box<dyn ScoreModel> = scores["cost"].handle(&Caller::default());
    drop((back_end, scores));
    assert!(handle.open(&[1]).is_ok());
    assert!(score.open("a", script().tokenizer()).is_ok());
    assert_eq!(score.live_rows(), 1);
}
