//! Chunks that a back end grows: the same search as token by token, and what becomes of rows that are not as asked.

mod player;

use inferenceguard_model::{Grown, Growth, SampleRequest};
use inferenceguard_search::*;
use player::{Loop, Player, draws};
use proptest::prelude::*;
use std::collections::BTreeSet;

const SCRIPT: &str = "vocab: <eos>* ask good bad\n context: 64\n after : good 1, bad 3\n after good : good 2, bad 2, <eos> 1\n \
                      after bad : bad 3, good 1, <eos> 1\n score reward cumulative: good 1, bad 3\n score cost: bad 5";

/// A session that was played: its outcome, its trace, and the requests of every draw.
struct Played {
    outcome: Outcome,
    trace: Trace,
    draws: Vec<Vec<SampleRequest>>,
}

/// What is made of each row that was grown: the number of the answer, that of the row, and the row.
type Damage = dyn Fn(usize, usize, Grown) -> Result<Grown, FailureKind>;

/// Plays a session; what its rows were grown by is damaged first.
fn play(player: &mut Player, mut session: Session, damage: &Damage) -> Played {
    session.record();
    let (mut stage, mut asked, mut answers) = (player.stage(), Vec::new(), 0);
    loop {
        let need = session.next();
        if need == Need::Nothing {
            break;
        }
        let mut answer = player.perform(&mut stage, need.clone());
        asked.extend(draws(&need, &answer));
        if let (Need::Grow { rows, .. }, Answer::Grown(grown)) = (&need, &mut answer) {
            for (row, (need, one)) in rows.iter().zip(grown).enumerate() {
                *one = std::mem::replace(one, Err(FailureKind::Dead)).and_then(|grown| damage(answers, row, grown));
                if one.is_err() {
                    stage.lose(need.beam);
                }
            }
            answers += 1;
        }
        session.feed(answer).expect("the answer fits");
    }
    stage.assert_empty();
    let trace = session.trace().expect("a trace").clone();
    Played { outcome: session.outcome().expect("an outcome").clone(), trace, draws: asked }
}

fn whole(player: &mut Player) -> Played {
    let session = player.session("ask");
    play(player, session, &|_, _, grown| Ok(grown))
}

fn token_by_token(player: &mut Player) -> Played {
    let mut session = player.session("ask");
    session.token_by_token();
    play(player, session, &|_, _, grown| Ok(grown))
}

/// What roles and score models were asked, and what they answered.
fn decisions(trace: &Trace) -> Vec<&(Need, Answer)> {
    let growing =
        |need: &Need| matches!(need, Need::Grow { .. } | Need::Step { .. } | Need::Sample(_) | Need::Release { .. });
    trace.events.iter().filter(|(need, _)| !growing(need)).collect()
}

fn player(shape: (u32, usize, u32, u32), seed: u64) -> Player {
    let (n, keep, chunk_len, retries) = shape;
    let mut player = Player::new(SCRIPT, 4.0, 9, Loop::new(n, keep, chunk_len, retries));
    player.config.seed = seed;
    player.config.backtrack = seed.is_multiple_of(2);
    player
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Grown in one go or token by token, every token is drawn by the same request, and every decision is the same.
    #[test]
    fn a_search_by_chunks_is_the_search_token_by_token(
        shape in (1u32..9, 1usize..4, 1u32..6, 0u32..3),
        seed in any::<u64>(),
        temperature in prop::sample::select(vec![0.0f32, 0.7, 1.0]),
        repetition_penalty in prop::sample::select(vec![1.0f32, 1.3]),
        stop in prop::sample::select(vec!["", "good bad", "d b"]),
        guarded in any::<bool>(),
    ) {
        let mut policy = Loop::new(shape.0, shape.1, shape.2, shape.3);
        policy.guarded = guarded;
        let mut player = player(shape, seed);
        player.policy = Box::new(policy);
        player.config.sampling = Sampling { temperature, repetition_penalty, ..Sampling::default() };
        player.config.stop = Some(stop.to_owned()).filter(|stop| !stop.is_empty()).into_iter().collect();
        let (chunks, tokens) = (whole(&mut player), token_by_token(&mut player));
        prop_assert_eq!(&chunks.outcome, &tokens.outcome);
        prop_assert_eq!(&chunks.draws, &tokens.draws);
        prop_assert_eq!(decisions(&chunks.trace), decisions(&tokens.trace));
        for played in [&chunks, &tokens] {
            let mut again = player.session("ask");
            played.trace.replay(&mut again).expect("the same needs");
            prop_assert_eq!(again.outcome(), Some(&played.outcome));
        }
    }
}

/// What was asked of each chunk.
fn chunks(trace: &Trace) -> Vec<(&Growth, &[GrowNeed])> {
    let mut chunks = Vec::new();
    for (need, _) in &trace.events {
        if let Need::Grow { growth, rows } = need {
            chunks.push((growth, rows.as_slice()));
        }
    }
    chunks
}

#[test]
fn no_two_rows_of_a_request_share_a_seed_and_requests_of_other_seeds_share_none() {
    let mut all = Vec::new();
    for seed in 0..20 {
        let played = whole(&mut player((8, 3, 2, 2), seed));
        let asked = chunks(&played.trace);
        all.extend(asked.iter().flat_map(|(_, rows)| rows.iter().map(|need| need.row.seed)));
    }
    assert!(all.len() > 20 * 8, "more than one chunk each");
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
}

#[test]
fn a_retry_penalises_each_offset_and_draws_with_other_seeds() {
    let mut retried = 0;
    for seed in 0..40 {
        let mut player = player((2, 1, 3, 1), seed);
        let (played, stepwise) = (whole(&mut player), token_by_token(&mut player));
        assert_eq!(played.draws, stepwise.draws);
        for (growth, rows) in chunks(&played.trace) {
            assert!(rows.iter().all(|need| need.row.picks.len() == growth.max_tokens as usize));
            if growth.penalties.is_empty() {
                continue;
            }
            retried += 1;
            assert_eq!(growth.penalties.len(), growth.max_tokens as usize);
            assert!(growth.penalties[0].contains(&(3, 20.0)), "`bad` failed: {growth:?}");
        }
    }
    assert!(retried > 5, "{retried} chunks were sampled again");
}

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

#[test]
fn usage_of_older_records_is_read_and_written_as_it_was() {
    let old = r#"{"prompt_tokens":1,"completion_tokens":2,"sampled_tokens":3,"scored_positions":4,"priced_beams":5,"retries":6,"backtracks":7}"#;
    let read: Usage = serde_json::from_str(old).expect("old usage");
    assert_eq!((read.lost_rows, serde_json::to_string(&read).expect("JSON").as_str()), (0, old));
}

/// Settings, outcome and trace of searches by the version before chunks were grown in one go, with the roles of [`player`].
const EARLIER: [&str; 2] = [include_str!("earlier/sampled.json"), include_str!("earlier/stop.json")];

#[test]
fn traces_from_before_chunks_were_grown_in_one_go_replay() {
    for text in EARLIER {
        let (config, outcome, trace): (SearchConfig, Outcome, Trace) = serde_json::from_str(text).expect("a trace");
        assert!(trace.events.iter().any(|(need, _)| matches!(need, Need::Sample(_))) && outcome.usage.retries > 0);
        let mut player = player((3, 2, 2, 1), 0);
        player.config = config;
        let mut again = player.session("ask");
        trace.replay(&mut again).expect("the same needs");
        assert_eq!((again.next(), again.outcome()), (Need::Nothing, Some(&outcome)));
        let Player { policy, tracker, costs, .. } = &mut player;
        trace.decide_again(policy.as_mut(), tracker.as_mut(), costs).expect("the same decisions");
        assert_eq!(whole(&mut player).outcome, outcome, "and a search by chunks comes to the same");
    }
}
