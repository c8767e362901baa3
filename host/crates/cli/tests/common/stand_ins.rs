//! Small models with the layouts of the paper's: no chat template, weights in shards, and one added token `<pad>` that the
//! language model and the cost model have and the reward model has not.

use super::golden;
use safetensors::{SafeTensors, tensor::TensorView};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// Three folders.
pub(crate) struct StandIns {
    pub(crate) language: PathBuf,
    pub(crate) reward: PathBuf,
    pub(crate) cost: PathBuf,
}

/// Writes them.
pub(crate) fn write(folder: &Path) -> StandIns {
    let models = StandIns {
        language: folder.join("alpaca-7b"),
        reward: folder.join("llama-7b-rm"),
        cost: folder.join("beaver-7b-cost"),
    };
    derive("llama1", &models.language, "LlamaForCausalLM", true);
    derive("score-mistral-class", &models.reward, "LlamaForSequenceClassification", false);
    derive("score-llama-cost", &models.cost, "LlamaForScore", false);
    models
}

fn derive(from: &str, to: &Path, architecture: &str, padded: bool) {
    fs::create_dir_all(to).unwrap();
    let from = golden(from);
    let mut config = super::json(&from.join("config.json"));
    config["architectures"] = json!([architecture]);
    config["model_type"] = "llama".into();
    config["sliding_window"] = Value::Null;
    let mut tokenizer = super::json(&from.join("tokenizer.json"));
    if padded {
        let id = config["vocab_size"].as_u64().unwrap();
        config["vocab_size"] = (id + 1).into();
        let mut pad = tokenizer["added_tokens"][2].clone();
        (pad["id"], pad["content"]) = (id.into(), "<pad>".into());
        tokenizer["added_tokens"].as_array_mut().unwrap().push(pad);
        fs::write(to.join("added_tokens.json"), json!({ "<pad>": id }).to_string()).unwrap();
        fs::copy(from.join("generation_config.json"), to.join("generation_config.json")).unwrap();
    }
    let mut about = super::json(&from.join("tokenizer_config.json"));
    about.as_object_mut().unwrap().remove("chat_template");
    fs::write(to.join("tokenizer_config.json"), about.to_string()).unwrap();
    fs::write(to.join("special_tokens_map.json"), r#"{"bos_token": "<s>", "eos_token": "</s>"}"#).unwrap();
    fs::write(to.join("config.json"), config.to_string()).unwrap();
    fs::write(to.join("tokenizer.json"), tokenizer.to_string()).unwrap();
    write_shards(&tensors(&from, padded), to);
}

type Tensors = BTreeMap<String, (safetensors::Dtype, Vec<usize>, Vec<u8>)>;

/// All tensors of a folder; with one more row for each token table if it is to be padded.
fn tensors(folder: &Path, padded: bool) -> Tensors {
    let mut all = BTreeMap::new();
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let is_weights = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        name.starts_with("model") && name.ends_with(".safetensors")
    };
    for path in files.filter(is_weights) {
        let bytes = fs::read(path).unwrap();
        for (name, view) in SafeTensors::deserialize(&bytes).unwrap().tensors() {
            let (mut shape, mut data) = (view.shape().to_vec(), view.data().to_vec());
            if padded && (name.contains("embed_tokens") || name.contains("lm_head")) {
                data.extend(vec![0; data.len() / shape[0]]);
                shape[0] += 1;
            }
            all.insert(name, (view.dtype(), shape, data));
        }
    }
    all
}

/// Two files and an index.
fn write_shards(tensors: &Tensors, to: &Path) {
    let mut places = BTreeMap::new();
    for shard in 0..2 {
        let file = format!("model-{:05}-of-00002.safetensors", shard + 1);
        let own = tensors.iter().enumerate().filter(|(at, _)| at % 2 == shard).map(|(_, one)| one);
        let views: Vec<(&String, TensorView<'_>)> = own
            .map(|(name, (dtype, shape, data))| (name, TensorView::new(*dtype, shape.clone(), data).unwrap()))
            .collect();
        places.extend(views.iter().map(|(name, _)| ((*name).clone(), file.clone())));
        fs::write(to.join(&file), safetensors::serialize(views, None).unwrap()).unwrap();
    }
    let index = json!({ "metadata": { "total_size": 0 }, "weight_map": places });
    fs::write(to.join("model.safetensors.index.json"), index.to_string()).unwrap();
}
