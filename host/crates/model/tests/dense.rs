//! Networks on the CPU: values by hand, gradients by finite differences, and widths that must fit.

use inferenceguard_model::dense::{CpuDense, Dense, DenseError, Layer, LayerActivation, Network};
use proptest::prelude::*;
use std::sync::Arc;

const ACTIVATIONS: [LayerActivation; 5] = [
    LayerActivation::Identity,
    LayerActivation::Relu,
    LayerActivation::Tanh,
    LayerActivation::Silu,
    LayerActivation::Sigmoid,
];

fn layer(inputs: usize, outputs: usize, activation: LayerActivation, numbers: &[f32]) -> Layer {
    let at = |n: usize| numbers[n % numbers.len()];
    let weights = (0..inputs * outputs).map(|n| at(n * 7 + 1)).collect();
    Layer { weights, bias: (0..outputs).map(|n| at(n * 5 + 3)).collect(), activation }
}

fn load(layers: Vec<Layer>) -> Result<Arc<dyn Network>, DenseError> {
    CpuDense.load("v", &layers.into())
}

#[test]
fn forward_is_what_the_formula_says() {
    let first = Layer { weights: vec![1.0, -1.0, 2.0, 0.5], bias: vec![0.0, 1.0], activation: LayerActivation::Relu };
    let second = Layer { weights: vec![3.0, 1.0], bias: vec![-1.0], activation: LayerActivation::Identity };
    let network = load(vec![first, second]).unwrap();
    assert_eq!((network.inputs(), network.outputs()), (2, 1));
    // [1, 2]: relu(-1) = 0, relu(2 + 1 + 1) = 4, so 3; [2, 0]: 2 and 5, so 10.
    assert_eq!(network.forward(&[1.0, 2.0, 2.0, 0.0]).unwrap(), [3.0, 10.0]);
    // Only the second neuron is awake for the first row.
    assert_eq!(network.value_and_gradient(&[1.0, 2.0]).unwrap(), (vec![3.0], vec![2.0, 0.5]));
}

#[test]
fn misfits_are_refused() {
    let layer = |inputs, outputs| layer(inputs, outputs, LayerActivation::Tanh, &[0.5]);
    let error = load(vec![layer(3, 4), layer(5, 1)]).err().unwrap();
    assert_eq!(error.to_string(), "network `v`, layer 1: found 5 inputs; expected 4, as the layer before gives");
    assert!(load(vec![]).is_err());
    let empty = Layer { weights: vec![], bias: vec![], activation: LayerActivation::Identity };
    assert!(load(vec![empty]).is_err());
    let ragged = Layer { weights: vec![0.0; 5], bias: vec![0.0; 2], activation: LayerActivation::Identity };
    assert!(load(vec![ragged]).is_err());
}

proptest! {
    #[test]
    fn forward_is_the_sum_of_products_at_every_width(
        weights in proptest::collection::vec(-8_i8..9, 1..40),
        input in proptest::collection::vec(-8_i8..9, 40),
    ) {
        // Small whole numbers are exact in any order.
        let (weights, input): (Vec<f32>, Vec<f32>) =
            weights.iter().zip(&input).map(|(w, x)| (f32::from(*w), f32::from(*x))).unzip();
        let expected = 0.5 + weights.iter().zip(&input).map(|(w, x)| w * x).sum::<f32>();
        let layer = Layer { weights, bias: vec![0.5], activation: LayerActivation::Identity };
        let network = load(vec![layer]).unwrap();
        prop_assert_eq!(network.forward(&input).unwrap(), [expected]);
    }

    #[test]
    fn gradients_are_the_slopes_of_the_sum(
        numbers in proptest::collection::vec(-1.0_f32..1.0, 16..64),
        // Far from zero, where relu has no slope to speak of.
        input in proptest::collection::vec(0.1_f32..1.0, 6),
        which in 0_usize..5,
    ) {
        let layers = vec![layer(3, 4, ACTIVATIONS[which], &numbers), layer(4, 2, LayerActivation::Tanh, &numbers)];
        let network = load(layers).unwrap();
        let (values, gradient) = network.value_and_gradient(&input).unwrap();
        prop_assert_eq!(&values, &network.forward(&input).unwrap());
        let sum = |input: &[f32]| network.forward(input).unwrap().iter().map(|v| f64::from(*v)).sum::<f64>();
        for at in 0..input.len() {
            let (mut more, mut less) = (input.clone(), input.clone());
            more[at] += 1e-2;
            less[at] -= 1e-2;
            let slope = (sum(&more) - sum(&less)) / 2e-2;
            // A relu may bend inside the interval; its slopes on either side are then both possible.
            let tolerance = if ACTIVATIONS[which] == LayerActivation::Relu { 4.0 } else { 5e-3 };
            prop_assert!((slope - f64::from(gradient[at])).abs() < tolerance, "{} {}", slope, gradient[at]);
        }
    }
}
