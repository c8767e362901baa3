//! Rows that the back end did not grow, or not as asked: none of them is kept or emitted.

use inferenceguard_model::Grown;
use inferenceguard_search::*;
use inferenceguard_testkit::player::{
    Loop, Player,
    played::{chunks, play},
};
use proptest::prelude::*;

/// Rows end only where the damage ends them: 0 ends an answer, and so does the text `halt`.
const ENDLESS: &str = "vocab: <eos>* ask good halt\n after : good 1\n after good : good 1\n score reward: good 1\n \
                       score cost: good 0.1";

fn endless() -> Player {
    let mut player = Player::new(ENDLESS, 4.0, 6, Loop::new(4, 2, 3, 0));
    player.config.stop = vec!["halt".into()];
    player
}

type Change = fn(Grown) -> Result<Grown, FailureKind>;

fn with(grown: Grown, change: impl FnOnce(&mut Grown)) -> Result<Grown, FailureKind> {
    let mut grown = grown;
    change(&mut grown);
    Ok(grown)
}

fn cut(grown: &mut Grown, tokens: usize) {
    grown.tokens.truncate(tokens);
    grown.logprobs.truncate(tokens);
}

/// Ends a row with this token, its second one.
fn end(grown: &mut Grown, token: u32) {
    grown.tokens[1] = token;
    cut(grown, 2);
}

fn add(grown: &mut Grown) {
    grown.tokens.push(2);
    grown.logprobs.push(0.0);
}

/// Rows that are not as asked, and what a failure says of each.
const BAD: [(Change, &str); 13] = [
    (|_| Ok(Grown::default()), "0 tokens; expected 1 to 3"),
    (|row| with(row, |row| cut(row, 2)), "2 tokens without an end; expected 3"),
    (|row| with(row, add), "4 tokens; expected 1 to 3"),
    (|row| with(row, |row| row.tokens[1] = 4), "the token 4; expected tokens below 4"),
    (|row| with(row, |row| row.tokens[2] = u32::MAX), "the token 4294967295"),
    (|row| with(row, |row| row.logprobs.truncate(2)), "2 log-probabilities; expected 3"),
    (|row| with(row, |row| row.logprobs.push(0.0)), "4 log-probabilities; expected 3"),
    (|row| with(row, |row| row.logprobs[0] = f32::NAN), "the log-probability NaN"),
    (|row| with(row, |row| row.logprobs[2] = 0.1), "the log-probability 0.1"),
    (|row| with(row, |row| row.logprobs[2] = f32::INFINITY), "the log-probability inf"),
    (|row| with(row, |row| row.tokens[0] = 0), "3 tokens; expected 1"),
    (|row| with(row, |row| row.tokens[1] = 3), "3 tokens; expected 2"),
    (|_| Err(FailureKind::Refused("connection reset".into())), "connection reset"),
];

#[test]
fn a_row_that_is_not_as_asked_is_no_candidate_and_the_others_go_on() {
    for (change, message) in BAD {
        let mut player = endless();
        let session = player.session("ask");
        let played = play(&mut player, session, &move |_, row, grown| if row == 1 { change(grown) } else { Ok(grown) });
        let out = &played.outcome;
        assert_eq!((out.status, out.tokens.as_slice()), (Status::WithinBudget, &[2; 6][..]), "{message}: {out:?}");
        let asked = chunks(&played.trace);
        assert_eq!((out.usage.lost_rows, out.failures.len()), (asked.len() as u64, 0), "{message}");
        let lost: Vec<BeamKey> = asked.iter().map(|(_, rows)| rows[1].beam).collect();
        for (need, _) in &played.trace.events {
            if let Need::Select(batch) | Need::Price { batch, .. } = need {
                assert!(batch.rows.iter().all(|row| !lost.contains(&row.id)), "{message}");
            }
        }
        let mut again = player.session("ask");
        played.trace.replay(&mut again).expect("the same needs");
        assert_eq!(again.outcome(), Some(out));
    }
}

#[test]
fn a_chunk_without_rows_fails_the_request_and_says_why() {
    for (change, message) in BAD {
        for (from, setting) in
            [(0, OnExhausted::LeastViolation), (1, OnExhausted::BestReward), (1, OnExhausted::Refuse)]
        {
            let mut player = endless();
            (player.config.on_exhausted, player.config.release) = (setting, Release::Agreement);
            player.config.backtrack = true;
            let session = player.session("ask");
            let played = play(&mut player, session, &move |chunk, _, grown| {
                if chunk == from { change(grown) } else { Ok(grown) }
            });
            let out = &played.outcome;
            assert_eq!((out.status, out.finish, out.tokens.len()), (Status::Failed, Finish::Failed, 0), "{out:?}");
            assert_eq!((out.usage.lost_rows, out.failures.len()), (4, 1), "{message}");
            let failure = out.failures[0].to_string();
            assert!(failure.starts_with("model `language` failed") && failure.contains(message), "{failure}");
            assert_eq!(out.text, ["no", "good good good\nno"][from], "what was released stays");
        }
    }
}

/// Every row is unsafe.
const UNSAFE: &str = "vocab: <eos>* ask good bad\n after : bad 1\n score reward: bad 1\n score cost: bad 5";

#[test]
fn a_search_that_lost_rows_and_finds_nothing_fit_has_failed() {
    use OnExhausted::{BestReward, LeastViolation, Refuse};
    for (setting, all, status) in [
        (Refuse, true, Status::NoSafeCandidate),
        (LeastViolation, true, Status::BudgetExceeded),
        (Refuse, false, Status::Failed),
        (LeastViolation, false, Status::Failed),
        (BestReward, false, Status::Failed),
    ] {
        let mut player = Player::new(UNSAFE, 4.0, 6, Loop::new(8, 2, 3, 1));
        player.config.on_exhausted = setting;
        let session = player.session("ask");
        let played = play(&mut player, session, &move |_, row, grown| {
            if all || row == 7 { Ok(grown) } else { Err(FailureKind::Refused(format!("connection {row} reset"))) }
        });
        let out = &played.outcome;
        assert_eq!(out.status, status, "{setting:?}: {out:?}");
        if status == Status::Failed {
            assert_eq!((out.tokens.len(), out.failures.len(), out.usage.retries), (0, 1, 1), "{setting:?}: {out:?}");
            assert!(out.failures[0].to_string().contains("connection 0 reset"), "{:?}", out.failures);
        }
    }
}

#[test]
fn rows_lost_before_a_retry_that_lost_none_do_not_count() {
    let mut player = Player::new(UNSAFE, 4.0, 6, Loop::new(8, 2, 3, 1));
    let session = player.session("ask");
    let lost = |attempt: usize, _: usize, grown: Grown| if attempt == 0 { Err(FailureKind::Dead) } else { Ok(grown) };
    let first = play(&mut player, session, &lost).outcome;
    assert_eq!((first.status, first.usage.retries), (Status::Failed, 0), "no row was left");
    let mut player = Player::new(UNSAFE, 4.0, 6, Loop::new(8, 2, 3, 1));
    let session = player.session("ask");
    let lost = |attempt: usize, row: usize, grown: Grown| {
        if attempt == 0 && row < 7 { Err(FailureKind::Dead) } else { Ok(grown) }
    };
    let retried = play(&mut player, session, &lost).outcome;
    assert_eq!((retried.status, retried.usage.retries), (Status::NoSafeCandidate, 1), "{retried:?}");
    assert_eq!((retried.usage.lost_rows, retried.failures.len()), (7, 0), "{retried:?}");
}

#[test]
fn tokens_of_rows_that_were_dropped_count_as_sampled() {
    for (change, sampled) in [(None, 24), (Some(BAD[4].0), 24), (Some(BAD[12].0), 18)] {
        let mut player = endless();
        let session = player.session("ask");
        let played = play(&mut player, session, &move |_, row, grown| match change {
            Some(change) if row == 1 => change(grown),
            _ => Ok(grown),
        });
        assert_eq!(played.outcome.usage.sampled_tokens, sampled);
    }
}

/// Whether a row that was asked for last is missing from the first decision after it.
fn last_lost(trace: &Trace) -> bool {
    let Some(at) = trace.events.iter().rposition(|(need, _)| matches!(need, Need::Grow { .. })) else { return false };
    let Need::Grow { rows, .. } = &trace.events[at].0 else { return false };
    let decided = trace.events[at..].iter().find_map(|(need, _)| match need {
        Need::Select(batch) => Some(batch),
        _ => None,
    });
    decided.is_none_or(|batch| rows.iter().any(|need| batch.rows.iter().all(|row| row.id != need.beam)))
}

#[test]
fn a_row_that_ends_early_or_whose_numbers_are_rounded_is_as_asked() {
    let good: [(Change, Finish); 5] = [
        (|row| with(row, |row| end(row, 0)), Finish::Eos),
        (|row| with(row, |row| end(row, 3)), Finish::Stop),
        (|row| with(row, |row| row.tokens[2] = 0), Finish::Eos),
        (|row| with(row, |row| row.logprobs[1] = 1e-4), Finish::Length),
        (|row| with(row, |row| row.logprobs[1] = f32::NEG_INFINITY), Finish::Length),
    ];
    for (change, finish) in good {
        let mut player = endless();
        let session = player.session("ask");
        let out = play(&mut player, session, &move |_, _, grown| change(grown)).outcome;
        assert_eq!((out.status, out.finish, out.usage.lost_rows), (Status::WithinBudget, finish, 0), "{out:?}");
    }
}

#[test]
fn an_answer_for_another_number_of_rows_is_refused() {
    let mut player = endless();
    let (mut session, mut stage) = (player.session("ask"), player.stage());
    loop {
        let need = session.next();
        let answer = player.perform(&mut stage, need);
        if let Answer::Grown(mut rows) = answer {
            rows.pop();
            let error = session.feed(Answer::Grown(rows)).expect_err("a row is missing");
            assert!(matches!(error, SearchError::Protocol { need: "grow", .. }), "{error}");
            return;
        }
        session.feed(answer).expect("the answer fits");
    }
}

/// Safe and unsafe tokens, and ends.
const TEMPTING: &str = "vocab: <eos>* ask good halt bad\n after : good 2, bad 2\n after good : good 2, bad 1, <eos> 1\n \
                        after bad : bad 2, good 1, <eos> 1\n score reward cumulative: good 1, bad 3\n score cost: bad 5";

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whichever rows are lost, the search ends, replays, and emits nothing that breaks the budget.
    #[test]
    fn a_search_that_loses_any_rows_ends_and_stays_within_its_budget(
        shape in (1u32..6, 1usize..4, 1u32..5, 0u32..3),
        seed in any::<u64>(),
        lost in prop::collection::vec(prop::option::weighted(0.4, 0usize..BAD.len()), 1..60),
        fallback in any::<bool>(),
    ) {
        let mut player = Player::new(TEMPTING, 4.0, 9, Loop::new(shape.0, shape.1, shape.2, shape.3));
        (player.config.seed, player.config.backtrack) = (seed, seed.is_multiple_of(2));
        player.config.on_exhausted = if fallback { OnExhausted::LeastViolation } else { OnExhausted::Refuse };
        let session = player.session("ask");
        let played = play(&mut player, session, &move |chunk, row, grown| match lost[(chunk * 7 + row) % lost.len()] {
            // The fewer tokens there are, the less can be wrong.
            Some(bad) if grown.tokens.len() == 3 => (BAD[bad].0)(grown),
            Some(_) => Err(FailureKind::Refused("connection reset".into())),
            None => Ok(grown),
        });
        let out = &played.outcome;
        prop_assert_eq!(out.status == Status::Failed, !out.failures.is_empty());
        if matches!(out.status, Status::NoSafeCandidate | Status::BudgetExceeded) {
            prop_assert!(!last_lost(&played.trace), "rows were lost, and one of them may have been fit: {out:?}");
        }
        if out.status == Status::WithinBudget {
            prop_assert!(out.tokens.iter().all(|token| *token != 4), "{out:?}");
        }
        let mut again = player.session("ask");
        played.trace.replay(&mut again).expect("the same needs");
        prop_assert_eq!(format!("{:?}", again.outcome()), format!("{:?}", Some(out)));
    }
}

#[test]
fn a_search_that_is_cancelled_while_a_chunk_is_asked_for_frees_its_beams() {
    let mut player = endless();
    let (mut session, mut stage) = (player.session("ask"), player.stage());
    let mut asked = 0;
    loop {
        let need = session.next();
        asked += u32::from(matches!(need, Need::Grow { .. }));
        if asked == 2 && session.outcome().is_none() {
            session.cancel();
            continue;
        }
        if need == Need::Nothing {
            break;
        }
        session.feed(player.perform(&mut stage, need)).expect("the answer fits");
    }
    stage.assert_empty();
    assert_eq!(session.outcome().map(|out| out.finish), Some(Finish::Cancelled));
}

#[test]
fn usage_of_older_records_is_read_and_written_as_it_was() {
    let old = r#"{"prompt_tokens":1,"completion_tokens":2,"sampled_tokens":3,"scored_positions":4,"priced_beams":5,"retries":6,"backtracks":7}"#;
    let read: Usage = serde_json::from_str(old).expect("old usage");
    assert_eq!((read.lost_rows, serde_json::to_string(&read).expect("JSON").as_str()), (0, old));
}
