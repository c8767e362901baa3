//! A model's folder by its headers alone: which files are there, which are missing, and how much memory they will take. No tensor is
//! read.

use crate::{
    CandleError, DecoderConfig, DeviceChoice, Head, ModelFiles, Precision,
    files::SAFETENSORS,
    gguf::Gguf,
    weights::{self, Weights},
};
use inferenceguard_kernels::Format;
use std::collections::BTreeSet;

const TOKENIZER: &str = "tokenizer.json";
/// The formats of tensors in GGUF files that hold one number at a time: F32, F16, BF16, F64.
const PLAIN: [&str; 4] = ["0", "1", "30", "28"];

/// One tensor, as far as memory goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Held {
    numbers: u64,
    /// As it lies in the file.
    bytes: u64,
    /// Whether it stays as it lies there: a quantised matrix of a GGUF file.
    quantized: bool,
    matrix: bool,
}

/// What lies in a folder.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Survey {
    /// The files of the model that are there, with their bytes.
    pub found: Vec<(String, u64)>,
    /// What is missing or wrong, each with its file and what to do.
    pub problems: Vec<String>,
    /// The configuration, if it can be read.
    pub config: Option<DecoderConfig>,
    tensors: Vec<Held>,
}

impl Survey {
    /// Looks at the files of a model. `reads_text` says that its tokenizer is needed too.
    #[must_use]
    pub fn of(files: &ModelFiles, reads_text: bool) -> Self {
        let mut survey = Self { found: found(files), ..Self::default() };
        let gguf = survey.keep(Gguf::find(files)).flatten();
        let has_own = gguf.is_some_and(|gguf| gguf.value("tokenizer.ggml.model").is_some());
        survey.config = survey.keep(DecoderConfig::read(files));
        if reads_text && !files.has(TOKENIZER) && !has_own {
            survey.problems.push(missing(files, TOKENIZER, "the fast tokenizer; convert a slow one with transformers"));
        }
        survey.add_weights(files);
        survey
    }

    fn add_weights(&mut self, files: &ModelFiles) {
        let gaps = gaps(files);
        if !gaps.is_empty() {
            let each = gaps.iter().map(|name| missing(files, name, "every weights file that the index names"));
            self.problems.extend(each);
            return;
        }
        let Some(weights) = self.keep(Weights::open(files)) else { return };
        let is_gguf = weights.gguf().is_some();
        let held = |tensor: crate::stored::StoredTensor<'_>| Held {
            numbers: tensor.shape.iter().map(|size| *size as u64).product(),
            bytes: tensor.bytes.len() as u64,
            quantized: is_gguf && !PLAIN.contains(&tensor.format.as_str()),
            matrix: tensor.shape.len() == 2,
        };
        self.tensors = weights.tensors().into_iter().map(held).collect();
    }

    /// The value, or nothing and one more problem, which is named once.
    fn keep<T>(&mut self, found: Result<T, CandleError>) -> Option<T> {
        found.map_err(|error| error.to_string()).map_or_else(
            |problem| {
                if !self.problems.contains(&problem) {
                    self.problems.push(problem);
                }
                None
            },
            Some,
        )
    }

    /// Numbers in all tensors.
    #[must_use]
    pub fn numbers(&self) -> u64 {
        self.tensors.iter().map(|tensor| tensor.numbers).sum()
    }

    /// Bytes of the weights in memory, in this number format on this device, by our own kernels where it is the CPU; quantised
    /// matrices of a GGUF file stay as they are. What lies between layers comes on top.
    #[must_use]
    pub fn weight_bytes(&self, precision: Precision, device: DeviceChoice) -> u64 {
        let one = |tensor: &Held| match precision {
            _ if tensor.quantized => tensor.bytes,
            Precision::Q8_0 if tensor.matrix => {
                tensor.numbers.div_ceil(Format::Q8_0.span() as u64) * Format::Q8_0.bytes() as u64
            }
            Precision::BF16 if tensor.matrix => tensor.numbers * 2,
            _ => tensor.numbers * number_bytes(precision, device),
        };
        let all: u64 = self.tensors.iter().map(one).sum();
        if (precision, device) == (Precision::F32, DeviceChoice::Cpu) { all + self.tied_head_bytes() } else { all }
    }

    /// Bytes of the head of a tied model whose embedding is f32: our own kernel reads a second copy, in another order.
    fn tied_head_bytes(&self) -> u64 {
        let tied = self.config.as_ref().filter(|config| config.tied && config.head == Head::Language);
        let numbers = tied.map_or(0, |config| (config.vocab as u64).saturating_mul(config.hidden as u64));
        let is_embedding = |tensor: &Held| !tensor.quantized && tensor.matrix && tensor.numbers == numbers;
        if self.tensors.iter().any(is_embedding) { 4 * numbers } else { 0 }
    }

    /// Bytes of the keys and values of one token, in this number format on this device; `u64::MAX` if they are more, since the
    /// configuration may hold any sizes.
    #[must_use]
    pub fn token_bytes(&self, precision: Precision, device: DeviceChoice) -> u64 {
        let sizes = self.config.as_ref().map_or([0; 3], |config| [config.layers, config.kv_heads, config.head_dim]);
        sizes.into_iter().fold(2 * number_bytes(precision, device), |bytes, size| bytes.saturating_mul(size as u64))
    }
}

/// Bytes of a number that is not in a matrix of fewer bits: the CPU holds all of these as f32.
fn number_bytes(precision: Precision, device: DeviceChoice) -> u64 {
    if device == DeviceChoice::Cpu { 4 } else { precision.dtype().size_in_bytes() as u64 }
}

/// The model's own files, with their bytes.
fn found(files: &ModelFiles) -> Vec<(String, u64)> {
    // A folder may hold the GGUF files of several models.
    let gguf = files.gguf().ok().flatten().map(|name| ModelFiles::parts(&name)).unwrap_or_default();
    let of_model = |name: &String| {
        let ends = [".json", ".safetensors", ".jinja", ".bin"];
        ends.iter().any(|end| name.ends_with(end)) || gguf.contains(name)
    };
    let mut found: Vec<(String, u64)> =
        files.names().into_iter().filter(of_model).map(|name| (name.clone(), files.size(&name))).collect();
    found.sort_unstable();
    found
}

/// Weights files that the index names and the folder does not hold.
fn gaps(files: &ModelFiles) -> BTreeSet<String> {
    let [single, index] = SAFETENSORS;
    if files.has(single) || !files.has(index) {
        return BTreeSet::new();
    }
    let Ok(value) = files.json(index, "the index of the weights") else { return BTreeSet::new() };
    let names = value.get("weight_map").and_then(|map| map.as_object()).into_iter().flat_map(|map| map.values());
    let inside = names.filter_map(|name| name.as_str()).filter(|name| weights::is_inside(name));
    inside.filter(|name| !files.has(name)).map(str::to_owned).collect()
}

fn missing(files: &ModelFiles, name: &str, what: &'static str) -> String {
    CandleError::MissingFile { path: files.path().join(name), what }.to_string()
}
