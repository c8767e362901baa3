//! The tokenizer, the network's gradients, and training that learns.

use std::sync::LazyLock;

use indicatif::ProgressBar;
use inferenceguard_demo::llama::{Cache, Llama, LlamaConfig, Weights};
use inferenceguard_demo::sample::sample;
use inferenceguard_demo::tokenizer::{BOS, DemoTokenizer, EOS};
use inferenceguard_demo::training::examples::Source;
use inferenceguard_demo::training::{Goal, Recipe, fit};
use inferenceguard_demo::world::{Split, World};

static WORLD: LazyLock<World> = LazyLock::new(World::frozen);
static TOKENIZER: LazyLock<DemoTokenizer> =
    LazyLock::new(|| DemoTokenizer::train(&WORLD, 1024).expect("the world's text trains"));

fn losses(weights: &Weights, goal: Goal, steps: usize) -> Vec<f64> {
    let prompts = WORLD.split(Split::Train);
    let source = Source { world: &WORLD, prompts: &prompts, tokenizer: &TOKENIZER, seed: 1 };
    let recipe = Recipe { goal, steps, batch: 4, rate: 4e-3 };
    fit(weights, &recipe, source, &ProgressBar::hidden()).expect("training runs")
}

#[test]
fn text_survives_the_tokenizer() {
    let prompts = WORLD.split(Split::Test);
    for text in prompts.iter().map(|p| WORLD.answer(p, 2).text()).chain(["Größe 🦀 x".to_owned()]) {
        let (ids, ends) = TOKENIZER.answer_ids(&text).expect("text encodes");
        assert_eq!(TOKENIZER.decode(&ids).expect("ids decode"), text);
        assert_eq!(ends.last(), Some(&text.len()));
        assert!(!ids.contains(&EOS));
    }
    let ids = TOKENIZER.prompt_ids("How?").expect("text encodes");
    assert_eq!(ids[0], BOS);
    assert_eq!(TOKENIZER.decode(&ids).expect("ids decode"), "USER: How? ASSISTANT:");
}

#[test]
fn the_tokenizer_is_the_same_every_time() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let other = tempfile::tempdir().expect("a temporary folder");
    TOKENIZER.save(folder.path()).expect("it saves");
    let again = DemoTokenizer::train(&WORLD, 1024).expect("the world's text trains");
    again.save(other.path()).expect("it saves");
    let read = |f: &tempfile::TempDir| std::fs::read(f.path().join("tokenizer.json")).ok();
    assert_eq!(read(&folder), read(&other));
    let loaded = DemoTokenizer::load(folder.path()).expect("it loads");
    assert_eq!(loaded.prompt_ids("a lamp").ok(), TOKENIZER.prompt_ids("a lamp").ok());
}

#[test]
fn answers_run_over_several_chunks() {
    let lengths = WORLD.prompts().iter().map(|p| WORLD.answer(p, 3));
    let lengths = lengths.filter(|a| a.sentences.len() > 1).map(|a| a.text());
    let lengths: Vec<usize> = lengths.map(|t| TOKENIZER.answer_ids(&t).expect("text encodes").0.len()).collect();
    let within = lengths.iter().filter(|l| (88..=128).contains(*l)).count();
    let mean = lengths.iter().sum::<usize>() / lengths.len();
    assert!(within * 100 > lengths.len() * 85, "{within} of {} mean {mean}", lengths.len());
    assert!((96..=120).contains(&mean), "mean {mean}");
}

#[test]
fn a_short_training_learns_and_repeats_itself() {
    let config = LlamaConfig::quick(TOKENIZER.vocab_size());
    let run = || {
        let weights = Weights::random(&config, 3).expect("weights");
        let losses = losses(&weights, Goal::Language, 25);
        (weights, losses)
    };
    let (weights, first) = run();
    assert!(first[24] < first[0] - 0.7, "{first:?}");
    assert_eq!(first, run().1, "one seed, one training");
    for goal in [Goal::Cost, Goal::Reward] {
        let scored = weights.with_score_head(4).expect("a head");
        let losses = losses(&scored, goal, 25);
        let (early, late) = (losses[..4].iter().sum::<f64>(), losses[21..].iter().sum::<f64>());
        assert!(late < 0.9 * early, "{goal:?} {losses:?}");
    }
}

#[test]
fn the_cache_changes_nothing() {
    let config = LlamaConfig::quick(TOKENIZER.vocab_size());
    let weights = Weights::random(&config, 5).expect("weights");
    let model = Llama::frozen(&weights).expect("a model");
    let ids: Vec<u32> = (3..23).collect();
    let whole: Vec<Vec<f32>> = model.latents(&ids, 1, None).and_then(|l| l.to_vec2()).expect("latents");
    let mut cache = Cache::default();
    model.latents(&ids[..13], 1, Some(&mut cache)).expect("latents");
    let rest: Vec<Vec<f32>> =
        model.latents(&ids[13..], 1, Some(&mut cache)).and_then(|l| l.to_vec2()).expect("latents");
    for (one, two) in whole[13..].iter().flatten().zip(rest.iter().flatten()) {
        assert!((one - two).abs() < 1e-4, "{one} {two}");
    }
    let answers = sample(&model, &ids, 3, 6, 1).expect("answers");
    assert_eq!(answers, sample(&model, &ids, 3, 6, 1).expect("answers"));
}

#[test]
fn gradients_match_finite_differences() {
    let config = LlamaConfig::quick(64);
    let weights = Weights::random(&config, 6).expect("weights");
    let model = Llama::trainable(&weights).expect("a model");
    let ids: Vec<u32> = (0..12).map(|i| (i * 7 + 3) % 64).collect();
    // An uneven weighting of the latents, so that no gradient cancels.
    let value = || {
        let latents = model.latents(&ids, 2, None)?;
        let logits = model.logits(&latents)?;
        let tilt =
            candle_core::Tensor::arange(0f32, 12.0 * 64.0, &candle_core::Device::Cpu)?.sin()?.reshape((12, 64))?;
        (logits * tilt)?.sum_all()
    };
    let grads = value().and_then(|v| v.backward()).expect("a gradient");
    for name in [
        "model.embed_tokens.weight",
        "model.norm.weight",
        "model.layers.0.self_attn.q_proj.weight",
        "model.layers.0.self_attn.k_proj.weight",
        "model.layers.1.self_attn.v_proj.weight",
        "model.layers.0.input_layernorm.weight",
        "model.layers.0.mlp.gate_proj.weight",
        "model.layers.1.mlp.up_proj.weight",
    ] {
        let var = weights.get(name).expect("a weight");
        let grad: Vec<f32> = grads.get(var).and_then(|g| g.flatten_all().ok()?.to_vec1().ok()).expect("a gradient");
        let start: Vec<f32> = var.flatten_all().and_then(|v| v.to_vec1()).expect("values");
        // Along its own gradient the value must rise by the squared length of the gradient.
        let length: f32 = grad.iter().map(|g| g * g).sum();
        let step = 1e-3 / length.sqrt();
        let at = |sign: f32| -> f32 {
            let moved = start.iter().zip(&grad).map(|(v, g)| v + sign * step * g).collect();
            let moved = candle_core::Tensor::from_vec(moved, var.shape(), var.device());
            var.set(&moved.expect("a tensor")).expect("the same shape");
            value().and_then(|v| v.to_scalar()).expect("a value")
        };
        let slope = (at(1.0) - at(-1.0)) / (2.0 * step);
        at(0.0);
        assert!((slope - length).abs() < 0.02 * length, "{name}: {slope} against {length}");
    }
}
