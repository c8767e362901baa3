//! A head as a whole score model, around the demonstration's language model: its scores are the head's outputs.

mod toy;

use inferenceguard_bundle::network::{Layer, LayerActivation, Network};
use inferenceguard_candle::{CandleModel, CandleScoreModel, LoadOptions, ModelFiles};
use inferenceguard_critic::{
    CriticError,
    cost::{CostObjective, HeadOptions, ScoreFolder},
};
use inferenceguard_model::{
    Generator, LatentSelector, Message, Model, Native, ScoreModel, ScoreRow,
    dense::{CpuDense, Dense},
};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

const BIAS: f32 = 0.25;
const PROMPT: &str = "How do I clean the oven?";

fn weak() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../demo/weak")
}

fn network() -> Network {
    let weights = (0..128).map(|at| ((at * 37 % 17) as f32 - 8.0) / 100.0).collect();
    let layer = Layer { weights, bias: vec![BIAS], activation: LayerActivation::Identity };
    Network { layers: [layer].into(), metadata: BTreeMap::new() }
}

fn folder(model: &Path, out: &Path, heads: &HeadOptions) -> Result<ScoreFolder, CriticError> {
    ScoreFolder::new(&ModelFiles::folder(model), out.to_owned(), heads, Some(CostObjective::Prefix))
}

/// A copy of the language model whose configuration has these keys as well.
fn copy(to: &Path, more: &Value) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(weak()).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
    let mut config: Value = serde_json::from_slice(&toy::bytes(to, "config.json")).unwrap();
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    fs::write(to.join("config.json"), config.to_string()).unwrap();
}

/// The head's output at every token of an answer of this language model, and the scores of the score model there.
fn outputs_and_scores(model: &Path, score: &Path) -> (Vec<f32>, Vec<f32>) {
    let language = CandleModel::load(model, &LoadOptions::default()).unwrap();
    let tokenizer = language.tokenizer();
    let tokens = tokenizer.encode_continued(" I clean it with warm water and some soap.").unwrap();
    let mut native = Native::new(Box::new(language));
    let prompt = native.encode_chat(&[Message::user(PROMPT)]).unwrap();
    let beam = native.open(&prompt).unwrap();
    native.keep_latents(&[beam], &[LatentSelector::FinalNorm]).unwrap();
    tokens.iter().for_each(|token| native.append(&[(beam, *token)]).unwrap());
    let latents = native.kept_latents(&[(beam, 0..tokens.len())], &[LatentSelector::FinalNorm]).unwrap();
    let outputs = CpuDense.load("head", &network().layers).unwrap().forward(&latents[0]).unwrap();
    let mut scores = CandleScoreModel::load(score, &LoadOptions::default(), &*tokenizer).unwrap();
    let id = scores.open(PROMPT, tokenizer).unwrap();
    let scored = scores.extend(&[ScoreRow { id, tokens, ended: false }]).unwrap().remove(0);
    (outputs, scored.tokens)
}

fn assert_close(outputs: &[f32], scores: &[f32], shift: f32) {
    assert!(outputs.len() == scores.len() && outputs.len() > 5, "{outputs:?} {scores:?}");
    for (output, score) in outputs.iter().zip(scores) {
        assert!((output - shift - score).abs() < 1e-3, "{outputs:?} {scores:?}");
    }
}

#[test]
fn the_scores_of_the_folder_are_the_outputs_of_the_head() {
    let parent = tempfile::tempdir().unwrap();
    let out = parent.path().join("score");
    let heads = toy::heads(parent.path());
    // A second training writes over the first one.
    for _ in 0..2 {
        assert_eq!(folder(&weak(), &out, &heads).unwrap().write(&network(), "cost").unwrap(), None);
    }
    let (outputs, scores) = outputs_and_scores(&weak(), &out);
    assert_close(&outputs, &scores, 0.0);
    let config: Value = serde_json::from_slice(&toy::bytes(&out, "config.json")).unwrap();
    assert_eq!((&config["architectures"], &config["score_type"]), (&json!(["LlamaForScore"]), &json!("cost")));
    assert_eq!(toy::bytes(&weak(), "model.safetensors"), toy::bytes(&out, "backbone.safetensors"));
}

#[test]
fn a_model_without_a_layout_of_its_own_becomes_a_classifier_without_a_bias() {
    let parent = tempfile::tempdir().unwrap();
    let (model, out) = (parent.path().join("model"), parent.path().join("score"));
    copy(&model, &json!({ "architectures": ["MistralForCausalLM"], "sliding_window": null }));
    // In shards.
    let shard = "model-00001-of-00001.safetensors";
    fs::rename(model.join("model.safetensors"), model.join(shard)).unwrap();
    let index = json!({ "weight_map": { "model.norm.weight": shard } });
    fs::write(model.join("model.safetensors.index.json"), index.to_string()).unwrap();
    let written = folder(&model, &out, &toy::heads(parent.path())).unwrap();
    assert_eq!(written.write(&network(), "reward").unwrap(), Some(BIAS));
    let (outputs, scores) = outputs_and_scores(&model, &out);
    assert_close(&outputs, &scores, BIAS);
}

#[test]
fn what_makes_no_score_model_is_refused_before_the_training() {
    let parent = tempfile::tempdir().unwrap();
    let (model, out) = (parent.path().join("model"), parent.path().join("score"));
    copy(&model, &json!({ "architectures": ["GemmaForCausalLM"] }));
    let heads = toy::heads(parent.path());
    for (path, words) in [
        (parent.path().join("model.gguf"), "found a GGUF file; expected a folder with safetensors"),
        (parent.path().join("nothing"), "expected a Hugging Face folder with config.json and safetensors"),
        (model, "found the architecture GemmaForCausalLM; expected a language model"),
    ] {
        let error = folder(&path, &out, &heads).unwrap_err();
        assert!(matches!(error, CriticError::Backbone { .. }) && error.to_string().contains(words), "{error}");
    }
    let option = |heads: &HeadOptions, objective: Option<CostObjective>, out: &Path| match ScoreFolder::new(
        &ModelFiles::folder(&weak()),
        out.to_owned(),
        heads,
        objective,
    )
    .unwrap_err()
    {
        CriticError::Option { name, .. } => name,
        other => panic!("{other}"),
    };
    let mut deep = heads.clone();
    deep.recipe.depth = 1;
    assert_eq!(option(&deep, None, &out), "depth");
    let inner = HeadOptions { readings: vec!["layer:1".parse().unwrap()], ..heads.clone() };
    assert_eq!(option(&inner, None, &out), "latents");
    assert_eq!(option(&heads, Some(CostObjective::Survival), &out), "objective");
    assert_eq!(option(&heads, None, parent.path()), "score-model", "something else is in the folder");
    assert_eq!(option(&heads, None, &weak()), "score-model", "the language model itself");
    assert!(!out.exists(), "nothing is written");
    let layers = [network().layers.to_vec(), network().layers.to_vec()].concat();
    let two = Network { layers: layers.into(), metadata: BTreeMap::new() };
    let error = folder(&weak(), &out, &heads).unwrap().write(&two, "cost").unwrap_err();
    assert!(matches!(error, CriticError::Option { name: "depth", .. }) && !out.exists(), "{error}");
}
