//! Digests of a model: one of everything that its numbers depend on, and one of each part.
//!
//! Small files (tokenizer, configuration, templates) and small tensors (norms, biases, score heads) are hashed whole. Of a
//! large tensor 64 evenly spaced blocks of 64 KiB are, so that a model of 15 GB does not cost a minute; a full digest reads
//! everything.

use crate::{
    DecoderConfig, HfTokenizer, Kernels, LoadOptions, ModelFiles, Precision,
    gguf::Gguf,
    stored::{StoredTensor, digest},
    weights::Weights,
};
use inferenceguard_model::{ModelParts, Tokenizer};
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// How much of a tensor is hashed.
#[derive(Debug, Clone, Copy)]
struct Reading {
    /// Tensors below this many bytes are read whole.
    whole: usize,
    /// The bytes of one block of a larger one.
    block: usize,
    /// How many blocks of it are read, evenly spaced, the first and the last among them.
    blocks: usize,
}

impl Reading {
    const SAMPLED: Self = Self { whole: 16 << 20, block: 64 << 10, blocks: 64 };
    const WHOLE: Self = Self { whole: usize::MAX, ..Self::SAMPLED };
}

/// What is hashed.
pub(crate) struct Subject<'a> {
    pub(crate) files: &'a ModelFiles,
    pub(crate) config: &'a DecoderConfig,
    pub(crate) weights: &'a Weights,
    pub(crate) tokenizer: &'a HfTokenizer,
}

impl Subject<'_> {
    /// Every part, with the digest of the template; `rounded` says whether weights become Q8_0 as they are loaded.
    pub(crate) fn parts(&self, template: &str, options: &LoadOptions, rounded: bool) -> ModelParts {
        let seen = self.files.digests();
        let parts = ModelParts {
            weights: named(&tensors(&self.weights.tensors(), Reading::SAMPLED)),
            tokenizer: named(&tokenizer(&seen, self.tokenizer)),
            template: named(template),
            config: named(&config(&seen, self.weights.gguf())),
            precision: precision(options.precision).to_owned(),
            device: device(options),
            base: base(self.config, self.weights, rounded),
            full: String::new(),
        };
        let whole = options.full_digest.then(|| named(&tensors(&self.weights.tensors(), Reading::WHOLE)));
        let full = whole.map(|weights| of(&ModelParts { weights, ..parts.clone() }));
        ModelParts { full: full.unwrap_or_default(), ..parts }
    }
}

/// The parts of a folder that do not depend on its weights.
pub(crate) fn texts(files: &ModelFiles, own: &HfTokenizer, gguf: Option<&Gguf>, template: &str) -> ModelParts {
    let seen = files.digests();
    ModelParts {
        tokenizer: named(&tokenizer(&seen, own)),
        template: named(template),
        config: named(&config(&seen, gguf)),
        ..ModelParts::default()
    }
}

/// The tokenizer's files as they are; for a tokenizer without files, its vocabulary and rules.
fn tokenizer(seen: &BTreeMap<String, String>, own: &HfTokenizer) -> String {
    let files: Vec<_> = seen.iter().filter(|(name, _)| Part::of(name) == Part::Tokenizer).collect();
    let rules = if seen.contains_key("tokenizer.json") { String::new() } else { own.fingerprint() };
    listed(files, rules.as_bytes())
}

/// All other files as they are, and the header of a GGUF file.
fn config(seen: &BTreeMap<String, String>, gguf: Option<&Gguf>) -> String {
    let own = seen.iter().filter(|(name, _)| Part::of(name) == Part::Config).collect();
    let gguf = gguf.map(Gguf::contents).unwrap_or_default();
    let headers: Vec<u8> = gguf.into_iter().flat_map(|(header, _)| header.iter().copied()).collect();
    listed(own, &headers)
}

/// What a file of settings belongs to.
#[derive(Debug, PartialEq, Eq)]
enum Part {
    Tokenizer,
    /// What is taken from it is in the digest of the template.
    Template,
    /// What is taken from it is in the digest of the weights.
    Weights,
    Config,
}

impl Part {
    fn of(name: &str) -> Self {
        match name {
            "special_tokens_map.json" | "added_tokens.json" | "vocab.json" | "merges.txt" => Self::Tokenizer,
            "model.safetensors.index.json" => Self::Weights,
            _ if name.starts_with("tokenizer") => Self::Tokenizer,
            _ if name.starts_with("chat_template") => Self::Template,
            _ => Self::Config,
        }
    }
}

/// The one digest of all parts that a fingerprint covers.
pub(crate) fn of(parts: &ModelParts) -> String {
    let line = |name: &&str| format!("{name} {}\n", parts.get(name).unwrap_or_default());
    let all: String = ModelParts::COVERED.iter().map(line).collect();
    named(&digest(all.as_bytes()))
}

/// A digest of named digests, and of what comes after them.
fn listed(files: Vec<(&String, &String)>, more: &[u8]) -> String {
    let mut hash = Sha256::new();
    for (name, found) in files {
        hash.update(format!("{name} {found}\n"));
    }
    hash.update(more);
    hex::encode(hash.finalize())
}

/// A digest of tensors in the order of their names: how they are spread over files does not matter.
fn tensors(all: &[StoredTensor<'_>], reading: Reading) -> String {
    let each: Vec<_> = all.par_iter().map(|one| tensor(one, reading)).collect();
    let mut hash = Sha256::new();
    each.iter().for_each(|one| hash.update(one));
    hex::encode(hash.finalize())
}

fn tensor(one: &StoredTensor<'_>, reading: Reading) -> Vec<u8> {
    let mut hash = Sha256::new();
    hash.update(format!("{:?} {} {:?} {}\n", one.name, one.format, one.shape, one.bytes.len()));
    if one.bytes.len() < reading.whole {
        hash.update(one.bytes);
        return hash.finalize().to_vec();
    }
    let last = one.bytes.len().saturating_sub(reading.block);
    for i in 0..reading.blocks {
        let start = last / (reading.blocks - 1) * i;
        let start = if i + 1 == reading.blocks { last } else { start };
        hash.update(&one.bytes[start..(start + reading.block).min(one.bytes.len())]);
    }
    hash.finalize().to_vec()
}

/// Files up to this size are hashed whole for the base digest.
const WHOLE_FILE: usize = 256 << 20;
/// Of larger files, blocks of this size are hashed, this many.
const SAMPLE: usize = 64 << 10;
const SAMPLES: usize = 1024;

/// Architecture and weights in one digest, by which networks name models. It never changes, because networks hold it.
///
/// Weights that become Q8_0 as they are loaded have another digest than those of the file. Those that become bf16 have not, on any
/// device.
fn base(config: &DecoderConfig, weights: &Weights, rounded: bool) -> String {
    let mut hash = Sha256::new();
    hash.update(described(config));
    if rounded && weights.gguf().is_none() {
        hash.update("q8_0");
    }
    for (header, bytes) in weights.files() {
        base_of_file(&mut hash, header, bytes);
    }
    hex::encode(hash.finalize())
}

/// The configuration in words. Networks hold digests of these: a field that a family does not have changes none of them.
fn described(config: &DecoderConfig) -> String {
    let text = format!("{config:?}");
    text.strip_suffix(", gemma: None }").map_or(text.clone(), |before| format!("{before} }}"))
}

fn base_of_file(hash: &mut Sha256, header: &[u8], bytes: &[u8]) {
    hash.update((bytes.len() as u64).to_le_bytes());
    if bytes.len() <= WHOLE_FILE {
        return hash.update(bytes);
    }
    hash.update(header);
    let stride = (bytes.len() - SAMPLE) / SAMPLES;
    for i in 0..SAMPLES {
        hash.update(&bytes[i * stride..i * stride + SAMPLE]);
    }
}

fn precision(precision: Precision) -> &'static str {
    match precision {
        Precision::F32 => "f32",
        Precision::Q8_0 => "q8_0",
        Precision::F16 => "f16",
        Precision::BF16 => "bf16",
    }
}

fn device(options: &LoadOptions) -> String {
    match options.kernels {
        Kernels::Direct => options.device.to_string(),
        Kernels::Tensors => format!("{}, by the tensor library", options.device),
    }
}

fn named(hex: &str) -> String {
    format!("sha256:{hex}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_base_digest_of_the_older_families_does_not_know_the_newer() {
        let value = serde_json::json!({
            "architectures": ["LlamaForCausalLM"], "hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1,
            "num_attention_heads": 2, "vocab_size": 9, "max_position_embeddings": 16, "eos_token_id": 2,
        });
        let config = DecoderConfig::parse(std::path::Path::new("config.json"), &value).unwrap();
        let text = described(&config);
        assert!(text.starts_with("DecoderConfig { family: Llama, ") && text.ends_with(", eos: [2] }"), "{text}");
    }

    const SMALL: Reading = Reading { whole: 100, block: 8, blocks: 4 };

    fn digest_of(bytes: &[u8], reading: Reading) -> String {
        let one = StoredTensor { name: "score_head.weight", format: "F32".into(), shape: &[1, 2], bytes };
        tensors(&[one], reading)
    }

    #[test]
    fn a_small_tensor_counts_to_its_last_byte() {
        let bytes = vec![7_u8; 99];
        for at in 0..bytes.len() {
            let mut other = bytes.clone();
            other[at] ^= 1;
            assert_ne!(digest_of(&bytes, SMALL), digest_of(&other, SMALL), "byte {at}");
        }
    }

    #[test]
    fn of_a_large_tensor_blocks_count_and_in_a_full_digest_every_byte() {
        let bytes = vec![7_u8; 1000];
        let changed = |at: usize| {
            let mut other = bytes.clone();
            other[at] ^= 1;
            other
        };
        for at in [0, 7, 992, 999] {
            assert_ne!(digest_of(&bytes, SMALL), digest_of(&changed(at), SMALL), "byte {at} is in a block");
        }
        assert_eq!(digest_of(&bytes, SMALL), digest_of(&changed(20), SMALL), "byte 20 is in none");
        for at in 0..bytes.len() {
            assert_ne!(digest_of(&bytes, Reading::WHOLE), digest_of(&changed(at), Reading::WHOLE), "byte {at}");
        }
        assert_ne!(digest_of(&bytes[..999], SMALL), digest_of(&bytes, SMALL), "the length counts");
    }

    #[test]
    fn score_heads_and_norms_are_small_and_every_covered_part_changes_the_fingerprint() {
        // The widest heads and norms in use hold some thousand numbers.
        const { assert!(Reading::SAMPLED.whole > 16_384 * 4) };
        let parts = |name: &str| {
            let mut parts = ModelParts::default();
            let value = "x".to_owned();
            match name {
                "weights" => parts.weights = value,
                "tokenizer" => parts.tokenizer = value,
                "template" => parts.template = value,
                "config" => parts.config = value,
                "precision" => parts.precision = value,
                _ => parts.device = value,
            }
            of(&parts)
        };
        let bare = of(&ModelParts::default());
        assert!(ModelParts::COVERED.iter().all(|name| parts(name) != bare));
        assert_eq!(parts("device"), bare, "another device rounds otherwise, and that is all");
    }
}
