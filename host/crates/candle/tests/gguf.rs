//! A GGUF file gives the same numbers as the folder that it was made from, and passes the conformance suite.

mod common;
#[path = "common/gguf.rs"]
mod made;

use candle_core::quantized::{GgmlDType, gguf_file::Value};
use common::{about, copy, distance, golden};
use inferenceguard_candle::{
    CandleModel, CandleScoreModel, DecoderConfig, HfTokenizer, Kernels, LoadOptions, ModelFiles, Prober, TemplateChoice,
};
use inferenceguard_model::{
    Model, ScoreModel, Tokenizer,
    conformance::{LanguageOptions, ScoreOptions, language, score},
};
use made::{Kind, Parts, SMALL, mixed, random, with_weights};
use std::{path::Path, sync::Arc};

/// All but llama-dynamic, whose scaling GGUF has no words for, and those below.
const PLAIN: [&str; 8] =
    ["llama1", "llama2-gqa", "llama-biases", "llama-linear", "qwen2", "qwen3", "llama3-tied", "gemma3-linear"];
/// What only config.json says: windows, a scaling that follows the text, scores.
const WITH_CONFIG: [&str; 10] = [
    "llama3-rope",
    "llama-dynamic",
    "mistral-window",
    "qwen2-window",
    "qwen3-tied-window",
    "gemma3",
    "score-llama-cost",
    "score-llama-reward-normalized",
    "score-mistral-class",
    "score-qwen2-class",
];

fn floats(name: &str) -> Vec<u8> {
    Parts::of(&golden(name)).bytes(|_| GgmlDType::F32)
}

/// Latents, then logits or scores, at every position.
fn numbers(mut prober: Prober, text: &str) -> Vec<f32> {
    let probe = prober.run(text).unwrap();
    let heads = probe.logits.map(|table| table.data).into_iter().chain(probe.scores);
    probe.latents.data.into_iter().chain(heads.flatten()).collect()
}

fn probed(files: &ModelFiles, text: &str, kernels: Kernels) -> Vec<f32> {
    let options = LoadOptions { kernels, ..LoadOptions::default() };
    numbers(Prober::load_files(files, &options).unwrap(), text)
}

fn logits(files: &ModelFiles, text: &str, kernels: Kernels) -> Vec<f32> {
    let options = LoadOptions { kernels, ..LoadOptions::default() };
    Prober::load_files(files, &options).unwrap().run(text).unwrap().logits.unwrap().data
}

#[test]
fn f32_is_the_folder_to_the_last_bit() {
    for name in PLAIN.iter().chain(&WITH_CONFIG) {
        let text = about(name)["text"].as_str().unwrap().to_owned();
        let expected = probed(&ModelFiles::folder(&golden(name)), &text, Kernels::Direct);
        let files = with_weights(&golden(name), floats(name), true);
        assert_eq!(probed(&files, &text, Kernels::Direct), expected, "{name}");
    }
}

#[test]
fn the_authors_template_in_the_metadata_is_taken_where_no_file_says_another() {
    let folder = copy("llama1");
    std::fs::remove_file(folder.path().join("tokenizer_config.json")).unwrap();
    let encoded = |template: Option<&str>| {
        let mut parts = Parts::of(&golden("llama1"));
        let template = template.map(|text| ("tokenizer.chat_template".to_owned(), Value::String(text.to_owned())));
        parts.metadata.extend(template);
        let files = with_weights(folder.path(), parts.bytes(|_| GgmlDType::F32), true);
        CandleModel::load_files(&files, &LoadOptions::default()).unwrap().encode_prompt("so it goes").unwrap()
    };
    let doubled = encoded(Some("{{ messages[0]['content'] }}{{ messages[0]['content'] }}"));
    assert!(doubled.len() > encoded(None).len(), "{doubled:?}");
}

#[test]
fn positions_must_be_stretched_as_the_metadata_say() {
    for (name, field) in [("llama-linear", "rope.scaling.factor"), ("llama3-rope", "rope_freqs.weight")] {
        let folder = copy(name);
        let path = folder.path().join("config.json");
        let mut config: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        for key in ["rope_scaling", "rope_parameters"] {
            config.as_object_mut().unwrap().remove(key);
        }
        std::fs::write(&path, config.to_string()).unwrap();
        let files = with_weights(folder.path(), floats(name), true);
        let refused = CandleModel::load_files(&files, &LoadOptions::default()).map(|_| ()).unwrap_err().to_string();
        assert!(refused.contains(field) || refused.contains("rope"), "{refused}");
    }
}

#[test]
fn without_config_json_the_metadata_are_enough() {
    for name in PLAIN.iter().chain(&["llama3-rope", "score-llama-class", "score-qwen2-class", "score-qwen3-class"]) {
        let text = about(name)["text"].as_str().unwrap().to_owned();
        let expected = probed(&ModelFiles::folder(&golden(name)), &text, Kernels::Direct);
        let files = with_weights(&golden(name), floats(name), false);
        let found = probed(&files, &text, Kernels::Direct);
        // Factors are f32 in the file.
        assert!(distance(&found, &expected) <= 1e-5, "{name}");
    }
}

#[test]
fn settings_of_the_metadata_that_are_not_understood_are_named() {
    for (key, value) in [
        ("llama.attention.sliding_window", Value::U32(16)),
        ("llama.logit_scale", Value::F32(0.5)),
        ("llama.rope.scaling.finetuned", Value::Bool(true)),
        ("llama.expert_count", Value::U32(0)),
    ] {
        let mut parts = Parts::of(&golden("llama1"));
        parts.metadata.insert(key.to_owned(), value);
        for config in [false, true] {
            let files = with_weights(&golden("llama1"), parts.bytes(|_| GgmlDType::F32), config);
            let model = CandleModel::load_files(&files, &LoadOptions::default()).unwrap();
            let warnings = model.facts().warnings().join("\n");
            let unknown = key.contains("window") || key.contains("logit");
            assert_eq!(warnings.contains(key), unknown && !config, "{key}, {config}: {warnings}");
        }
    }
}

#[test]
fn metadata_say_what_config_json_says() {
    for name in PLAIN.iter().filter(|name| **name != "llama3-tied") {
        let expected = DecoderConfig::read(&ModelFiles::folder(&golden(name))).unwrap();
        let found = DecoderConfig::read(&with_weights(&golden(name), floats(name), false)).unwrap();
        let about = |c: &DecoderConfig| {
            let biases = (c.qkv_bias, c.output_bias, c.mlp_bias, c.qk_norm);
            let positions = (c.context, c.rope.clone(), c.gemma.clone(), c.windows.clone());
            (c.family, c.head, c.vocab, c.head_dim, positions, c.tied, biases, c.eos.clone())
        };
        assert_eq!(about(&found), about(&expected), "{name}");
    }
}

/// How far logits are off (root mean square), in standard deviations of the logits.
fn off(found: &[f32], expected: &[f32]) -> f32 {
    let mean = expected.iter().sum::<f32>() / expected.len() as f32;
    let spread: f32 = expected.iter().map(|v| (v - mean).powi(2)).sum();
    let off: f32 = found.iter().zip(expected).map(|(a, b)| (a - b).powi(2)).sum();
    (off / spread).sqrt()
}

#[test]
fn eight_bits_are_close() {
    for name in ["llama1", "llama2-gqa", "llama3-rope", "llama3-tied", "mistral-window", "qwen2", "qwen3", "gemma3"] {
        let text = about(name)["text"].as_str().unwrap().to_owned();
        let expected = logits(&ModelFiles::folder(&golden(name)), &text, Kernels::Direct);
        let files = with_weights(&golden(name), Parts::of(&golden(name)).bytes(|_| GgmlDType::Q8_0), true);
        let off = off(&logits(&files, &text, Kernels::Direct), &expected);
        assert!(off <= 0.1, "{name}: {off}");
    }
}

#[test]
fn a_gemma_says_by_its_metadata_what_config_json_says() {
    let with = |key: &str, value: Value, config: bool| {
        let mut parts = Parts::of(&golden("gemma3-linear"));
        parts.metadata.insert(key.to_owned(), value);
        DecoderConfig::read(&with_weights(&golden("gemma3-linear"), parts.bytes(|_| GgmlDType::F32), config))
    };
    let period = with("gemma3.attention.sliding_window_pattern", Value::U32(2), false).unwrap();
    assert!(period.windows.iter().enumerate().all(|(layer, window)| window.is_none() == (layer % 2 == 1)));
    for config in [false, true] {
        assert!(with("gemma3.final_logit_softcapping", Value::F32(0.0), config).is_ok());
        assert!(with("gemma3.attention.sliding_window_pattern", Value::U32(6), config).is_ok());
    }
    for (key, value, config) in [
        ("gemma3.attn_logit_softcapping", Value::F32(50.0), false),
        ("gemma3.final_logit_softcapping", Value::F32(30.0), false),
        ("gemma3.attn_logit_softcapping", Value::F32(50.0), true),
        ("gemma3.attention.sliding_window_pattern", Value::U32(2), true),
        ("gemma3.attention.sliding_window_pattern", Value::U32(0), true),
        ("gemma3.attention.sliding_window", Value::U32(0), false),
        ("gemma3.attention.sliding_window", Value::U32(99), true),
        ("gemma3.rope.freq_base_swa", Value::F32(-1.0), false),
        ("gemma3.rope.freq_base_swa", Value::F32(9.0), true),
    ] {
        let refused = with(key, value, config).unwrap_err().to_string();
        assert!(refused.contains(key), "{key}: {refused}");
    }
}

fn random_file(kind: impl Fn(&str) -> GgmlDType) -> ModelFiles {
    let (config, tensors) = random(&SMALL);
    with_weights(&golden("llama1"), Parts::new(&config, 512, tensors).bytes(kind), false)
}

const TEXT: &str = "fill the kettle and wait, never mix them";

#[test]
fn every_format_is_as_close_as_its_bits() {
    let expected = logits(&random_file(|_| GgmlDType::F32), TEXT, Kernels::Direct);
    let cases: [(&str, Kind, f32); 13] = [
        ("F16", |_| GgmlDType::F16, 0.002),
        ("Q8_0", |_| GgmlDType::Q8_0, 0.03),
        ("Q6_K", |_| GgmlDType::Q6K, 0.09),
        ("Q5_K", |_| GgmlDType::Q5K, 0.18),
        ("Q8_K", |_| GgmlDType::Q8K, 0.03),
        ("Q5_0", |_| GgmlDType::Q5_0, 0.18),
        ("Q5_1", |_| GgmlDType::Q5_1, 0.18),
        ("Q4_K", |_| GgmlDType::Q4K, 0.3),
        ("Q4_0", |_| GgmlDType::Q4_0, 0.35),
        ("Q4_1", |_| GgmlDType::Q4_1, 0.35),
        ("Q3_K", |_| GgmlDType::Q3K, 0.8),
        ("Q2_K", |_| GgmlDType::Q2K, 1.3),
        ("Q4_K_M", mixed, 0.25),
    ];
    for (name, kind, most) in cases {
        let files = random_file(kind);
        let found = logits(&files, TEXT, Kernels::Direct);
        assert!(off(&found, &expected) <= most, "{name}: {}", off(&found, &expected));
        // The tensor library computes with the same weights and without rounding x: all that is left is that rounding.
        let exact = logits(&files, TEXT, Kernels::Tensors);
        assert!(off(&found, &exact) <= 0.03, "{name}: {} from the same weights", off(&found, &exact));
    }
}

fn language_model(files: &ModelFiles) -> Box<dyn Model> {
    Box::new(CandleModel::load_files(files, &LoadOptions::default()).expect("a GGUF file"))
}

#[test]
fn language_models_keep_every_promise_to_the_last_bit() {
    let exact = LanguageOptions { tolerance: 0.0, ..LanguageOptions::default() };
    for name in ["llama1", "llama2-gqa", "llama3-tied", "llama-dynamic", "mistral-window", "qwen2", "qwen3", "gemma3"] {
        let files = with_weights(&golden(name), Parts::of(&golden(name)).bytes(|_| GgmlDType::Q8_0), true);
        language(|| language_model(&files), &exact).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    let files = random_file(mixed);
    language(|| language_model(&files), &exact).unwrap_or_else(|error| panic!("Q4_K_M: {error}"));
}

#[test]
fn score_models_keep_every_promise() {
    for name in ["score-llama-cost", "score-llama-reward-normalized", "score-mistral-class", "score-qwen3-class"] {
        let files = with_weights(&golden(name), Parts::of(&golden(name)).bytes(|_| GgmlDType::Q8_0), true);
        let tokenizer = Arc::new(HfTokenizer::of(&files).unwrap());
        let texts = ["fill the kettle and wait", "no 🙂 today", "never mix them"];
        let answers = texts.map(|text| tokenizer.encode(text).expect("tokens")).to_vec();
        let prompts = ["Clean the kettle?".to_owned(), "And the oven".to_owned()];
        let shared = Arc::clone(&tokenizer) as Arc<dyn Tokenizer>;
        let exact = ScoreOptions { tolerance: 0.0, ..ScoreOptions::new(shared, prompts, answers) };
        let options = LoadOptions { template: TemplateChoice::Beaver, ..LoadOptions::default() };
        let load = || -> Box<dyn ScoreModel> {
            Box::new(CandleScoreModel::load_files(&files, &options, &*tokenizer).expect("a score model"))
        };
        score(load, &exact).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

/// A golden folder with a GGUF file under this name instead of its weights.
fn folder(name: &str, file: &str, config: bool) -> tempfile::TempDir {
    let to = common::copy(name);
    std::fs::remove_file(to.path().join("model.safetensors")).unwrap();
    std::fs::write(to.path().join(file), floats(name)).unwrap();
    if !config {
        std::fs::remove_file(to.path().join("config.json")).unwrap();
    }
    to
}

#[test]
fn folders_and_files_are_found() {
    let load = |path: &Path| CandleModel::load(path, &LoadOptions::default()).unwrap().info().clone();
    let (a, b) = (folder("qwen3", "model.gguf", true), folder("qwen3", "qwen3-f32.gguf", true));
    assert_eq!(load(a.path()).fingerprint, load(b.path()).fingerprint);
    let named = load(&b.path().join("qwen3-f32.gguf"));
    assert_eq!((named.fingerprint, named.name.as_str()), (load(b.path()).fingerprint, "qwen3-f32"));
    // The quantisation is part of what a model is.
    let other = Parts::of(&golden("qwen3")).bytes(|_| GgmlDType::Q8_0);
    std::fs::write(b.path().join("qwen3-f32.gguf"), other).unwrap();
    assert_ne!(load(a.path()).fingerprint, load(b.path()).fingerprint);
    // Of several, the one called model.gguf.
    std::fs::write(a.path().join("other.gguf"), "").unwrap();
    assert_eq!(load(a.path()).vocab, 296);
    let bare = folder("qwen3", "qwen3.gguf", false);
    assert_eq!(load(&bare.path().join("qwen3.gguf")).eos, load(&golden("qwen3")).eos);
}

/// The tensors of a golden folder in `count` files, written as llama.cpp splits them, and changed by `change`.
fn split(count: usize, change: impl Fn(usize, &mut Parts)) -> std::collections::BTreeMap<String, Vec<u8>> {
    let whole = Parts::of(&golden("qwen3"));
    let each = whole.tensors.len().div_ceil(count);
    let mut files = std::collections::BTreeMap::new();
    for number in 0..count {
        let own = whole.tensors.iter().skip(number * each).take(each);
        let tensors = own.map(|(name, tensor)| (name.clone(), tensor.clone())).collect();
        let metadata = if number == 0 { whole.metadata.clone() } else { std::collections::BTreeMap::new() };
        let mut part = Parts { metadata, tensors };
        for (key, value) in [("no", number), ("count", count)] {
            part.metadata.insert(format!("split.{key}"), Value::U16(value as u16));
        }
        part.metadata.insert("split.tensors.count".into(), Value::I32(whole.tensors.len() as i32));
        change(number, &mut part);
        files.insert(format!("x-{:05}-of-{count:05}.gguf", number + 1), part.bytes(|_| GgmlDType::F32));
    }
    files
}

fn written(files: &std::collections::BTreeMap<String, Vec<u8>>) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(golden("qwen3").join("tokenizer.json"), folder.path().join("tokenizer.json")).unwrap();
    files.iter().for_each(|(name, bytes)| std::fs::write(folder.path().join(name), bytes).unwrap());
    folder
}

#[test]
fn a_model_in_several_files_is_the_model_in_one() {
    let text = about("qwen3")["text"].as_str().unwrap().to_owned();
    let expected = probed(&with_weights(&golden("qwen3"), floats("qwen3"), false), &text, Kernels::Direct);
    let folder = written(&split(3, |_, _| {}));
    let other = folder.path().join("x-00002-of-00003.gguf");
    for path in [folder.path(), &folder.path().join("x-00001-of-00003.gguf"), &other] {
        assert_eq!(probed(&ModelFiles::folder(path), &text, Kernels::Direct), expected, "{}", path.display());
    }
}

#[test]
fn files_of_a_split_model_that_do_not_fit_together_are_refused() {
    let refused = |files: std::collections::BTreeMap<String, Vec<u8>>| {
        let folder = written(&files);
        let error = CandleModel::load(folder.path(), &LoadOptions::default()).map(|_| ()).unwrap_err();
        assert!(matches!(error, inferenceguard_candle::CandleError::SplitGguf { .. }), "{error}");
        error.to_string()
    };
    let mut gone = split(3, |_, _| {});
    gone.remove("x-00001-of-00003.gguf");
    gone.remove("x-00003-of-00003.gguf");
    let error = refused(gone);
    assert!(error.contains("x-00001-of-00003.gguf, x-00003-of-00003.gguf"), "names what is missing: {error}");
    let set = |key: &'static str, value: Value| {
        refused(split(2, move |number, part| {
            if number == 1 || key == "split.tensors.count" {
                part.metadata.insert(key.into(), value.clone());
            }
        }))
    };
    assert!(set("split.no", Value::U16(0)).contains("split.no"));
    assert!(set("split.count", Value::U16(3)).contains("split.count"));
    assert!(set("split.count", Value::String("x".into())).contains("split.count"));
    assert!(set("split.tensors.count", Value::I32(1)).contains("split.tensors.count"));
    let missing = refused(split(2, |_, part| drop(part.metadata.remove("split.count"))));
    assert!(missing.contains("missing"), "{missing}");
    let twice = Parts::of(&golden("qwen3")).tensors["output_norm.weight"].clone();
    let twice = refused(split(2, move |_, part| {
        part.tensors.insert("output_norm.weight".into(), twice.clone());
        part.metadata.remove("split.tensors.count");
    }));
    assert!(twice.contains("output_norm.weight"), "{twice}");
    // A part under a name that hides it.
    let parts = split(2, |_, _| {});
    let alone = std::collections::BTreeMap::from([("model.gguf".to_owned(), parts["x-00002-of-00002.gguf"].clone())]);
    assert!(refused(alone).contains("NAME-00001-of-00003.gguf"));
}
