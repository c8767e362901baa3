//! The reference sampler against probabilities computed by hand.

use inferenceguard_model::{ModelError, Pick, RowSampler, SampleRequest, log_softmax, sample_row, top_k};
use proptest::prelude::*;

fn request(pick: Pick) -> SampleRequest {
    SampleRequest::plain(pick)
}

fn token(logits: &[f32], request: &SampleRequest) -> u32 {
    sample_row(logits, request).expect("a usable row").token
}

/// How often each token comes in `n` evenly spread draws: exact up to one draw per border.
fn frequencies(logits: &[f32], settings: &SampleRequest, n: usize) -> Vec<f64> {
    let sampler = RowSampler::new(logits).expect("a usable row");
    let mut counts = vec![0usize; logits.len()];
    for i in 0..n {
        let pick = Pick::Draw((i as f64 + 0.5) / n as f64);
        let sampled = sampler.sample(&SampleRequest { pick, ..settings.clone() }).expect("a fine request");
        counts[sampled.token as usize] += 1;
    }
    counts.iter().map(|c| *c as f64 / n as f64).collect()
}

fn assert_frequencies(logits: &[f32], settings: &SampleRequest, expected: &[f64]) {
    let found = frequencies(logits, settings, 20_000);
    let close = found.iter().zip(expected).all(|(f, e)| (f - e).abs() < 2e-4);
    assert!(close && found.len() == expected.len(), "expected {expected:?}, found {found:?}");
}

fn logits(probabilities: &[f32]) -> Vec<f32> {
    probabilities.iter().map(|p| p.ln() + 3.0).collect()
}

#[test]
fn draws_follow_the_probabilities() {
    let row = logits(&[0.1, 0.4, 0.2, 0.3]);
    let draw = request(Pick::Draw(0.0));
    assert_frequencies(&row, &draw, &[0.1, 0.4, 0.2, 0.3]);
    let cold = SampleRequest { temperature: 0.5, ..draw.clone() };
    assert_frequencies(&row, &cold, &[1.0 / 30.0, 16.0 / 30.0, 4.0 / 30.0, 9.0 / 30.0]);
    let top_2 = SampleRequest { top_k: 2, ..draw.clone() };
    assert_frequencies(&row, &top_2, &[0.0, 4.0 / 7.0, 0.0, 3.0 / 7.0]);
    let top_p = SampleRequest { top_p: 0.8, ..draw.clone() };
    assert_frequencies(&row, &top_p, &[0.0, 4.0 / 9.0, 2.0 / 9.0, 3.0 / 9.0]);
    let both = SampleRequest { top_k: 3, top_p: 0.7, ..draw };
    assert_frequencies(&row, &both, &[0.0, 4.0 / 7.0, 0.0, 3.0 / 7.0]);
}

#[test]
fn min_p_goes_by_the_share_of_the_likeliest_after_temperature_and_top_p() {
    let row = logits(&[0.1, 0.4, 0.2, 0.3]);
    let draw = request(Pick::Draw(0.0));
    let half = SampleRequest { min_p: 0.45, ..draw.clone() };
    assert_frequencies(&row, &half, &[0.0, 4.0 / 9.0, 2.0 / 9.0, 3.0 / 9.0]);
    // Squared: 1, 16, 4, 9.
    let cold = SampleRequest { temperature: 0.5, ..half.clone() };
    assert_frequencies(&row, &cold, &[0.0, 16.0 / 25.0, 0.0, 9.0 / 25.0]);
    // Top-p is of all of them: of what min-p leaves, the first two would hold 0.75.
    let both = SampleRequest { top_p: 0.75, ..half.clone() };
    assert_frequencies(&row, &both, &[0.0, 4.0 / 9.0, 2.0 / 9.0, 3.0 / 9.0]);
    let three = SampleRequest { top_k: 3, min_p: 0.6, ..draw.clone() };
    assert_frequencies(&row, &three, &[0.0, 4.0 / 7.0, 0.0, 3.0 / 7.0]);
    assert_frequencies(&row, &SampleRequest { min_p: 1.0, ..draw.clone() }, &[0.0, 1.0, 0.0, 0.0]);
    let first = |request: SampleRequest| token(&row, &request);
    assert_eq!(first(half), 1, "nothing left out by top-k or top-p: ordered by token, without the first");
    assert_eq!(token(&[0.0, f32::NEG_INFINITY], &SampleRequest { min_p: 0.9, ..draw }), 0);
}

#[test]
fn repeated_tokens_are_lowered_as_transformers_lowers_them() {
    // Logits on both sides of 0: 2, -1, 0.5, 0.
    let row = [2.0, -1.0, 0.5, 0.0f32];
    let repeated = vec![0, 1, 3, 9];
    let twice = SampleRequest { repetition_penalty: 2.0, repeated: repeated.clone(), ..request(Pick::Draw(0.0)) };
    let weights = [1.0f64, -2.0, 0.5, 0.0].map(f64::exp);
    let total: f64 = weights.iter().sum();
    assert_frequencies(&row, &twice, &weights.map(|weight| weight / total));
    let greedy = SampleRequest { repetition_penalty: 5.0, repeated: repeated.clone(), ..request(Pick::Rank(0)) };
    assert_eq!(token(&row, &greedy), 2, "ranks are those of the lowered logits");
    let raised = SampleRequest { repetition_penalty: 0.1, repeated: vec![2], ..request(Pick::Rank(0)) };
    assert_eq!(token(&row, &raised), 2, "less than 1 raises");
    let sampled = sample_row(&row, &twice).expect("a usable row");
    assert_eq!(sampled.logprob, log_softmax(&row)[sampled.token as usize], "the log-probability is the model's own");
    let penalised = SampleRequest { penalties: vec![(2, 50.0)], penalty_mass: 1.0, ..greedy };
    assert_eq!(token(&row, &penalised), 0, "penalties come on top");
}

#[test]
fn truncation_at_its_edges() {
    let row = logits(&[0.1, 0.4, 0.2, 0.3]);
    let last = Pick::Draw(1.0 - f64::EPSILON / 2.0);
    let of = |top_k, top_p, pick| token(&row, &SampleRequest { top_k, top_p, ..request(pick) });
    assert_eq!(of(1, 1.0, last), 1, "top-k 1 is greedy");
    assert_eq!(of(0, 1e-9, last), 1, "top-p keeps one token at least");
    assert_eq!(of(99, 1.0, last), 3, "a top-k beyond the vocabulary truncates nothing");
    assert_eq!(of(0, 1.0, Pick::Draw(0.0)), 0, "nothing left out: ordered by token");
    assert_eq!(of(3, 1.0, Pick::Draw(0.0)), 1, "something left out: ordered by probability");
    assert_eq!(of(3, 1.0, last), 2);
}

#[test]
fn ranks_and_ties_go_by_token() {
    let row = [1.0, 2.0, -0.0, 2.0, 0.0];
    let ranks: Vec<u32> = (0..6).map(|rank| token(&row, &request(Pick::Rank(rank)))).collect();
    assert_eq!(ranks, [1, 3, 0, 2, 4, 4], "a rank beyond the last is the last; the sign of zero does not count");
    assert_eq!(top_k(&row, 2), [(1, 2.0), (3, 2.0)]);
    assert_eq!(top_k(&row, 0), []);
    assert_eq!(token(&row, &SampleRequest { top_k: 1, ..request(Pick::Draw(0.99)) }), 1);
}

#[test]
fn tokens_without_probability_are_never_drawn() {
    let row = [f32::NEG_INFINITY, 0.0, f32::NEG_INFINITY];
    for draw in [0.0, 0.5, 1.0 - f64::EPSILON / 2.0] {
        assert_eq!(token(&row, &request(Pick::Draw(draw))), 1);
    }
}

#[test]
fn penalties_respect_the_mass() {
    let row = logits(&[0.1, 0.4, 0.2, 0.3]);
    let penalties = vec![(1, 50.0), (3, 50.0), (0, 50.0), (77, 50.0)];
    let capped = SampleRequest { penalties: penalties.clone(), penalty_mass: 0.55, ..request(Pick::Draw(0.0)) };
    assert_frequencies(&row, &capped, &[1.0 / 3.0, 0.0, 2.0 / 3.0, 0.0]);
    let none = SampleRequest { penalties: penalties.clone(), penalty_mass: 0.0, ..request(Pick::Draw(0.0)) };
    assert_frequencies(&row, &none, &[1.0 / 6.0, 0.0, 2.0 / 6.0, 3.0 / 6.0]);
    let twice = SampleRequest { penalties: vec![(1, 2f32.ln()), (1, 2f32.ln())], penalty_mass: 0.5, ..capped };
    assert_frequencies(&row, &twice, &[1.0 / 7.0, 1.0 / 7.0, 2.0 / 7.0, 3.0 / 7.0]);
    let greedy = SampleRequest { penalties, ..request(Pick::Rank(0)) };
    assert_eq!(token(&row, &greedy), 2, "ranks are those of the penalised logits");
}

#[test]
fn a_failed_token_that_is_nearly_sure_is_penalised_whatever_the_order_and_the_mass() {
    let row = logits(&[0.01, 0.95, 0.03, 0.01]);
    for penalties in [vec![(1, 50.0)], vec![(2, 50.0), (1, 50.0)], vec![(0, 50.0), (1, 50.0), (2, 50.0)]] {
        let settings = SampleRequest { penalties, penalty_mass: 0.9, ..request(Pick::Draw(0.0)) };
        assert_eq!(frequencies(&row, &settings, 400)[1], 0.0, "{settings:?}");
        assert!(frequencies(&row, &settings, 400)[3] > 0.0, "something is left to draw: {settings:?}");
    }
}

#[test]
fn the_log_probability_is_the_models_own() {
    let row = logits(&[0.1, 0.4, 0.2, 0.3]);
    let settings = SampleRequest { temperature: 0.2, top_k: 2, penalties: vec![(1, 50.0)], ..request(Pick::Draw(0.0)) };
    let sampled = sample_row(&row, &settings).expect("a usable row");
    assert_eq!(sampled.token, 3);
    assert!((sampled.logprob - 0.3f32.ln()).abs() < 1e-6);
    assert_eq!(sampled.logprob, log_softmax(&row)[3]);
}

#[test]
fn unusable_rows_and_requests_are_refused() {
    for bad in [f32::NAN, f32::INFINITY] {
        let error = sample_row(&[0.0, bad], &request(Pick::Rank(0))).expect_err("not a row of logits");
        assert!(matches!(error, ModelError::NotFinite(_)));
    }
    assert!(sample_row(&[f32::NEG_INFINITY; 2], &request(Pick::Rank(0))).is_err());
    assert!(sample_row(&[], &request(Pick::Rank(0))).is_err());
    let draw = request(Pick::Draw(0.5));
    let refused = [
        SampleRequest { temperature: 0.0, ..draw.clone() },
        SampleRequest { temperature: f32::NAN, ..draw.clone() },
        SampleRequest { top_p: 0.0, ..draw.clone() },
        SampleRequest { top_p: 1.5, ..draw.clone() },
        SampleRequest { min_p: -0.1, ..draw.clone() },
        SampleRequest { min_p: 1.1, ..draw.clone() },
        SampleRequest { min_p: f32::NAN, ..draw.clone() },
        SampleRequest { repetition_penalty: 0.0, ..draw.clone() },
        SampleRequest { repetition_penalty: -1.0, ..draw.clone() },
        SampleRequest { repetition_penalty: f32::NAN, ..draw.clone() },
        SampleRequest { repetition_penalty: f32::INFINITY, ..draw.clone() },
        SampleRequest { penalties: vec![(0, f32::INFINITY)], ..draw.clone() },
        SampleRequest { penalty_mass: f32::NAN, ..draw },
        request(Pick::Draw(1.0)),
        request(Pick::Draw(f64::NAN)),
    ];
    for request in refused {
        let error = sample_row(&[0.0, 1.0], &request).expect_err("out of range");
        assert!(matches!(error, ModelError::Unsupported(_)), "{request:?}");
    }
    let cold = SampleRequest { temperature: 0.0, ..request(Pick::Rank(0)) };
    assert_eq!(token(&[0.0, 1.0], &cold), 1, "ranks need no temperature");
}

fn row() -> impl Strategy<Value = Vec<f32>> {
    prop::collection::vec(prop_oneof![8 => -20f32..20.0, 1 => Just(f32::NEG_INFINITY), 1 => Just(1.5)], 1..600)
        .prop_filter("a finite logit", |row| row.iter().any(|l| l.is_finite()))
}

proptest! {
    #[test]
    fn a_draw_lies_within_top_k_and_top_p(
        row in row(), top_k_ in 0u32..40, top_p in 0.01f32..=1.0, temperature in 0.05f32..4.0, draw in 0.0f64..1.0,
    ) {
        let settings = SampleRequest { temperature, top_k: top_k_, top_p, ..request(Pick::Draw(draw)) };
        let drawn = token(&row, &settings);
        let k = if top_k_ == 0 { row.len() } else { top_k_ as usize };
        let best = top_k(&row, k);
        let rank = best.iter().position(|(t, _)| *t == drawn);
        prop_assert!(rank.is_some(), "within top-k");
        prop_assert!(row[drawn as usize].is_finite());
        let weights: Vec<f64> = best.iter().map(|(_, l)| (f64::from(l - best[0].1) / f64::from(temperature)).exp()).collect();
        let before: f64 = weights[..rank.unwrap_or(0)].iter().sum();
        let total = weights.iter().sum::<f64>();
        prop_assert!(before <= total * f64::from(top_p) * (1.0 + 1e-12) , "the tokens before it do not hold top-p");
    }

    #[test]
    fn what_is_penalised_away_held_no_more_than_the_cap(
        row in prop::collection::vec(-3f32..3.0, 1..8), tokens in prop::collection::vec(0u32..9, 0..12), mass in 0f32..0.99,
    ) {
        let penalties = tokens.iter().map(|t| (*t, 60.0)).collect();
        let settings = SampleRequest { penalties, penalty_mass: mass, ..request(Pick::Draw(0.0)) };
        let found = frequencies(&row, &settings, 500);
        let probabilities = log_softmax(&row).into_iter().map(|l| f64::from(l).exp());
        let gone: Vec<f64> = probabilities.zip(&found).filter(|(p, f)| *p > 0.01 && **f == 0.0).map(|(p, _)| p).collect();
        let likeliest = gone.iter().copied().fold(0.0, f64::max);
        let cap = likeliest + (1.0 - likeliest) * f64::from(mass);
        prop_assert!(gone.iter().sum::<f64>() <= cap + 1e-6, "{gone:?} is gone, cap {cap}");
    }

    #[test]
    fn ranks_visit_every_token_once_best_first(row in row()) {
        let all: Vec<u32> = (0..row.len() as u32).map(|r| token(&row, &request(Pick::Rank(r)))).collect();
        let falling = all.windows(2).all(|w| row[w[0] as usize] >= row[w[1] as usize]);
        prop_assert!(falling);
        let mut sorted = all;
        sorted.sort_unstable();
        prop_assert_eq!(sorted, (0..row.len() as u32).collect::<Vec<_>>());
    }

    #[test]
    fn log_softmax_sums_to_one(row in row()) {
        let sum: f64 = log_softmax(&row).iter().map(|l| f64::from(*l).exp()).sum();
        prop_assert!((sum - 1.0).abs() < 1e-4, "{sum}");
    }
}
