//! Networks by products of matrices hold against the reference, value by value and step by step.

use inferenceguard_candle::DeviceDense;
use inferenceguard_model::dense::{CpuDense, Dense, Layer, LayerActivation, Network};
use proptest::prelude::*;
use std::sync::Arc;

/// Numbers from -1 to 1 that follow from a seed.
fn numbers(seed: u32, count: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (f64::from(state >> 8) / f64::from(1_u32 << 23) - 1.0) as f32
    };
    (0..count).map(|_| next()).collect()
}

/// A network of these widths; a sum over a row of weights is of size 1.
fn network(seed: u32, widths: &[usize], activations: &[LayerActivation]) -> Arc<[Layer]> {
    let layer = |(at, pair): (usize, &[usize])| {
        let scale = 1.0 / (pair[0] as f32).sqrt();
        let weights = numbers(seed + at as u32, pair[0] * pair[1]).into_iter().map(|w| w * scale).collect();
        let bias = numbers(seed + 100 + at as u32, pair[1]);
        Layer { weights, bias, activation: activations[at % activations.len()] }
    };
    widths.windows(2).enumerate().map(layer).collect()
}

fn both(layers: &Arc<[Layer]>) -> [Arc<dyn Network>; 2] {
    [CpuDense.load("v", layers).unwrap(), DeviceDense::on_cpu().load("v", layers).unwrap()]
}

fn assert_close(found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        let apart = f64::from((found - expected).abs() / (1.0 + expected.abs()));
        assert!(apart <= DeviceDense::TOLERANCE, "found {found}, expected {expected}");
    }
}

#[test]
fn the_margin_covers_what_the_device_rounds_and_the_reference_rounds_nothing() {
    assert_eq!((CpuDense.rounding(), DeviceDense::on_cpu().rounding()), (0.0, DeviceDense::TOLERANCE));
    assert_eq!(DeviceDense::TOLERANCE, 1e-4, "what the page of the guarantee names");
}

proptest! {
    #[test]
    fn values_and_gradients_are_those_of_the_reference(
        seed in 0_u32..1_000_000,
        widths in proptest::collection::vec(1_usize..96, 2..5),
        rows in 1_usize..9,
        first in 0_usize..5,
    ) {
        let activations: Vec<LayerActivation> = (0..5).map(|at| LayerActivation::ALL[(first + at) % 5]).collect();
        let [reference, device] = both(&network(seed, &widths, &activations));
        prop_assert_eq!((device.inputs(), device.outputs()), (reference.inputs(), reference.outputs()));
        prop_assert_eq!(device.multiply_adds(), reference.multiply_adds());
        let input = numbers(seed + 7, rows * widths[0]);
        assert_close(&device.forward(&input).unwrap(), &reference.forward(&input).unwrap());
        let (found, expected) = (device.value_and_gradient(&input).unwrap(), reference.value_and_gradient(&input).unwrap());
        assert_close(&found.0, &expected.0);
        // A relu that bends within rounding has either slope.
        if !activations[..widths.len() - 1].contains(&LayerActivation::Relu) {
            assert_close(&found.1, &expected.1);
        }
    }
}

#[test]
fn thirty_steps_along_the_gradient_end_in_the_same_place() {
    // As RE-Control takes them, on a network as wide as a small model.
    let [reference, device] = both(&network(3, &[512, 256, 1], &[LayerActivation::Silu, LayerActivation::Identity]));
    let walk = |network: &Arc<dyn Network>| {
        let mut latent = numbers(11, 2 * 512);
        for _ in 0..30 {
            let (_, gradient) = network.value_and_gradient(&latent).unwrap();
            latent.iter_mut().zip(gradient).for_each(|(x, g)| *x += 0.5 * g);
        }
        latent
    };
    assert_close(&walk(&device), &walk(&reference));
}

#[test]
fn misfits_are_refused_and_no_rows_are_no_work() {
    let layer = |inputs: usize, outputs: usize| Layer {
        weights: vec![0.5; inputs * outputs],
        bias: vec![0.0; outputs],
        activation: LayerActivation::Relu,
    };
    let load = |layers: Vec<Layer>| DeviceDense::on_cpu().load("v", &layers.into());
    let error = load(vec![layer(3, 4), layer(5, 1)]).err().unwrap();
    assert_eq!(error.to_string(), "network `v`, layer 1: found 5 inputs; expected 4, as the layer before gives");
    let network = load(vec![layer(2, 2)]).unwrap();
    assert_eq!(network.forward(&[]).unwrap(), Vec::<f32>::new());
    assert!(network.forward(&[f32::NAN, 1.0]).unwrap().iter().all(|value| value.is_nan()), "NaN is not hidden");
}
