//! How far latents move, and in which direction.

use inferenceguard_guest::{BatchDouble, DenseDouble, LinearDouble, RowDouble, Setup, Steered, Steering, Value};
use re_control::ReControl;

/// V(x) = x0 - 2 · x1: its gradient is the same everywhere.
fn slope(latents: &[[f32; 2]]) -> DenseDouble {
    let layer = LinearDouble { weights: vec![vec![1.0, -2.0]], bias: vec![3.0] };
    DenseDouble {
        latents: latents.iter().map(|latent| latent.to_vec()).collect(),
        networks: vec![("value".to_owned(), layer)],
        ..DenseDouble::default()
    }
}

fn steered(settings: &[(&str, Value)], dense: &DenseDouble) -> Steered {
    let rows = BatchDouble::of(dense.latents.iter().map(|_| RowDouble::default()));
    ReControl::with_settings(settings).unwrap().steer(&rows, dense).unwrap()
}

fn moved(settings: &[(&str, Value)], dense: &DenseDouble) -> Vec<f32> {
    let Steered::All(latents) = steered(settings, dense) else { panic!("expected all rows") };
    assert_eq!(latents.shape(), [dense.latents.len() as u32, 2]);
    latents.to_vec().unwrap()
}

#[test]
fn every_row_goes_uphill_thirty_half_steps() {
    let dense = slope(&[[1.0, 1.0], [0.0, 5.0]]);
    assert_eq!(moved(&[], &dense), [16.0, -29.0, 15.0, -25.0]);
}

#[test]
fn steps_and_their_size_are_settings() {
    let dense = slope(&[[1.0, 1.0]]);
    let settings = [("steps", Value::Integer(2)), ("step-size", Value::Number(0.25))];
    assert_eq!(moved(&settings, &dense), [1.5, 0.0]);
    assert!(matches!(steered(&[("steps", Value::Integer(0))], &dense), Steered::Unchanged));
    assert_eq!(moved(&[("step-size", Value::Integer(0))], &dense), [1.0, 1.0]);
}

#[test]
fn the_network_is_a_setting() {
    let mut dense = slope(&[[1.0, 1.0]]);
    let downhill = LinearDouble { weights: vec![vec![-1.0, 0.0]], bias: vec![0.0] };
    dense.networks.push(("other".to_owned(), downhill));
    let settings = [("network", Value::Text("other".to_owned())), ("steps", Value::Integer(4))];
    assert_eq!(moved(&settings, &dense), [-1.0, 1.0]);
}

#[test]
fn networks_that_do_not_fit_are_refused_in_words() {
    let rows = BatchDouble::of([RowDouble::default()]);
    let refused =
        |dense: &DenseDouble| ReControl::with_settings(&[]).unwrap().steer(&rows, dense).unwrap_err().to_string();
    let mut dense = slope(&[[1.0, 1.0]]);
    dense.networks[0].1.weights.push(vec![0.0, 0.0]);
    assert!(refused(&dense).contains("maps 2 numbers to 2; expected 2 to 1"), "{}", refused(&dense));
    dense.networks[0].1.weights = vec![vec![1.0; 3]];
    assert!(refused(&dense).contains("maps 3 numbers to 1; expected 2 to 1"));
    dense.networks.clear();
    assert!(refused(&dense).contains("no network `value`"));
}

#[test]
fn impossible_settings_are_refused_in_words() {
    for (name, value) in [
        ("steps", Value::Integer(-1)),
        ("steps", Value::Integer(1001)),
        ("step-size", Value::Number(-0.5)),
        ("step-size", Value::Number(f64::INFINITY)),
        ("network", Value::Flag(true)),
    ] {
        let refused = ReControl::with_settings(&[(name, value)]).unwrap_err();
        assert!(refused.starts_with(&format!("setting `{name}` is ")), "{refused}");
    }
}
