//! A change of anything that a model's numbers depend on changes the fingerprint, and the digest of its part.

mod common;

use common::{copy, golden};
use inferenceguard_candle::{
    CandleModel, CandleScoreModel, DecoderConfig, Head, HfTokenizer, Kernels, LoadOptions, ModelFiles, Precision,
    TemplateChoice,
};
use inferenceguard_model::{Model, ModelIdentity, ModelParts, ScoreModel};
use safetensors::{SafeTensors, tensor::TensorView};
use std::{
    fs,
    path::{Path, PathBuf},
};

fn identity_with(folder: &Path, options: &LoadOptions) -> ModelIdentity {
    let files = ModelFiles::folder(folder);
    match DecoderConfig::read(&files).unwrap().head {
        Head::Language => ModelIdentity::from(CandleModel::load(folder, options).unwrap().info()),
        _ => {
            let tokenizer = HfTokenizer::of(&files).unwrap();
            ModelIdentity::from(CandleScoreModel::load(folder, options, &tokenizer).unwrap().info())
        }
    }
}

fn identity(folder: &Path) -> ModelIdentity {
    identity_with(folder, &LoadOptions { name: "m".into(), ..LoadOptions::default() })
}

/// The files of a folder that a model is made of.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    // What the golden numbers are is no part of the model; how tensors are spread over files does not matter.
    let other = ["golden.json", "golden.safetensors", "model.safetensors.index.json"];
    found.retain(|path| !other.contains(&path.file_name().unwrap().to_str().unwrap()));
    found.sort();
    found
}

/// Writes a safetensors file again, with this change to the bytes of every tensor.
fn rewrite(path: &Path, change: impl Fn(&str, &mut Vec<u8>)) {
    let bytes = fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let tensors: Vec<_> = file.tensors();
    let changed: Vec<(String, Vec<u8>)> = tensors
        .iter()
        .map(|(name, view)| {
            let mut data = view.data().to_vec();
            change(name, &mut data);
            (name.clone(), data)
        })
        .collect();
    let views = tensors.iter().zip(&changed).map(|((name, view), (_, data))| {
        (name.clone(), TensorView::new(view.dtype(), view.shape().to_vec(), data).unwrap())
    });
    fs::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
}

#[test]
fn no_file_of_a_model_changes_without_its_fingerprint() {
    for name in ["llama1", "llama3-tied", "qwen3", "score-llama-cost", "score-qwen2-class"] {
        let before = identity(&golden(name));
        for file in files(&golden(name)) {
            let folder = copy(name);
            let path = folder.path().join(file.file_name().unwrap());
            if path.extension().is_some_and(|end| end == "safetensors") {
                rewrite(&path, |_, data| *data.last_mut().unwrap() ^= 1);
            } else {
                // White space that no reader minds.
                fs::write(&path, [fs::read(&path).unwrap(), b"\n".to_vec()].concat()).unwrap();
            }
            let after = identity(folder.path());
            assert_ne!(before.fingerprint, after.fingerprint, "{name}: {}", path.display());
            let error = after.expect(&before).unwrap_err();
            let part = match path.file_name().unwrap().to_str().unwrap() {
                "config.json" | "generation_config.json" => "config",
                "tokenizer.json" | "tokenizer_config.json" => "tokenizer",
                "chat_template.jinja" => "template",
                _ => "weights",
            };
            assert!(error.differing.contains(&part), "{name}: {}: {error}", path.display());
        }
    }
}

#[test]
fn a_file_that_comes_or_goes_is_noticed() {
    let folder = copy("qwen2");
    let before = identity(folder.path());
    fs::write(folder.path().join("chat_template.jinja"), "{{ messages[0].content }}").unwrap();
    let with = identity(folder.path());
    assert!(with.expect(&before).unwrap_err().differing.contains(&"template"));
    fs::remove_file(folder.path().join("chat_template.jinja")).unwrap();
    assert_eq!(identity(folder.path()), before);
    fs::remove_file(folder.path().join("generation_config.json")).unwrap();
    assert_eq!(identity(folder.path()).expect(&before).unwrap_err().differing, ["config"]);
}

#[test]
fn a_score_head_that_was_zeroed_is_another_model() {
    let folder = copy("score-llama-cost");
    for file in ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"] {
        rewrite(&folder.path().join(file), |name, data| {
            if name.starts_with("score_head") {
                data.fill(0);
            }
        });
    }
    let (good, zeroed) = (identity(&golden("score-llama-cost")), identity(folder.path()));
    assert_eq!(zeroed.expect(&good).unwrap_err().differing, ["weights"]);
}

#[test]
fn how_it_is_loaded_is_part_of_what_it_is() {
    let folder = golden("qwen3");
    let with = |options: LoadOptions| identity_with(&folder, &LoadOptions { name: "m".into(), ..options });
    let before = identity(&folder);
    assert!(before.is_whole() && before.fingerprint.starts_with("sha256:"), "{before:?}");
    let plain = with(LoadOptions { template: TemplateChoice::Plain, ..LoadOptions::default() });
    assert_eq!(plain.expect(&before).unwrap_err().differing, ["template"]);
    let rounded = with(LoadOptions { precision: Precision::Q8_0, ..LoadOptions::default() });
    assert_eq!(rounded.expect(&before).unwrap_err().differing, ["precision"]);
    let halved = with(LoadOptions { precision: Precision::BF16, ..LoadOptions::default() });
    assert_eq!(halved.expect(&before).unwrap_err().differing, ["precision"]);
    assert_eq!((halved.parts.precision.as_str(), &halved.parts.base), ("bf16", &before.parts.base));
    assert_ne!(halved.fingerprint, rounded.fingerprint);
    let tensors = with(LoadOptions { kernels: Kernels::Tensors, ..LoadOptions::default() });
    assert_eq!(tensors.expect(&before), Ok(()), "another way to compute rounds otherwise, and that is all");
    assert_ne!(tensors.parts.device, before.parts.device, "and it is named");
    let chat = with(LoadOptions { template: TemplateChoice::Chat, ..LoadOptions::default() });
    assert_eq!(chat, before, "what is chosen counts, not how");
    assert_eq!(before.parts.full, "");
    let full = with(LoadOptions { full_digest: true, ..LoadOptions::default() });
    assert_eq!(full.fingerprint, before.fingerprint);
    assert!(full.parts.full.starts_with("sha256:"));
}

#[test]
fn how_tensors_are_spread_over_files_does_not_matter() {
    let (folder, sharded) = (copy("llama2-gqa"), identity(&golden("llama2-gqa")));
    let shards: Vec<Vec<u8>> = files(folder.path())
        .into_iter()
        .filter(|path| path.extension().is_some_and(|end| end == "safetensors"))
        .map(|path| {
            let bytes = fs::read(&path).unwrap();
            fs::remove_file(path).unwrap();
            bytes
        })
        .collect();
    fs::remove_file(folder.path().join("model.safetensors.index.json")).unwrap();
    let opened: Vec<SafeTensors<'_>> = shards.iter().map(|bytes| SafeTensors::deserialize(bytes).unwrap()).collect();
    let all = opened.iter().flat_map(SafeTensors::tensors);
    fs::write(folder.path().join("model.safetensors"), safetensors::serialize(all, None).unwrap()).unwrap();
    let single = identity(folder.path());
    assert_eq!(single.fingerprint, sharded.fingerprint);
    assert_ne!(single.parts.base, sharded.parts.base);
}

#[test]
fn networks_find_the_model_that_they_were_made_for() {
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../demo/weak");
    let found = identity(&demo);
    // As the networks of the demonstration have it: networks that exist must fit.
    assert_eq!(found.parts.base, "6f905e5a7febafa596a422fb7b30d3548df231da22956221ee4ef88eafe990dc");
    let covered = ModelParts::COVERED.map(|name| found.parts.get(name).unwrap().to_owned());
    assert!(covered.iter().all(|part| !part.is_empty()));
}
