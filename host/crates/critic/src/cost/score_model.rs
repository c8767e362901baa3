//! A trained head as a whole score model: a folder with the language model's weights and a score on its last latent, which other
//! programs read too.
//!
//! | the language model is | written as | the score |
//! |---|---|---|
//! | `LlamaForCausalLM` | `LlamaForScore` (safe-rlhf) | `score_head.weight`, `score_head.bias` |
//! | Mistral, Qwen 2, Qwen 3 | `…ForSequenceClassification` with one label | `score.weight`; there is no bias |
//!
//! The weights are linked where the file system allows it, else copied. GGUF files are refused: their numbers are rounded, and no
//! program expects a score among them.

use super::{CostObjective, HeadOptions};
use crate::{
    error::{CriticError, Result},
    files,
};
use inferenceguard_bundle::network::Network;
use inferenceguard_candle::ModelFiles;
use inferenceguard_model::LatentSelector;
use safetensors::{Dtype, tensor::TensorView};
use serde_json::{Map, Value, json};
use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

const CONFIG: &str = "config.json";
const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";
/// The weights of a language model in one file, as the folder has them.
const BACKBONE: &str = "backbone.safetensors";
/// The score.
const SCORE: &str = "score.safetensors";

/// What tokenizer and template of a folder are in.
const SMALL: [&str; 9] = [
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "generation_config.json",
    "chat_template.jinja",
    "chat_template.json",
    "vocab.json",
    "merges.txt",
];

/// The longest header of a safetensors file.
const HEADER: u64 = 100 << 20;

/// A score model that is to be written.
#[derive(Debug, Clone)]
pub struct ScoreFolder {
    backbone: PathBuf,
    folder: PathBuf,
    config: Map<String, Value>,
    layout: Layout,
}

/// How the score is named.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Layout {
    /// As safe-rlhf names it.
    SafeRlhf,
    /// A sequence classifier of this architecture.
    Classifier(String),
}

impl ScoreFolder {
    /// Looks at the language model, the folder and what is to be trained: before the training, not after it. `objective` is that of
    /// a cost.
    ///
    /// # Errors
    /// [`CriticError::Backbone`] for a model without safetensors, or of another architecture; [`CriticError::Option`] for heads that
    /// no score model has, and for a folder with something else in it.
    pub fn new(
        model: &ModelFiles,
        folder: PathBuf,
        heads: &HeadOptions,
        objective: Option<CostObjective>,
    ) -> Result<Self> {
        check_heads(heads, objective)?;
        let backbone = model.path().to_owned();
        if let Some(gguf) = model.named_gguf() {
            let expected = "a folder with safetensors: give the model that the file was made from";
            return Err(refused(&backbone.join(gguf), "a GGUF file", expected));
        }
        if !backbone.join(CONFIG).is_file() || ![SINGLE, INDEX].iter().any(|name| backbone.join(name).is_file()) {
            let expected = "a Hugging Face folder with config.json and safetensors";
            return Err(refused(&backbone, "no such files", expected));
        }
        let config = object(&backbone.join(CONFIG))?;
        let layout = layout(&backbone, &config)?;
        check_target(&backbone, &folder)?;
        Ok(Self { backbone, folder, config, layout })
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.folder
    }

    /// Writes the folder around a trained head. Gives the shift that its scores lack, where the layout has no bias.
    ///
    /// # Errors
    /// [`CriticError::File`], with a folder that is not whole and has no config.json; [`CriticError::Damaged`] for weights whose
    /// header cannot be read.
    pub fn write(&self, network: &Network, kind: &str) -> Result<Option<f32>> {
        let [layer] = &*network.layers else { return Err(not_linear(network)) };
        let [bias] = layer.bias[..] else { return Err(not_linear(network)) };
        files::folder(&self.folder)?;
        remove(&self.folder.join(CONFIG))?;
        let mut names = self.link_weights()?;
        let biased = self.layout == Layout::SafeRlhf;
        let (weight, shift) = if biased { ("score_head.weight", "score_head.bias") } else { ("score.weight", "") };
        names.insert(weight.to_owned(), json!(SCORE));
        if biased {
            names.insert(shift.to_owned(), json!(SCORE));
        }
        let shift = biased.then_some((shift, bias));
        files::write(&self.folder.join(SCORE), &score_file(weight, &layer.weights, shift)?)?;
        write_json(&self.folder.join(INDEX), &json!({ "metadata": {}, "weight_map": names }))?;
        for name in SMALL.iter().filter(|name| self.backbone.join(name).is_file()) {
            let from = self.backbone.join(name);
            let bytes = fs::read(&from).map_err(CriticError::file("read", &from))?;
            files::write(&self.folder.join(name), &bytes)?;
        }
        write_json(&self.folder.join(CONFIG), &Value::Object(self.config_of(kind)))?;
        Ok((!biased).then_some(bias))
    }

    /// Links the weights, and says which file has which tensor.
    fn link_weights(&self) -> Result<Map<String, Value>> {
        let single = self.backbone.join(SINGLE);
        if single.is_file() {
            link(&single, &self.folder.join(BACKBONE))?;
            return Ok(tensors(&single)?.into_iter().map(|name| (name, json!(BACKBONE))).collect());
        }
        let index = self.backbone.join(INDEX);
        let Some(Value::Object(names)) = object(&index)?.remove("weight_map") else {
            return Err(refused(&index, "no `weight_map`", "the index of the weights"));
        };
        let mut shards: Vec<&str> = names.values().filter_map(Value::as_str).collect();
        shards.sort_unstable();
        shards.dedup();
        for shard in shards {
            if Path::new(shard).file_name() != Some(shard.as_ref()) || shard == SCORE {
                return Err(refused(&index, format!("the file `{shard}`"), "names of files beside it"));
            }
            link(&self.backbone.join(shard), &self.folder.join(shard))?;
        }
        Ok(names)
    }

    fn config_of(&self, kind: &str) -> Map<String, Value> {
        let mut config = self.config.clone();
        let more = match &self.layout {
            Layout::SafeRlhf => json!({
                "architectures": ["LlamaForScore"], "score_dim": 1, "score_bias": true, "bias": true,
                "do_normalize": false, "score_type": kind,
            }),
            Layout::Classifier(name) => json!({
                "architectures": [name], "num_labels": 1, "id2label": { "0": kind }, "label2id": { kind: 0 },
            }),
        };
        config.extend(more.as_object().cloned().unwrap_or_default());
        config
    }
}

fn not_linear(network: &Network) -> CriticError {
    let found = format!("a network of {} layers", network.layers.len());
    CriticError::option("depth", found, "a linear head with one output")
}

fn check_heads(heads: &HeadOptions, objective: Option<CostObjective>) -> Result<()> {
    if heads.recipe.depth != 0 {
        return Err(CriticError::option(
            "depth",
            heads.recipe.depth,
            "0 with --score-model: its score is one linear layer",
        ));
    }
    if let Some(other) = heads.readings.iter().find(|places| places.0 != [LatentSelector::FinalNorm]) {
        return Err(CriticError::option(
            "latents",
            other,
            "final-norm with --score-model: its score reads nothing else",
        ));
    }
    match objective {
        None | Some(CostObjective::Prefix) => Ok(()),
        Some(other) => {
            let expected = "prefix with --score-model: its score at a token is that of the answer so far";
            Err(CriticError::option("objective", other.name(), expected))
        }
    }
}

fn layout(backbone: &Path, config: &Map<String, Value>) -> Result<Layout> {
    let found = config.get("architectures").and_then(|names| names.get(0)).and_then(Value::as_str).unwrap_or("nothing");
    match found.strip_suffix("ForCausalLM") {
        Some("Llama") => Ok(Layout::SafeRlhf),
        Some(family @ ("Mistral" | "Qwen2" | "Qwen3")) => {
            Ok(Layout::Classifier(format!("{family}ForSequenceClassification")))
        }
        _ => {
            let expected = "a language model: LlamaForCausalLM, or that of Mistral, Qwen2 or Qwen3";
            Err(refused(&backbone.join(CONFIG), format!("the architecture {found}"), expected))
        }
    }
}

/// A folder that is not there, is empty, or was written by an earlier training.
fn check_target(backbone: &Path, folder: &Path) -> Result<()> {
    let same = matches!((backbone.canonicalize(), folder.canonicalize()), (Ok(a), Ok(b)) if a == b);
    let is_empty = fs::read_dir(folder).map_or(!folder.exists(), |mut entries| entries.next().is_none());
    if !same && (is_empty || folder.join(SCORE).is_file()) {
        return Ok(());
    }
    let expected = "a new folder, or the folder of such a score model";
    Err(CriticError::option("score-model", folder.display(), expected))
}

fn refused(path: &Path, found: impl Into<String>, expected: &'static str) -> CriticError {
    CriticError::Backbone { path: path.to_owned(), found: found.into(), expected }
}

fn object(path: &Path) -> Result<Map<String, Value>> {
    let bytes = fs::read(path).map_err(CriticError::file("read", path))?;
    serde_json::from_slice(&bytes).map_err(|error| refused(path, error.to_string(), "a JSON object"))
}

fn write_json(path: &Path, value: &Value) -> Result<()> {
    files::write(path, format!("{value:#}\n").as_bytes())
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(CriticError::file("remove", path)(error)),
        _ => Ok(()),
    }
}

/// Links a file, or copies it where that is not possible.
fn link(from: &Path, to: &Path) -> Result<()> {
    remove(to)?;
    let from = from.canonicalize().map_err(CriticError::file("read", from))?;
    if fs::hard_link(&from, to).is_err() {
        fs::copy(&from, to).map_err(CriticError::file("write", to))?;
    }
    Ok(())
}

/// The names of the tensors of a safetensors file, from its header alone.
fn tensors(path: &Path) -> Result<Vec<String>> {
    let header = || -> io::Result<Vec<u8>> {
        let (mut file, mut length) = (File::open(path)?, [0; 8]);
        file.read_exact(&mut length)?;
        let length = u64::from_le_bytes(length);
        let mut header = Vec::new();
        if length > HEADER || file.take(length).read_to_end(&mut header)? as u64 != length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(header)
    };
    let header = header().map_err(CriticError::file("read", path))?;
    let names: Map<String, Value> =
        serde_json::from_slice(&header).map_err(|error| refused(path, error.to_string(), "a safetensors file"))?;
    Ok(names.into_iter().map(|(name, _)| name).filter(|name| name != "__metadata__").collect())
}

/// The file of the score.
fn score_file(name: &str, weights: &[f32], bias: Option<(&str, f32)>) -> Result<Vec<u8>> {
    let bytes = |values: &[f32]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
    let (weight, shift) = (bytes(weights), bytes(&[bias.map_or(0.0, |(_, shift)| shift)]));
    let failed = |error: safetensors::SafeTensorError| {
        let expected = "a score that fits a file".to_owned();
        CriticError::Damaged { path: SCORE.into(), found: error.to_string(), expected }
    };
    let mut tensors = vec![(name, TensorView::new(Dtype::F32, vec![1, weights.len()], &weight).map_err(failed)?)];
    if let Some((name, _)) = bias {
        tensors.push((name, TensorView::new(Dtype::F32, vec![1], &shift).map_err(failed)?));
    }
    safetensors::serialize(tensors, None).map_err(failed)
}
