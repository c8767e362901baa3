//! Latents of inner layers are those of the newest position, after any forks, batches and new orders.

mod common;

use common::{distance, golden};
use inferenceguard_candle::{CandleModel, Kernels, LoadOptions};
use inferenceguard_model::{BeamId, Model, ModelError, Token};
use safetensors::SafeTensors;

const NAMES: [&str; 4] = ["llama2-gqa", "mistral-window", "qwen3-tied-window", "gemma3"];

fn load(name: &str, kernels: Kernels) -> CandleModel {
    CandleModel::load(&golden(name), &LoadOptions { kernels, ..LoadOptions::default() }).unwrap()
}

fn layers(name: &str) -> u32 {
    let config = std::fs::read(golden(name).join("config.json")).unwrap();
    let config: serde_json::Value = serde_json::from_slice(&config).unwrap();
    config["num_hidden_layers"].as_u64().unwrap() as u32
}

fn read(model: &mut CandleModel, beam: BeamId, layer: u32) -> Vec<f32> {
    model.layer_latents(&[beam], layer).unwrap().to_host().unwrap().into_owned()
}

#[test]
fn the_final_norm_of_the_last_layer_is_the_latent() {
    let name = "llama1";
    let bytes = std::fs::read(golden(name).join("model.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let weight = file.tensor("model.norm.weight").unwrap();
    let weight: Vec<f32> = match weight.dtype() {
        safetensors::Dtype::F32 => weight.data().as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
        other => panic!("the golden weights are {other:?}"),
    };
    let config = std::fs::read(golden(name).join("config.json")).unwrap();
    let config: serde_json::Value = serde_json::from_slice(&config).unwrap();
    let eps = config["rms_norm_eps"].as_f64().unwrap() as f32;

    let mut model = load(name, Kernels::Direct);
    let (beam, _) = model.prefill(&[5, 250, 17]).unwrap();
    let latent = model.step(&[(beam, 9)]).unwrap().to_host().unwrap().into_owned();
    let top = read(&mut model, beam, layers(name) - 1);
    let square = top.iter().map(|v| v * v).sum::<f32>() / top.len() as f32;
    let normed: Vec<f32> = top.iter().zip(&weight).map(|(v, w)| v / (square + eps).sqrt() * w).collect();
    assert!(distance(&normed, &latent) < 1e-5);
}

/// Beams of two prompts, forked and stepped in an odd order, against each of them alone.
fn check(name: &str, kernels: Kernels) {
    let prompts: [Vec<Token>; 2] = [(3..20).collect(), vec![5, 250, 17]];
    let mut model = load(name, kernels);
    let (a, _) = model.prefill(&prompts[0]).unwrap();
    let (b, _) = model.prefill(&prompts[1]).unwrap();
    let c = model.fork(&[a]).unwrap()[0];
    model.step(&[(b, 7), (c, 8), (a, 9)]).unwrap();
    model.step(&[(c, 10)]).unwrap();
    let d = model.fork(&[c]).unwrap()[0];
    let histories: [(BeamId, usize, &[Token]); 4] = [(a, 0, &[9]), (b, 1, &[7]), (c, 0, &[8, 10]), (d, 0, &[8, 10])];
    for layer in 0..layers(name) {
        let order = [d, a, b, c];
        let found = model.layer_latents(&order, layer).unwrap();
        let (width, found) = (found.width(), found.to_host().unwrap().into_owned());
        assert_eq!(width, model.info().hidden);
        for (row, beam) in found.chunks(width).zip(order) {
            let (_, prompt, answer) = *histories.iter().find(|(id, ..)| *id == beam).unwrap();
            let (alone, _) = model.prefill(&[&prompts[prompt], answer].concat()).unwrap();
            let off = distance(row, &read(&mut model, alone, layer));
            let allowed = if kernels == Kernels::Direct { 0.0 } else { 2e-5 };
            assert!(off <= allowed, "{name}, {kernels:?}, layer {layer}, {beam:?}: off by {off}");
            model.release(&[alone]);
        }
    }
    assert!(distance(&read(&mut model, a, 0), &read(&mut model, a, 1)) > 1e-3, "{name}: two layers are one");
}

#[test]
fn layers_do_not_depend_on_the_batch() {
    for name in NAMES {
        for kernels in [Kernels::Direct, Kernels::Tensors] {
            check(name, kernels);
        }
    }
}

#[test]
fn layers_and_beams_that_are_not_there_are_refused() {
    let mut model = load("llama1", Kernels::Direct);
    let (beam, _) = model.prefill(&[5]).unwrap();
    let beyond = layers("llama1");
    assert!(matches!(model.layer_latents(&[beam], beyond), Err(ModelError::Unsupported(_))));
    assert!(model.layer_latents(&[], 0).unwrap().is_empty());
    model.release(&[beam]);
    assert!(matches!(model.layer_latents(&[beam], 0), Err(ModelError::UnknownBeam(_))));
}
