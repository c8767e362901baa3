//! A search by chunks is the same search as token by token, also in older traces.

use inferenceguard_search::*;
use inferenceguard_testkit::player::{
    Loop, Player,
    played::{Played, chunks, play},
};
use proptest::prelude::*;
use std::collections::BTreeSet;

const SCRIPT: &str = "vocab: <eos>* ask good bad\n context: 64\n after : good 1, bad 3\n after good : good 2, bad 2, <eos> 1\n \
                      after bad : bad 3, good 1, <eos> 1\n score reward cumulative: good 1, bad 3\n score cost: bad 5";

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

#[test]
fn a_retry_frees_the_beams_of_the_try_before() {
    let mut retried = 0;
    for seed in 0..20 {
        let played = whole(&mut player((2, 1, 3, 1), seed));
        let (mut tried, mut freed) = (Vec::new(), Vec::new());
        for (need, _) in &played.trace.events {
            match need {
                Need::Release { beams, .. } => freed.extend(beams.iter().copied()),
                Need::Grow { growth, rows } => {
                    if !growth.penalties.is_empty() {
                        retried += 1;
                        assert!(tried.iter().all(|beam| freed.contains(beam)), "{tried:?} {freed:?}");
                    }
                    tried = rows.iter().map(|need| need.beam).collect();
                }
                _ => {}
            }
        }
    }
    assert!(retried > 5, "{retried}");
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
