//! The conformance suite of the back-end traits, on small random models of every architecture and score head.

mod common;

use common::golden;
use inferenceguard_candle::{
    CandleModel, CandleScoreModel, HfTokenizer, Kernels, LoadOptions, Precision, TemplateChoice,
};
use inferenceguard_model::{
    Model, ScoreModel, Tokenizer,
    conformance::{LanguageOptions, ScoreOptions, language, score},
};
use std::sync::Arc;

const LANGUAGE: [&str; 14] = [
    "llama1",
    "llama2-gqa",
    "llama3-rope",
    "llama3-tied",
    "llama-biases",
    "llama-dynamic",
    "llama-linear",
    "mistral-window",
    "qwen2",
    "qwen2-window",
    "qwen3",
    "qwen3-tied-window",
    "gemma3",
    "gemma3-linear",
];

const SCORES: [&str; 9] = [
    "score-llama-class",
    "score-llama-cost",
    "score-llama-plain",
    "score-llama-reward",
    "score-llama-reward-normalized",
    "score-mistral-class",
    "score-qwen2-class",
    "score-qwen3-class",
    "score-gemma3-class",
];

fn language_model(name: &str, kernels: Kernels, precision: Precision) -> Box<dyn Model> {
    let options = LoadOptions { kernels, precision, ..LoadOptions::default() };
    Box::new(CandleModel::load(&golden(name), &options).expect("a golden model"))
}

#[test]
fn our_own_kernels_keep_every_promise_to_the_last_bit() {
    let exact = LanguageOptions { tolerance: 0.0, ..LanguageOptions::default() };
    for precision in [Precision::F32, Precision::BF16] {
        for name in LANGUAGE {
            let checked = language(|| language_model(name, Kernels::Direct, precision), &exact);
            checked.unwrap_or_else(|error| panic!("{name}, {precision:?}: {error}"));
        }
    }
}

#[test]
fn the_tensor_library_keeps_every_promise() {
    let options = LanguageOptions { tolerance: 1e-4, ..LanguageOptions::default() };
    for name in ["llama2-gqa", "mistral-window", "qwen2", "qwen3-tied-window", "gemma3"] {
        let checked = language(|| language_model(name, Kernels::Tensors, Precision::F32), &options);
        checked.unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

fn tokenizer(name: &str) -> Arc<HfTokenizer> {
    Arc::new(HfTokenizer::read(&golden(name).join("tokenizer.json")).expect("a golden tokenizer"))
}

/// Answers in tokens of this language model; the last one ends.
fn options(language: &Arc<HfTokenizer>, end: &str) -> ScoreOptions {
    let texts = ["fill the kettle and wait", "Grüße, world: no 🙂 today", "never mix them"];
    let mut answers = texts.map(|text| language.encode(text).expect("tokens")).to_vec();
    answers[2].extend(language.id(end));
    let prompts = ["Clean the kettle?".to_owned(), "And the oven".to_owned()];
    ScoreOptions::new(Arc::clone(language) as Arc<dyn Tokenizer>, prompts, answers)
}

fn score_model(name: &str, language: &HfTokenizer, precision: Precision) -> Box<dyn ScoreModel> {
    let options = LoadOptions { template: TemplateChoice::Beaver, precision, ..LoadOptions::default() };
    Box::new(CandleScoreModel::load(&golden(name), &options, language).expect("a golden score model"))
}

#[test]
fn score_models_keep_every_promise_with_the_tokenizer_of_the_language_model() {
    for precision in [Precision::F32, Precision::BF16] {
        for name in SCORES {
            let language = tokenizer(name);
            let exact = ScoreOptions { tolerance: 0.0, ..options(&language, "</s>") };
            let checked = score(|| score_model(name, &language, precision), &exact);
            checked.unwrap_or_else(|error| panic!("{name}, {precision:?}: {error}"));
        }
    }
}

#[test]
fn score_models_keep_every_promise_with_a_tokenizer_of_their_own() {
    let language = tokenizer("qwen2");
    for name in ["score-llama-plain", "score-llama-reward", "score-mistral-class"] {
        let model = || score_model(name, &language, Precision::F32);
        assert!(!model().info().same_tokenizer, "{name}");
        let checked = score(model, &options(&language, "<|im_end|>"));
        checked.unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}
