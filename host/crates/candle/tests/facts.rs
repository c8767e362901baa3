//! Each fact of a model comes from every file that states it: the files are joined or compared, and contradictions are refused.

mod common;
#[path = "common/gguf.rs"]
mod made;

use candle_core::quantized::{GgmlDType, gguf_file::Value as Metadata};
use common::{copy, golden};
use inferenceguard_candle::{CandleError, CandleModel, CandleScoreModel, HfTokenizer, LoadOptions};
use inferenceguard_model::{Model, SamplingSettings};
use made::{Parts, with_weights};
use serde_json::{Value, json};
use std::path::Path;
use tempfile::TempDir;

/// `None` takes the key away; a file that is not there is made.
type Change<'a> = (&'a str, &'a str, Option<Value>);

/// llama3-tied, whose end is token 295, with other files.
fn changed(name: &str, changes: &[Change<'_>]) -> TempDir {
    let folder = copy(name);
    for (file, key, value) in changes {
        let path = folder.path().join(file);
        let mut json: Value = std::fs::read(&path).map_or(json!({}), |bytes| serde_json::from_slice(&bytes).unwrap());
        match value {
            Some(value) => drop(json.as_object_mut().unwrap().insert((*key).to_owned(), value.clone())),
            None => drop(json.as_object_mut().unwrap().remove(*key)),
        }
        std::fs::write(&path, json.to_string()).unwrap();
    }
    folder
}

fn load(folder: &Path) -> Result<CandleModel, CandleError> {
    CandleModel::load(folder, &LoadOptions::default())
}

fn model(changes: &[Change<'_>]) -> CandleModel {
    load(changed("llama3-tied", changes).path()).unwrap()
}

fn refused(changes: &[Change<'_>]) -> CandleError {
    load(changed("llama3-tied", changes).path()).map(|_| ()).unwrap_err()
}

const CONFIG: &str = "config.json";
const GENERATION: &str = "generation_config.json";
const TOKENIZER: &str = "tokenizer_config.json";
const MAP: &str = "special_tokens_map.json";
/// Each source of ends with its key, and `<|end|>`, token 292, as it says it.
fn sources() -> [(&'static str, &'static str, Value); 4] {
    let name = json!("<|end|>");
    [
        (CONFIG, "eos_token_id", json!(292)),
        (GENERATION, "eos_token_id", json!([292])),
        (TOKENIZER, "eos_token", json!({"content": "<|end|>", "lstrip": false})),
        (MAP, "eos_token", name),
    ]
}

#[test]
fn every_source_of_ends_counts_alone_and_beside_the_others() {
    let silent: Vec<Change<'_>> = sources().into_iter().map(|(file, key, _)| (file, key, None)).collect();
    for (file, key, value) in sources() {
        let one = (file, key, Some(value));
        let ends = |changes: &[Change<'_>]| {
            let model = model(changes);
            let is_noted = model
                .facts()
                .all()
                .iter()
                .any(|fact| fact.value.contains("292") && fact.from.contains(&file.to_owned()));
            assert!(is_noted, "{file}: {:?}", model.facts());
            assert!(model.info().eos.iter().all(|end| model.info().special.contains(end)), "{file}");
            model.info().eos.clone()
        };
        assert_eq!(ends(&[&silent[..], std::slice::from_ref(&one)].concat()), [292], "{file} alone");
        let mut both = ends(&[one]);
        both.sort_unstable();
        assert_eq!(both, [292, 295], "{file} beside the others");
    }
    let none = model(&silent);
    assert!(none.info().eos.is_empty() && none.facts().warnings()[0].contains("no file names an end token"));
}

#[test]
fn ends_that_the_model_does_not_have_are_refused() {
    let wrong =
        [json!(-1), json!("</s>"), json!(1e12), json!(2.5), json!([295, -1]), json!({}), json!(true), json!(296)];
    for file in [CONFIG, GENERATION] {
        for value in &wrong {
            let error = refused(&[(file, "eos_token_id", Some(value.clone()))]);
            let named = matches!(&error, CandleError::Field { path, field, .. } if path.ends_with(file) && field == "eos_token_id");
            assert!(named, "{file}, {value}: {error}");
        }
    }
    for file in [TOKENIZER, MAP] {
        for value in [json!("<|nowhere|>"), json!(7), json!(["<|eot|>"])] {
            let error = refused(&[(file, "eos_token", Some(value.clone()))]);
            assert!(
                matches!(&error, CandleError::Field { field, .. } if field == "eos_token"),
                "{file}, {value}: {error}"
            );
        }
    }
    for value in [Metadata::I32(-1), Metadata::U32(296), Metadata::String("</s>".into()), Metadata::U64(u64::MAX)] {
        for key in ["eos_token_id", "eot_token_id", "eom_token_id"] {
            let mut parts = Parts::of(&golden("llama3-tied"));
            parts.metadata.insert(format!("tokenizer.ggml.{key}"), value.clone());
            let files = with_weights(&golden("llama3-tied"), parts.bytes(|_| GgmlDType::F32), true);
            let error = CandleModel::load_files(&files, &LoadOptions::default()).map(|_| ()).unwrap_err();
            assert!(
                matches!(&error, CandleError::Field { field, .. } if field.contains(key)),
                "{key}, {value:?}: {error}"
            );
        }
    }
}

#[test]
fn the_beginning_may_be_named_anywhere_but_not_in_two_ways() {
    let template = json!("{{ bos_token }}{{ messages[0]['content'] }}");
    let first = |changes: &[Change<'_>]| {
        let template = (TOKENIZER, "chat_template", Some(template.clone()));
        model(&[changes, &[template]].concat()).encode_prompt("kettle").unwrap()[0]
    };
    let silent = (TOKENIZER, "bos_token", None);
    assert_eq!(first(&[]), 291);
    for value in [json!("<|begin|>"), json!({"content": "<|begin|>"})] {
        assert_eq!(first(&[silent.clone(), (MAP, "bos_token", Some(value))]), 291, "only the map says it");
    }
    let null = (TOKENIZER, "bos_token", Some(Value::Null));
    assert_eq!(first(&[null, (MAP, "bos_token", Some(json!("<|begin|>")))]), 291, "null says nothing");
    let error = refused(&[(MAP, "bos_token", Some(json!("<|head|>")))]);
    let text = error.to_string();
    assert!(matches!(error, CandleError::Field { .. }) && text.contains(MAP) && text.contains(TOKENIZER), "{text}");
    let other = model(&[(TOKENIZER, "pad_token", Some(json!("<|eot|>"))), (MAP, "pad_token", Some(json!("<|end|>")))]);
    assert!(other.facts().warnings().iter().any(|warning| warning.contains("pad_token")), "{:?}", other.facts());
}

fn sampling(generation: &Value) -> Result<SamplingSettings, CandleError> {
    let folder = copy("llama3-tied");
    std::fs::write(folder.path().join(GENERATION), generation.to_string()).unwrap();
    load(folder.path()).map(|model| model.info().sampling)
}

#[test]
fn sampling_is_what_generation_config_says() {
    let none = SamplingSettings::default();
    let greedy = SamplingSettings { temperature: Some(0.0), ..none };
    for (given, expected) in [
        (json!({}), none),
        (json!({"temperature": null, "top_k": null}), none),
        (json!({"do_sample": false}), greedy),
        (json!({"do_sample": false, "temperature": 0.6, "top_p": 0.9, "top_k": 20}), greedy),
        // Nobody samples, so what would be wrong for that is not looked at.
        (json!({"do_sample": false, "temperature": -1, "top_p": 7}), greedy),
        (
            json!({"do_sample": false, "repetition_penalty": 1.1}),
            SamplingSettings { repetition_penalty: Some(1.1), ..greedy },
        ),
        (json!({"top_k": -1}), SamplingSettings { top_k: Some(0), ..none }),
        (json!({"top_k": 0, "temperature": 0}), SamplingSettings { top_k: Some(0), ..greedy }),
        (
            json!({"do_sample": true, "temperature": 0.6, "top_k": 40, "top_p": 0.95, "min_p": 0.05}),
            SamplingSettings { temperature: Some(0.6), top_k: Some(40), top_p: Some(0.95), min_p: Some(0.05), ..none },
        ),
    ] {
        assert_eq!(sampling(&given).unwrap(), expected, "{given}");
    }
}

#[test]
fn sampling_out_of_range_is_refused_where_it_would_be_used() {
    for (key, values) in [
        ("temperature", vec![json!(-0.1), json!("0.7"), json!(1e300), json!([1])]),
        ("top_k", vec![json!(-2), json!(1.5), json!("all"), json!(1e12)]),
        ("top_p", vec![json!(0), json!(1.01), json!(-1), json!(true)]),
        ("min_p", vec![json!(-0.1), json!(1.1)]),
        ("repetition_penalty", vec![json!(0), json!(-1), json!(1000)]),
        ("do_sample", vec![json!("yes"), json!(1)]),
    ] {
        for value in values {
            let error = sampling(&json!({key: value})).unwrap_err();
            let named =
                matches!(&error, CandleError::Field { path, field, .. } if path.ends_with(GENERATION) && field == key);
            assert!(named, "{key} {value}: {error}");
        }
    }
    // Score models do not sample.
    let folder = changed("score-llama-class", &[(GENERATION, "temperature", Some(json!(-1)))]);
    let tokenizer = HfTokenizer::read(&folder.path().join("tokenizer.json")).unwrap();
    CandleScoreModel::load(folder.path(), &LoadOptions::default(), &tokenizer).unwrap();
}

#[test]
fn settings_that_are_not_honoured_are_named() {
    let folder = copy("llama3-tied");
    let given = json!({"temperature": 0.6, "no_repeat_ngram_size": 3, "suppress_tokens": [4], "max_length": 20, "typical_p": null});
    std::fs::write(folder.path().join(GENERATION), given.to_string()).unwrap();
    let model = load(folder.path()).unwrap();
    let warnings = model.facts().warnings().join("\n");
    assert!(warnings.contains("no_repeat_ngram_size") && warnings.contains("suppress_tokens"), "{warnings}");
    assert!(!warnings.contains("max_length") && !warnings.contains("typical_p"), "{warnings}");
    let fact = model.facts().all().iter().find(|fact| fact.name == "sampling").unwrap();
    assert_eq!((fact.value.as_str(), fact.from[0].as_str()), ("temperature 0.6", GENERATION));
}

#[test]
fn a_frame_that_the_tokenizer_does_not_have_is_named() {
    // The tokenizer of `llama1` puts a beginning token before a text, that of `qwen2` puts nothing around it.
    for (name, flag, asked, named) in [
        ("llama1", "add_bos_token", true, false),
        ("llama1", "add_bos_token", false, true),
        ("llama1", "add_eos_token", false, false),
        ("llama1", "add_eos_token", true, true),
        ("qwen2", "add_bos_token", false, false),
        ("qwen2", "add_eos_token", true, true),
    ] {
        let folder = changed(name, &[(TOKENIZER, flag, Some(json!(asked)))]);
        let warnings = load(folder.path()).unwrap().facts().warnings().join("\n");
        assert_eq!(warnings.contains(flag), named, "{name}, {flag} {asked}: {warnings}");
    }
    let wrong = refused(&[(TOKENIZER, "add_bos_token", Some(json!("yes")))]);
    assert!(matches!(&wrong, CandleError::Field { field, .. } if field == "add_bos_token"), "{wrong}");
}

#[test]
fn the_template_is_that_of_one_file_and_others_are_named() {
    let template = |text: &str| (TOKENIZER, "chat_template", Some(json!(text)));
    let from = |model: &CandleModel| {
        let fact = model.facts().all().iter().find(|fact| fact.name == "template").unwrap().clone();
        (fact.value, fact.from)
    };
    // The folder has a template in a file of its own, which comes before the one in tokenizer_config.json.
    let without_file = |changes: &[Change<'_>]| {
        let folder = changed("llama3-tied", changes);
        std::fs::remove_file(folder.path().join("chat_template.jinja")).unwrap();
        load(folder.path()).unwrap()
    };
    let plain = without_file(&[(TOKENIZER, "chat_template", None)]);
    assert_eq!(from(&plain), ("plain".to_owned(), Vec::new()));
    let inline = without_file(&[template("{{ messages[0]['content'] }}")]);
    assert_eq!(from(&inline), ("chat".to_owned(), vec![TOKENIZER.to_owned()]));
    let folder = changed("llama3-tied", &[template("{{ messages[0]['content'] }}")]);
    std::fs::write(folder.path().join("chat_template.jinja"), "A {{ messages[0]['content'] }}").unwrap();
    let both = load(folder.path()).unwrap();
    assert_eq!(from(&both).1, ["chat_template.jinja"]);
    assert!(both.warnings().iter().any(|warning| warning.contains("another chat template")), "{:?}", both.warnings());
}

#[test]
fn tokens_that_other_files_add_belong_to_the_tokenizer() {
    let id = |folder: &TempDir| {
        let tokenizer = HfTokenizer::read(&folder.path().join("tokenizer.json")).unwrap();
        (tokenizer.id("<tool>"), tokenizer.encode_framed("a<tool>b", false).unwrap().contains(&296))
    };
    let described = json!({"296": {"content": "<tool>", "special": true, "normalized": false}});
    for change in [
        ("added_tokens.json", "<tool>", Some(json!(296))),
        (TOKENIZER, "added_tokens_decoder", Some(described.clone())),
    ] {
        let folder = changed("llama3-tied", std::slice::from_ref(&change));
        assert_eq!(id(&folder), (Some(296), true), "{change:?}");
        // The model has no such token.
        let model = load(folder.path()).unwrap();
        assert!(model.warnings().iter().any(|warning| warning.contains("<tool>")), "{:?}", model.warnings());
    }
    let both =
        [("added_tokens.json", "<tool>", Some(json!(296))), (TOKENIZER, "added_tokens_decoder", Some(described))];
    assert_eq!(id(&changed("llama3-tied", &both)), (Some(296), true));
}

#[test]
fn tokens_with_two_ids_are_refused() {
    let wrong = |file, key, value: Value| {
        let error = refused(&[(file, key, Some(value))]);
        assert!(matches!(&error, CandleError::Field { path, .. } if path.ends_with(file)), "{error}");
    };
    wrong("added_tokens.json", "<|eot|>", json!(12));
    wrong("added_tokens.json", "<tool>", json!(300));
    wrong("added_tokens.json", "<tool>", json!("296"));
    wrong(TOKENIZER, "added_tokens_decoder", json!({"12": {"content": "<|eot|>"}}));
    wrong(TOKENIZER, "added_tokens_decoder", json!({"x": {"content": "<|eot|>"}}));
    wrong(TOKENIZER, "added_tokens_decoder", json!(["<|eot|>"]));
}
