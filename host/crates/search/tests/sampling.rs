//! The requests to the sampler: settings, and the tokens so far.

use inferenceguard_model::{GrowingText, Grown, Pick, SampleRequest};
use inferenceguard_search::*;
use inferenceguard_testkit::player::{Loop, Player, Stage, draws};
use proptest::prelude::*;
use std::sync::Arc;

/// `a` goes on for ever unless repetition is penalised.
const ECHO: &str =
    "vocab: <eos>* ask a b c\n context: 64\n after : a 9, b 5, c 4\n score reward: a 1\n score cost: <eos> 0";

fn player(sampling: Sampling, candidates: u32) -> Player {
    let mut player = Player::new(ECHO, 4.0, 6, Loop::new(candidates, 1, 3, 0));
    player.config.sampling = sampling;
    player
}

/// What was asked of the sampler, and what the trace kept of it.
fn samples(player: &mut Player, stepwise: bool) -> (Outcome, Vec<SampleRequest>, Vec<SampleRequest>) {
    let (mut session, mut stage, mut asked) = (player.session("ask"), Stage::new(&player.script), Vec::new());
    if stepwise {
        session.token_by_token();
    }
    session.record();
    let mut note = |_: &mut Stage, need: &Need, answer: Answer| {
        asked.extend(draws(need, &answer).into_iter().flatten());
        answer
    };
    while player.turn(&mut session, &mut stage, &mut note) {}
    let events = &session.trace().expect("a trace").events;
    let kept = events.iter().flat_map(|(need, answer)| kept(need, answer)).collect();
    (session.outcome().expect("an outcome").clone(), asked, kept)
}

/// What a trace keeps of each draw.
fn kept(need: &Need, answer: &Answer) -> Vec<SampleRequest> {
    match (need, answer) {
        (Need::Sample(needs), _) => needs.iter().map(|need| need.request.clone()).collect(),
        (Need::Grow { growth, rows }, Answer::Grown(grown)) => {
            assert!(rows.iter().all(|need| need.row.text == GrowingText::default()));
            let of = |(need, grown): (&GrowNeed, &Grown)| vec![growth.request(&need.row, &[]); grown.tokens.len()];
            rows.iter().zip(grown.iter().flatten()).flat_map(of).collect()
        }
        _ => Vec::new(),
    }
}

#[test]
fn a_penalty_on_repetition_names_what_prompt_and_answer_hold() {
    let greedy = Sampling { temperature: 0.0, repetition_penalty: 10.0, min_p: 0.1, ..Sampling::default() };
    for stepwise in [false, true] {
        let (out, requests, kept) = samples(&mut player(greedy, 1), stepwise);
        // The prompt is token 1; then a, b and c in the order of their probability.
        let repeated: Vec<Vec<u32>> = requests.iter().map(|request| request.repeated.clone()).collect();
        assert_eq!(repeated[..4], [vec![], vec![2], vec![2, 3], vec![2, 3, 4]], "{out:?}");
        assert!(requests.iter().all(|request| request.prompt[..] == [1]));
        assert!(requests.iter().all(|request| Arc::ptr_eq(&request.prompt, &requests[0].prompt)), "draws share it");
        assert!(
            kept.len() == requests.len() && kept.iter().all(|one| one.prompt.is_empty() && one.repeated.is_empty())
        );
        assert!(!serde_json::to_string(&requests[3]).expect("JSON").contains("repeated"), "nor is it written");
        assert!(requests.iter().all(|request| (request.repetition_penalty, request.min_p) == (10.0, 0.1)));
        assert!(out.text.starts_with("a b c"), "{out:?}");
    }
}

#[test]
fn nothing_is_named_where_repetition_is_not_penalised() {
    for stepwise in [false, true] {
        let greedy = Sampling { temperature: 0.0, ..Sampling::default() };
        let (out, requests, _) = samples(&mut player(greedy, 1), stepwise);
        assert!(requests.iter().all(|request| request.prompt.is_empty() && request.repeated.is_empty()));
        assert_eq!(out.text, "a a a a a a");
    }
}

#[test]
fn requests_of_older_records_are_read_as_they_were_meant() {
    let old =
        r#"{"temperature":0.5,"top_k":3,"top_p":0.9,"penalties":[[1,2.0]],"penalty_mass":0.4,"pick":{"draw":0.25}}"#;
    let read: SampleRequest = serde_json::from_str(old).expect("an old request");
    let plain = SampleRequest::plain(Pick::Draw(0.25));
    let penalties = vec![(1, 2.0)];
    assert_eq!(read, SampleRequest { temperature: 0.5, top_k: 3, top_p: 0.9, penalties, penalty_mass: 0.4, ..plain });
    let read: Sampling = serde_json::from_str(r#"{"temperature":0.5,"top_k":3,"top_p":0.9}"#).expect("old settings");
    assert_eq!(read, Sampling { temperature: 0.5, top_k: 3, top_p: 0.9, ..Sampling::default() });
}

fn settings() -> impl Strategy<Value = SamplingSettings> {
    let number = || prop::option::of(prop_oneof![0.1f32..1.0, -1.0f32..3.0]);
    let parts = (number(), prop::option::of(0u32..50), number(), number(), number());
    parts.prop_map(|(temperature, top_k, top_p, min_p, repetition_penalty)| SamplingSettings {
        temperature,
        top_k,
        top_p,
        min_p,
        repetition_penalty,
    })
}

proptest! {
    /// Whatever passes the check is a request that the sampler takes, and what does not is none.
    #[test]
    fn what_is_in_range_can_be_sampled(settings in settings()) {
        let sampling = Sampling::from(settings);
        let request = sampling.request(|| 0.5, 0, &[0].into(), &[1, 0]);
        let taken = inferenceguard_model::sample_row(&[1.0, -2.0, 0.5], &request);
        match sampling.out_of_range() {
            None => prop_assert!(taken.is_ok(), "{sampling:?}: {taken:?}"),
            Some(wrong) => prop_assert!(taken.is_err() || wrong.field == "temperature", "{sampling:?}: {wrong:?}"),
        }
    }

    #[test]
    fn the_first_source_that_says_something_wins(first in settings(), second in settings()) {
        let both = first.or(second);
        prop_assert_eq!(both.top_p, first.top_p.or(second.top_p));
        prop_assert_eq!(first.or(SamplingSettings::default()), first);
        prop_assert_eq!(SamplingSettings::from(Sampling::from(both)).or(second), Sampling::from(both).into());
    }
}
