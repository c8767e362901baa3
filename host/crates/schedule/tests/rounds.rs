//! What the thread does round by round: slices, turns, cancelled calls, panics, sleep. Everything is counted, nothing is timed.

mod common;

use common::{
    Event, Gate, Wrong, back_end, growth, handle, let_callers_come, open_scheduler, request, rows, scheduler, script,
    words,
};
use inferenceguard_model::{
    BeamId, Caller, Cancel, Growth, ModelError, ScoreBackEnd, ScoreId, ScoreModel, ScoreRow, Token,
};
use inferenceguard_schedule::Limits;
use std::{collections::BTreeSet, sync::Arc, thread, time::Duration};

const LIMITS: Limits = Limits { rows: 4, positions: 4, queue: 16 };

/// The most events of one kind between two steps, among those that lie between the first and the last step.
fn most_between_steps(events: &[Event], counts: impl Fn(&Event) -> bool) -> (usize, usize) {
    let is_step = |event: &Event| matches!(event, Event::Step(_));
    let first = events.iter().position(is_step).unwrap_or(0);
    let last = events.iter().rposition(is_step).unwrap_or(0);
    let between: Vec<usize> =
        events[first..=last].split(is_step).map(|part| part.iter().filter(|event| counts(event)).count()).collect();
    (between.iter().copied().max().unwrap_or(0), between.iter().sum())
}

#[test]
fn a_long_prompt_delays_a_step_of_others_by_one_slice_at_most() {
    let gate = Gate::closed();
    let scheduler = scheduler(&gate, LIMITS, Wrong::default(), false);
    thread::scope(|scope| {
        let growing = scope.spawn(|| {
            let mut handle = handle(&scheduler);
            let root = handle.open(&[1]).expect("a prompt");
            handle.grow(&common::growth(60), rows(root, 1, 60, 1)).expect("a row")
        });
        gate.wait_entered(1);
        let reading = scope.spawn(|| handle(&scheduler).open(&[2; 80]).expect("a prompt"));
        let_callers_come();
        gate.allow(usize::MAX / 2);
        growing.join().expect("no panic");
        reading.join().expect("no panic");
    });
    let (most, overlap) = most_between_steps(&gate.events(), |event| matches!(event, Event::Prompt(_)));
    assert_eq!(most, 1, "slices between two steps");
    assert!(overlap >= 10, "{overlap} of 20 slices fell between steps");
    let slices = gate.events().iter().filter(|event| matches!(event, Event::Prompt(_))).count();
    assert_eq!(slices, 1 + 20);
}

#[test]
fn a_prompt_is_read_to_its_end_before_the_next_one() {
    let gate = Gate::closed();
    let scheduler = scheduler(&gate, LIMITS, Wrong::default(), false);
    thread::scope(|scope| {
        let growing = scope.spawn(|| {
            let mut handle = handle(&scheduler);
            let root = handle.open(&[1]).expect("a prompt");
            handle.grow(&growth(60), rows(root, 1, 60, 1)).expect("a row")
        });
        gate.wait_entered(1);
        for token in 2..5 {
            let scheduler = &scheduler;
            scope.spawn(move || handle(scheduler).open(&[token; 20]).expect("a prompt"));
        }
        let_callers_come();
        gate.allow(usize::MAX / 2);
        growing.join().expect("no panic");
    });
    let prompt = |event: &Event| match event {
        Event::Prompt(token) => *token,
        _ => None,
    };
    let slices: Vec<Token> = gate.events().iter().filter_map(prompt).filter(|token| *token > 1).collect();
    let whole: Vec<usize> = slices.chunk_by(|a, b| a == b).map(<[Token]>::len).collect();
    assert_eq!(whole, [5, 5, 5], "{slices:?}");
}

/// A handle with scored beams.
fn scored_beams(score: &dyn ScoreBackEnd, rows: usize) -> Result<(Box<dyn ScoreModel>, Vec<ScoreId>), ModelError> {
    let mut handle = score.handle(&Caller::default());
    let root = handle.open("a", script().tokenizer())?;
    let ids = handle.fork(&vec![root; rows])?;
    Ok((handle, ids))
}

fn extend(handle: &mut dyn ScoreModel, ids: &[ScoreId], tokens: usize) -> Result<(), ModelError> {
    let row = |id: &ScoreId| ScoreRow { id: *id, tokens: vec![2; tokens], ended: false };
    let scored = handle.extend(&ids.iter().map(row).collect::<Vec<_>>())?;
    assert_eq!(scored.len(), ids.len());
    Ok(())
}

fn score_rows(score: &dyn ScoreBackEnd, rows: usize, tokens: usize) -> Result<(), ModelError> {
    let (mut handle, ids) = scored_beams(score, rows)?;
    extend(handle.as_mut(), &ids, tokens)
}

#[test]
fn scores_of_one_caller_run_between_the_steps_of_another() {
    let gate = Gate::closed();
    let scheduler = scheduler(&gate, LIMITS, Wrong::default(), false);
    let (mut scores, ids) = scored_beams(scheduler.score_back_ends()["cost"].as_ref(), 16).expect("scored beams");
    thread::scope(|scope| {
        let growing = scope.spawn(|| {
            let mut handle = handle(&scheduler);
            let root = handle.open(&[1]).expect("a prompt");
            handle.grow(&growth(60), rows(root, 1, 60, 1)).expect("a row")
        });
        gate.wait_entered(1);
        let scoring = scope.spawn(move || extend(scores.as_mut(), &ids, 3).expect("scores"));
        let_callers_come();
        gate.allow(usize::MAX / 2);
        growing.join().expect("no panic");
        scoring.join().expect("no panic");
    });
    let (most, overlap) = most_between_steps(&gate.events(), |event| matches!(event, Event::Score(..)));
    assert_eq!(most, 1, "slices between two steps");
    assert!(overlap >= 8, "{overlap} of 16 slices fell between steps");
    assert!(gate.events().iter().all(|event| !matches!(event, Event::Score(positions, _) if *positions > 4)));
}

#[test]
fn a_long_prompt_of_a_score_model_delays_others_by_slices_only() {
    let gate = Gate::closed();
    let scheduler = scheduler(&gate, LIMITS, Wrong::default(), false);
    let cost = Arc::clone(&scheduler.score_back_ends()["cost"]);
    let (mut scores, ids) = scored_beams(cost.as_ref(), 6).expect("scored beams");
    thread::scope(|scope| {
        let growing = scope.spawn(|| {
            let mut handle = handle(&scheduler);
            let root = handle.open(&[1]).expect("a prompt");
            handle.grow(&growth(60), rows(root, 1, 60, 1)).expect("a row")
        });
        gate.wait_entered(1);
        let reading = scope.spawn(|| {
            let mut handle = cost.handle(&Caller::default());
            handle.open(&["a"; 40].join(" "), script().tokenizer()).expect("a prompt")
        });
        let_callers_come();
        let scoring = scope.spawn(move || extend(scores.as_mut(), &ids, 3).expect("scores"));
        let_callers_come();
        gate.allow(usize::MAX / 2);
        growing.join().expect("no panic");
        reading.join().expect("no panic");
        scoring.join().expect("no panic");
    });
    let (events, is_part) = (gate.events(), |event: &Event| *event == Event::Opening(40));
    assert_eq!(events.iter().filter(|event| is_part(event)).count(), 40 / LIMITS.positions, "{events:?}");
    assert_eq!(most_between_steps(&events, is_part).0, 1, "slices between two steps");
    let last = events.iter().rposition(is_part).expect("a slice");
    let scored = events[..last].iter().filter(|event| matches!(event, Event::Score(..))).count();
    assert_eq!(scored, 6, "all rows of the other caller are scored before the prompt is read: {events:?}");
}

#[test]
fn scores_of_two_callers_take_turns() {
    let gate = Gate::closed();
    let scheduler = scheduler(&gate, LIMITS, Wrong::default(), false);
    let cost = Arc::clone(&scheduler.score_back_ends()["cost"]);
    let mut calls = [(), ()].map(|()| scored_beams(cost.as_ref(), 8).expect("scored beams"));
    let owners: Vec<Vec<ScoreId>> = calls.iter().map(|(_, ids)| ids.clone()).collect();
    thread::scope(|scope| {
        let growing = scope.spawn(|| {
            let mut handle = handle(&scheduler);
            let root = handle.open(&[1]).expect("a prompt");
            handle.grow(&growth(60), rows(root, 1, 60, 1)).expect("a row")
        });
        gate.wait_entered(1);
        for (handle, ids) in &mut calls {
            scope.spawn(|| extend(handle.as_mut(), ids, 3).expect("scores"));
        }
        let_callers_come();
        gate.allow(usize::MAX / 2);
        growing.join().expect("no panic");
    });
    let events = gate.events();
    let owner = |event: &Event| match event {
        Event::Score(_, id) => owners.iter().position(|ids| ids.contains(id)),
        _ => None,
    };
    let slices: Vec<usize> = events.iter().filter_map(owner).collect();
    assert_eq!(slices.len(), 16);
    assert!(slices.windows(2).all(|pair| pair[0] != pair[1]), "{slices:?}");
}

#[test]
fn a_cancelled_call_takes_part_in_no_further_step_and_its_beams_are_free() {
    let gate = Gate::closed();
    let scheduler = scheduler(&gate, LIMITS, Wrong::default(), false);
    let back_end = back_end(&scheduler);
    let cancel = Cancel::default();
    let caller = Caller { cancel: cancel.clone(), ..Caller::default() };
    let mut handle = back_end.handle(&caller);
    let root = handle.open(&[1]).expect("a prompt");
    thread::scope(|scope| {
        let growing = scope.spawn(|| handle.grow(&growth(50), rows(root, 3, 50, 1)));
        gate.wait_entered(1);
        cancel.cancel();
        gate.allow(usize::MAX / 2);
        let ended = growing.join().expect("no panic");
        assert!(matches!(ended, Err(ModelError::Cancelled)), "{ended:?}");
    });
    assert_eq!(gate.steps(), 1, "the step that ran when the caller cancelled is the last one");
    assert_eq!(back_end.live_beams(), 1, "the prompt");
    drop(handle);
    assert_eq!(back_end.live_beams(), 0);
}

#[test]
fn cancelled_prompts_and_scores_end_as_well() {
    let gate = Gate::closed();
    let scheduler = scheduler(&gate, LIMITS, Wrong::default(), false);
    let cancel = Cancel::default();
    let caller = Caller { cancel: cancel.clone(), ..Caller::default() };
    thread::scope(|scope| {
        let growing = scope.spawn(|| {
            let mut handle = handle(&scheduler);
            let root = handle.open(&[1]).expect("a prompt");
            handle.grow(&growth(60), rows(root, 1, 60, 1)).expect("a row")
        });
        gate.wait_entered(1);
        let mut reader = back_end(&scheduler).handle(&caller);
        let mut scorer = scheduler.score_back_ends()["cost"].handle(&caller);
        let reading = scope.spawn(move || reader.open(&[2; 300]).map(drop));
        let scoring = scope.spawn(move || scorer.open("a", script().tokenizer()).map(drop));
        let_callers_come();
        cancel.cancel();
        gate.allow(usize::MAX / 2);
        for ended in [reading.join(), scoring.join()] {
            assert!(matches!(ended.expect("no panic"), Err(ModelError::Cancelled)));
        }
        growing.join().expect("no panic");
    });
    let slices = gate.events().iter().filter(|event| matches!(event, Event::Prompt(_))).count();
    assert!(slices <= 2, "{slices} slices of prompts, one of them of a cancelled caller at most");
    assert_eq!(back_end(&scheduler).live_beams(), 0);
}

#[test]
fn where_not_all_rows_fit_callers_take_turns() {
    let gate = Gate::closed();
    let scheduler = scheduler(&gate, LIMITS, Wrong::default(), false);
    let endless = Growth { end: Vec::new(), ..growth(20) };
    let mut handles: Vec<_> = (0..3).map(|_| handle(&scheduler)).collect();
    let roots: Vec<BeamId> = handles.iter_mut().map(|handle| handle.open(&[1]).expect("a prompt")).collect();
    let owners: Vec<BTreeSet<BeamId>> = thread::scope(|scope| {
        let mut ask = (0..3).zip(&mut handles).zip(roots).map(|((i, handle), root)| {
            let endless = &endless;
            move || -> BTreeSet<BeamId> {
                let grown = handle.grow(endless, rows(root, 4, 20, i)).expect("rows");
                grown.into_iter().map(|row| row.expect("a row").0).collect()
            }
        });
        let first = scope.spawn(ask.next().expect("three"));
        gate.wait_entered(1);
        let others: Vec<_> = ask.map(|ask| scope.spawn(ask)).collect();
        let_callers_come();
        gate.allow(usize::MAX / 2);
        [first].into_iter().chain(others).map(|thread| thread.join().expect("no panic")).collect()
    });
    let owner = |beams: &Vec<BeamId>| owners.iter().position(|own| own.contains(&beams[0]));
    let events = gate.events();
    let steps: Vec<(usize, usize)> = events
        .iter()
        .filter_map(|event| match event {
            Event::Step(beams) => Some((owner(beams)?, beams.len())),
            _ => None,
        })
        .collect();
    assert!(steps.iter().all(|(_, rows)| *rows <= LIMITS.rows), "{steps:?}");
    let all_three =
        |window: &[(usize, usize)]| window.iter().map(|(owner, _)| *owner).collect::<BTreeSet<_>>().len() == 3;
    // From the time when all have joined to the time when the first one leaves.
    let joined = (0..3).filter_map(|one| steps.iter().position(|(owner, _)| *owner == one)).max().unwrap_or(0);
    let left = (0..3).filter_map(|one| steps.iter().rposition(|(owner, _)| *owner == one)).min().unwrap_or(0);
    assert!(left >= joined + 20, "the callers were there at the same time: {steps:?}");
    assert!(steps[joined..=left].windows(3).all(all_three), "{steps:?}");
}

#[test]
fn rows_of_three_callers_share_steps() {
    let gate = Gate::closed();
    let scheduler = scheduler(&gate, Limits { rows: 8, ..LIMITS }, Wrong::default(), false);
    let endless = Growth { end: Vec::new(), ..growth(20) };
    let mut handles = [(), (), ()].map(|()| handle(&scheduler));
    let roots = handles.each_mut().map(|handle| handle.open(&[1]).expect("a prompt"));
    thread::scope(|scope| {
        let mut ask = (0..3).zip(&mut handles).zip(roots).map(|((i, handle), root)| {
            let endless = &endless;
            move || handle.grow(endless, rows(root, 2, 20, i)).expect("rows").len()
        });
        let first = scope.spawn(ask.next().expect("three"));
        gate.wait_entered(1);
        let others: Vec<_> = ask.map(|ask| scope.spawn(ask)).collect();
        let_callers_come();
        gate.allow(usize::MAX / 2);
        let grown = [first].into_iter().chain(others).map(|thread| thread.join().expect("no panic"));
        assert_eq!(grown.collect::<Vec<_>>(), [2, 2, 2]);
    });
    let all = gate.events().iter().filter(|event| matches!(event, Event::Step(beams) if beams.len() == 6)).count();
    // A call of 20 tokens takes 20 turns, 19 of them with a step. The others join two turns after the first one.
    assert_eq!((all, scheduler.counts().turns), (17, 22), "{:?}", gate.events());
}

#[test]
fn a_step_that_fails_fails_the_calls_that_were_part_of_it_and_no_others() {
    let gate = Gate::closed();
    // The second step is that of the first caller's rows and of the appended token.
    let scheduler = scheduler(&gate, Limits { rows: 8, ..LIMITS }, Wrong { fails_at: 2, ..Wrong::default() }, false);
    let mut handles = [(), (), ()].map(|()| handle(&scheduler));
    let roots = handles.each_mut().map(|handle| handle.open(&[1]).expect("a prompt"));
    let alone = {
        let mut handle = handle(&open_scheduler(LIMITS));
        let root = handle.open(&[1]).expect("a prompt");
        words(&handle.grow(&growth(9), rows(root, 2, 9, 2)).expect("rows"))
    };
    thread::scope(|scope| {
        let [first, second, third] = &mut handles;
        let endless = Growth { end: Vec::new(), ..growth(9) };
        let growing = scope.spawn(move || first.grow(&endless, rows(roots[0], 2, 9, 1)).map(|rows| rows.len()));
        gate.wait_entered(1);
        let joining = scope.spawn(move || second.grow(&growth(9), rows(roots[1], 2, 9, 2)));
        let appending = scope.spawn(move || third.append(&[(roots[2], 2)]).map(|()| 0));
        let_callers_come();
        gate.allow(usize::MAX / 2);
        for failed in [growing, appending] {
            let error = failed.join().expect("no panic").expect_err("its step failed").to_string();
            assert!(error.contains("the device is gone"), "{error}");
        }
        let joined = joining.join().expect("no panic").expect("it had no row in that step");
        assert_eq!(words(&joined), alone);
    });
    request(&mut *handles[0], 3).expect("the next request works");
    drop(handles);
    assert_eq!((back_end(&scheduler).live_beams(), back_end(&scheduler).broken()), (0, None));
}

#[test]
fn a_panic_of_the_language_model_fails_all_its_calls_at_once_and_no_score_model() {
    let gate = Gate::closed();
    let scheduler = scheduler(&gate, LIMITS, Wrong { panics_at: 3, ..Wrong::default() }, false);
    let back_end = back_end(&scheduler);
    let ended: Vec<String> = thread::scope(|scope| {
        let ask = |i: u64| {
            let scheduler = &scheduler;
            move || request(&mut *handle(scheduler), i).expect_err("a panic").to_string()
        };
        let threads: Vec<_> = (0..5).map(|i| scope.spawn(ask(i))).collect();
        gate.wait_entered(1);
        let_callers_come();
        gate.allow(usize::MAX / 2);
        threads.into_iter().map(|thread| thread.join().expect("no panic of a caller")).collect()
    });
    assert!(ended.iter().all(|error| error.contains("panicked")), "{ended:?}");
    assert!(back_end.broken().expect("it is broken").contains("panicked"));
    assert_eq!(back_end.live_beams(), 0);
    let before = scheduler.counts().rounds;
    let later = back_end.handle(&Caller::default()).open(&[1]).expect_err("broken").to_string();
    assert!(later.contains("panicked in an earlier call"), "{later}");
    assert_eq!(scheduler.counts().rounds, before, "the thread was not asked");
    let scores = scheduler.score_back_ends();
    score_rows(scores["cost"].as_ref(), 3, 2).expect("a score model goes on");
    assert_eq!(scores["cost"].broken(), None);
}

#[test]
fn a_panic_of_a_score_model_breaks_itself_alone() {
    let gate = Gate::open();
    let scheduler = scheduler(&gate, LIMITS, Wrong::default(), true);
    let scores = scheduler.score_back_ends();
    for _ in 0..2 {
        let error = score_rows(scores["judge"].as_ref(), 2, 2).expect_err("a panic").to_string();
        assert!(error.contains("panicked"), "{error}");
        assert!(scores["judge"].broken().is_some());
    }
    score_rows(scores["cost"].as_ref(), 3, 2).expect("another one goes on");
    assert_eq!((scores["cost"].broken(), back_end(&scheduler).broken()), (None, None));
    assert_eq!((scores["judge"].live_rows(), scores["cost"].live_rows()), (0, 0));
    request(&mut *handle(&scheduler), 1).expect("the language model goes on");
}

#[test]
fn without_work_the_thread_sleeps_in_the_queue() {
    let scheduler = open_scheduler(Limits::default());
    let mut handle = handle(&scheduler);
    let root = handle.open(&[1]).expect("a prompt");
    let before = scheduler.counts();
    for _ in 0..200 {
        handle.logits(&[root]).expect("logits");
        thread::yield_now();
    }
    let after = scheduler.counts();
    // One call at a time: each wakes the thread at most once, and is one round.
    assert_eq!(after.rounds - before.rounds, 200);
    assert!(after.sleeps - before.sleeps <= 201, "{before:?} {after:?}");
    assert_eq!((after.turns, after.prompt_slices, after.score_slices), (0, 1, 0));
    // A thread that looks for work again and again makes rounds meanwhile.
    thread::sleep(Duration::from_millis(60));
    assert_eq!(scheduler.counts().rounds, after.rounds);
}

#[test]
fn efforts_count_the_own_part_of_common_steps() {
    let scheduler = open_scheduler(Limits::default());
    let endless = Growth { end: Vec::new(), ..growth(6) };
    thread::scope(|scope| {
        for i in 0..6_u64 {
            let (scheduler, endless) = (&scheduler, &endless);
            scope.spawn(move || {
                let mut handle = handle(scheduler);
                let root = handle.open(&[1, 2]).expect("a prompt");
                assert_eq!(handle.take_effort().steps, 0, "the prompt is no step");
                let grown = handle.grow(endless, rows(root, 1 + i, 6, i)).expect("rows");
                let last: Vec<(BeamId, Token)> =
                    grown.into_iter().flatten().map(|(beam, grown)| (beam, grown.tokens[5])).collect();
                handle.append(&last).expect("tokens");
                let effort = handle.take_effort();
                assert_eq!((effort.steps, effort.positions), (6, 6 * (1 + i)));
                assert!(effort.model > Duration::ZERO && effort.sampling > Duration::ZERO);
                assert_eq!(handle.take_effort(), Default::default());
            });
        }
    });
}

#[test]
fn a_full_queue_holds_callers_back_and_loses_nothing() {
    let gate = Gate::closed();
    let scheduler = scheduler(&gate, Limits { queue: 1, ..LIMITS }, Wrong::default(), false);
    let ended = thread::scope(|scope| {
        let threads: Vec<_> = (0..12)
            .map(|i| {
                let scheduler = &scheduler;
                scope.spawn(move || request(&mut *handle(scheduler), i).is_ok())
            })
            .collect();
        gate.wait_entered(1);
        let_callers_come();
        gate.allow(usize::MAX / 2);
        threads.into_iter().all(|thread| thread.join().expect("no panic"))
    });
    assert!(ended);
    assert_eq!(back_end(&scheduler).live_beams(), 0);
}
