//! One price per token, or one per chunk, from latents.

use inferenceguard_guest::{
    BatchCost, BatchDouble, CostGrain, CostKind, DenseDouble, LatentSelector, LinearDouble, Need,
};
use inferenceguard_guest::{RowDouble, Setup, Value};
use linear_cost::LinearCost;

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn per_chunk() -> [(&'static str, Value); 1] {
    [("per", text("chunk"))]
}

/// w = (2, -1), b = 0.5, on latents of tokens and, the same, at the ends of chunks.
fn probe(latents: &[[f32; 2]]) -> DenseDouble {
    let layer = LinearDouble { weights: vec![vec![2.0, -1.0]], bias: vec![0.5] };
    let latents: Vec<Vec<f32>> = latents.iter().map(|latent| latent.to_vec()).collect();
    DenseDouble { token_latents: latents.clone(), latents, networks: vec![("probe".to_owned(), layer)] }
}

/// Prices of rows with these numbers of new tokens.
fn prices(settings: &[(&str, Value)], lens: &[u32], dense: &DenseDouble) -> Result<Vec<Vec<f64>>, String> {
    let tokens = |len: &u32| RowDouble::default().with_tokens(&(0..*len).collect::<Vec<_>>());
    let rows = BatchDouble::of(lens.iter().map(tokens));
    LinearCost::with_settings(settings).unwrap().price_all(&rows, dense).map_err(|error| error.to_string())
}

#[test]
fn every_token_gets_one_price() {
    let dense = probe(&[[1.0, 1.0], [0.0, 3.0], [1.0, 0.0]]);
    assert_eq!(prices(&[], &[2, 0, 1], &dense).unwrap(), [vec![1.5, -2.5], vec![], vec![2.5]]);
    assert_eq!(prices(&[], &[0, 0], &DenseDouble::default()).unwrap(), [vec![], vec![]] as [Vec<f64>; 2]);
    let settings = [("scale", Value::Number(2.0)), ("shift", Value::Integer(1))];
    assert_eq!(prices(&settings, &[3], &dense).unwrap(), [[4.0, -4.0, 6.0]]);
}

#[test]
fn a_hazard_is_priced_by_what_it_leaves_of_the_probability_of_no_harm() {
    let dense = probe(&[[1.0, 1.0], [0.0, 3.0], [400.0, -400.0], [-400.0, 400.0]]);
    let found = prices(&[("form", text("hazard"))], &[4], &dense).unwrap().remove(0);
    for (price, x) in found.iter().zip([1.5_f64, -2.5, 1200.5, -1199.5]) {
        let harmless = 1.0 - 1.0 / (1.0 + (-x).exp());
        let expected = if harmless > 0.0 { -harmless.ln() } else { x };
        assert!((price - expected).abs() < 1e-9 && *price >= 0.0, "{x}: {price} {expected}");
    }
}

#[test]
fn every_chunk_gets_one_price() {
    let dense = probe(&[[1.0, 1.0], [0.0, 3.0]]);
    assert_eq!(prices(&per_chunk(), &[3, 3], &dense).unwrap(), [[1.5], [-2.5]]);
}

#[test]
fn a_reward_is_the_price_with_its_sign_turned_and_reads_the_newest_latent() {
    let dense = probe(&[[1.0, 1.0], [0.0, 3.0]]);
    let settings = [("kind", text("task")), ("latent", text("layer:0")), ("scale", Value::Number(2.0))];
    assert_eq!(prices(&settings, &[3, 3], &dense).unwrap(), [[-3.0], [5.0]]);
    let reward = LinearCost::with_settings(&settings).unwrap();
    assert_eq!((reward.kind(), reward.grain()), (CostKind::Task, CostGrain::Chunk));
    assert_eq!(reward.needs(), [Need::Latents(LatentSelector::Layer(0)), Need::Network("probe".to_owned())]);
    let refused = prices(&settings, &[1], &probe(&[[f32::NAN, 0.0]])).unwrap_err();
    assert!(refused.contains("for row 0; expected a number"), "{refused}");
}

#[test]
fn it_is_a_safety_cost_and_reads_what_its_settings_name() {
    let network = || Need::Network("probe".to_owned());
    let (first, last) = (LatentSelector::Layer(0), LatentSelector::FinalNorm);
    for (settings, grain, needs) in [
        (vec![], CostGrain::Token, vec![Need::TokenLatents(last), network()]),
        (
            vec![("latent", text("layer:0+final-norm"))],
            CostGrain::Token,
            vec![Need::TokenLatents(first), Need::TokenLatents(last), network()],
        ),
        (
            vec![("latent", text("layer:0")), ("per", text("chunk"))],
            CostGrain::Chunk,
            vec![Need::Latents(first), network()],
        ),
    ] {
        let cost = LinearCost::with_settings(&settings).unwrap();
        assert_eq!((cost.kind(), cost.grain()), (CostKind::Safety, grain));
        assert_eq!(cost.needs(), needs);
    }
}

#[test]
fn what_cannot_be_used_is_named_in_words() {
    for settings in [vec![], per_chunk().to_vec()] {
        let refused =
            |dense: &DenseDouble| prices(&settings, &vec![1; dense.latents.len()], dense).expect_err("unusable");
        assert!(refused(&probe(&[[f32::NAN, 0.0]])).contains("for row 0; expected a number"));
        assert!(refused(&probe(&[[0.0, 0.0], [f32::INFINITY, 0.0]])).contains("for row 1"));
        let mut dense = probe(&[[0.0, 0.0]]);
        dense.networks[0].1.weights = vec![vec![1.0; 3]];
        assert!(refused(&dense).contains("maps 3 numbers to 1; expected 2 to 1"));
        dense.networks.clear();
        assert!(refused(&dense).contains("no network `probe`"));
    }
}

#[test]
fn impossible_settings_are_refused_in_words() {
    for (name, value) in [
        ("latent", text("layer:last")),
        ("latent", text("layer:1+layer:1")),
        ("latent", text("layer:1+")),
        ("kind", text("reward")),
        ("per", text("answer")),
        ("form", text("signed")),
        ("scale", Value::Number(f64::NAN)),
        ("shift", Value::Number(f64::NEG_INFINITY)),
    ] {
        let refused = LinearCost::with_settings(&[(name, value)]).unwrap_err();
        assert!(refused.starts_with(&format!("setting `{name}` is ")), "{refused}");
    }
    for (name, value) in [("per", "token"), ("form", "hazard")] {
        let refused = LinearCost::with_settings(&[("kind", text("task")), (name, text(value))]).unwrap_err();
        assert!(refused.starts_with(&format!("setting `{name}` is `{value}`; a reward ")), "{refused}");
    }
    let several = [("latent", text("layer:1+layer:2")), ("kind", text("task"))];
    let refused = LinearCost::with_settings(&several).unwrap_err();
    assert!(refused.contains("expected one, because a reward reads one"), "{refused}");
    let several = [("latent", text("layer:1+layer:2")), ("per", text("chunk"))];
    let refused = LinearCost::with_settings(&several).unwrap_err();
    assert!(refused.contains("expected one"), "{refused}");
}
