//! One price per row, from the latent at its end.

use inferenceguard_guest::{
    BatchCost, BatchDouble, CostGrain, CostKind, DenseDouble, LatentSelector, LinearDouble, Need,
};
use inferenceguard_guest::{RowDouble, Setup, Value};
use linear_cost::LinearCost;

/// w = (2, -1), b = 0.5.
fn probe(latents: &[[f32; 2]]) -> DenseDouble {
    let layer = LinearDouble { weights: vec![vec![2.0, -1.0]], bias: vec![0.5] };
    DenseDouble {
        latents: latents.iter().map(|latent| latent.to_vec()).collect(),
        networks: vec![("probe".to_owned(), layer)],
    }
}

fn prices(settings: &[(&str, Value)], dense: &DenseDouble) -> Result<Vec<Vec<f64>>, String> {
    let rows = BatchDouble::of(dense.latents.iter().map(|_| RowDouble::default().with_tokens(&[1, 2, 3])));
    LinearCost::with_settings(settings).unwrap().price_all(&rows, dense).map_err(|error| error.to_string())
}

#[test]
fn every_row_gets_one_price() {
    let dense = probe(&[[1.0, 1.0], [0.0, 3.0]]);
    assert_eq!(prices(&[], &dense).unwrap(), [[1.5], [-2.5]]);
    let settings = [("scale", Value::Number(2.0)), ("shift", Value::Integer(1))];
    assert_eq!(prices(&settings, &dense).unwrap(), [[4.0], [-4.0]]);
}

#[test]
fn it_is_a_safety_cost_per_chunk_and_reads_what_its_settings_name() {
    let cost = LinearCost::with_settings(&[("latent", Value::Text("layer:0".to_owned()))]).unwrap();
    assert_eq!((cost.kind(), cost.grain()), (CostKind::Safety, CostGrain::Chunk));
    assert_eq!(cost.needs(), [Need::Latents(LatentSelector::Layer(0)), Need::Network("probe".to_owned())]);
}

#[test]
fn what_cannot_be_used_is_named_in_words() {
    let error_of = |dense: &DenseDouble| prices(&[], dense).unwrap_err();
    assert!(error_of(&probe(&[[f32::NAN, 0.0]])).contains("for row 0; expected a number"));
    assert!(error_of(&probe(&[[0.0, 0.0], [f32::INFINITY, 0.0]])).contains("for row 1"));
    let mut dense = probe(&[[0.0, 0.0]]);
    dense.networks[0].1.weights = vec![vec![1.0; 3]];
    assert!(error_of(&dense).contains("maps 3 numbers to 1; expected 2 to 1"));
    dense.networks.clear();
    assert!(error_of(&dense).contains("no network `probe`"));
}

#[test]
fn impossible_settings_are_refused_in_words() {
    for (name, value) in [
        ("latent", Value::Text("layer:last".to_owned())),
        ("scale", Value::Number(f64::NAN)),
        ("shift", Value::Number(f64::NEG_INFINITY)),
    ] {
        let refused = LinearCost::with_settings(&[(name, value)]).unwrap_err();
        assert!(refused.starts_with(&format!("setting `{name}` is ")), "{refused}");
    }
}
