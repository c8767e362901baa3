//! The configuration of a GGUF file: from its metadata, or from config.json where they agree.

use super::{Gguf, Value, gemma};
use crate::{CandleError, DecoderConfig, Family, ModelFiles, rope::RopeScaling};
use serde_json::{Map, json};

/// Architectures: GGUF, and what config.json calls them.
const ARCHITECTURES: [(&str, &str); 4] =
    [("llama", "Llama"), ("qwen2", "Qwen2"), ("qwen3", "Qwen3"), (gemma::NAME, "Gemma3")];

/// Sizes: GGUF, config.json.
const SIZES: [(&str, &str); 5] = [
    ("block_count", "num_hidden_layers"),
    ("embedding_length", "hidden_size"),
    ("feed_forward_length", "intermediate_size"),
    ("attention.head_count", "num_attention_heads"),
    ("context_length", "max_position_embeddings"),
];

/// Keys beside the sizes that are read, or that add nothing to those that are.
const UNDERSTOOD: [&str; 13] = [
    "attention.head_count_kv",
    "attention.key_length",
    "attention.layer_norm_rms_epsilon",
    "attention.value_length",
    "expert_count",
    "expert_used_count",
    "rope.dimension_count",
    "rope.freq_base",
    "rope.scaling.factor",
    "rope.scaling.finetuned",
    "rope.scaling.original_context_length",
    "rope.scaling.type",
    "vocab_size",
];

/// The divisors of the speeds, one for each pair.
const FACTORS: &str = "rope_freqs.weight";

pub(super) fn read(gguf: &Gguf, files: &ModelFiles) -> Result<DecoderConfig, CandleError> {
    gguf.refuse_unsupported()?;
    // Also what the layout of queries and keys goes by.
    gguf.needed("attention.head_count")?;
    let Some(value) = beside(files)? else { return gguf.config_of_metadata() };
    let config = DecoderConfig::parse(&files.path().join("config.json"), &value)?;
    for (key, field, value) in stated(&config) {
        gguf.agree(key, field, value)?;
    }
    gguf.scaling_agrees(&config)?;
    let family = match config.family {
        Family::Llama | Family::Mistral => "llama",
        Family::Qwen2 => "qwen2",
        Family::Qwen3 => "qwen3",
        Family::Gemma3 => gemma::NAME,
    };
    if family != gguf.architecture() {
        let found = gguf.architecture().to_owned();
        return Err(gguf.disagreement("general.architecture", found, "architectures", config.architecture));
    }
    gemma::agrees(gguf, &config)?;
    Ok(config)
}

/// The config.json beside the file. Repositories of GGUF files often have a config.json without an architecture; it describes no
/// model, and the metadata do.
pub(super) fn beside(files: &ModelFiles) -> Result<Option<serde_json::Value>, CandleError> {
    if !files.has("config.json") {
        return Ok(None);
    }
    let value = files.json("config.json", "config.json")?;
    Ok(value.get("architectures").is_some().then_some(value))
}

/// What both must say alike: the metadata's key, the field of config.json, and its value.
fn stated(config: &DecoderConfig) -> [(&'static str, &'static str, f64); 11] {
    let size = |n: usize| n as f64;
    [
        ("block_count", "num_hidden_layers", size(config.layers)),
        ("embedding_length", "hidden_size", size(config.hidden)),
        ("feed_forward_length", "intermediate_size", size(config.intermediate)),
        ("attention.head_count", "num_attention_heads", size(config.heads)),
        ("attention.head_count_kv", "num_key_value_heads", size(config.kv_heads)),
        ("attention.key_length", "head_dim", size(config.head_dim)),
        ("attention.value_length", "head_dim", size(config.head_dim)),
        ("rope.dimension_count", "head_dim", size(config.head_dim)),
        ("vocab_size", "vocab_size", size(config.vocab)),
        ("attention.layer_norm_rms_epsilon", "rms_norm_eps", config.norm_eps),
        ("rope.freq_base", "rope_theta", config.rope.theta),
    ]
}

impl Gguf {
    /// The metadata's key of this architecture.
    pub(super) fn key(&self, key: &str) -> String {
        format!("{}.{key}", self.architecture())
    }

    /// Keys of the architecture that are not understood here.
    pub(crate) fn unknown_settings(&self) -> impl Iterator<Item = &str> {
        let prefix = self.key("");
        let own: &[&str] = if self.architecture() == gemma::NAME { &gemma::UNDERSTOOD } else { &[] };
        let known = move |key: &str| {
            UNDERSTOOD.contains(&key) || own.contains(&key) || SIZES.iter().any(|(size, _)| *size == key)
        };
        let keys = self.first.header.metadata.keys().map(String::as_str);
        keys.filter(move |key| key.strip_prefix(&prefix).is_some_and(|key| !known(key)))
    }

    /// A size, if it is there and a whole number from 1 to 2^32.
    pub(super) fn size(&self, key: &str) -> Option<usize> {
        let size = whole(self.value(&self.key(key))?)?;
        u32::try_from(size).ok().filter(|size| *size > 0).map(|size| size as usize)
    }

    fn number(&self, key: &str) -> Option<f64> {
        match self.value(&self.key(key))? {
            Value::Number(n) => Some(*n),
            Value::Whole(n) => Some(*n as f64),
            _ => None,
        }
    }

    pub(super) fn wrong(&self, key: &str, expected: &str) -> CandleError {
        let found = self.value(key).map_or("missing".into(), Value::shown);
        CandleError::Field { path: self.path.clone(), field: key.into(), found, expected: expected.into() }
    }

    pub(super) fn needed(&self, key: &str) -> Result<usize, CandleError> {
        self.size(key).ok_or_else(|| self.wrong(&self.key(key), "a whole number above 0"))
    }

    /// A size that may be absent, but not be nonsense.
    pub(super) fn optional(&self, key: &str) -> Result<Option<usize>, CandleError> {
        self.value(&self.key(key)).map(|_| self.needed(key)).transpose()
    }

    fn refuse_unsupported(&self) -> Result<(), CandleError> {
        let found = self.architecture();
        if !ARCHITECTURES.iter().any(|(known, _)| *known == found) {
            let (path, found) = (self.path.clone(), format!("`{found}`"));
            return Err(CandleError::Architecture {
                path,
                found,
                supported: ARCHITECTURES.map(|(known, _)| known).join(", "),
            });
        }
        if self.number("expert_count").is_some_and(|experts| experts > 0.0) {
            return Err(self.wrong(&self.key("expert_count"), "0: mixtures of experts are not supported"));
        }
        let scaling = self.value(&self.key("rope.scaling.type"));
        match scaling {
            None => Ok(()),
            Some(Value::Text(kind)) if kind == "none" || kind == "linear" => Ok(()),
            Some(_) => Err(self.wrong(&self.key("rope.scaling.type"), "none or linear")),
        }
    }

    pub(super) fn agree(&self, key: &str, field: &'static str, value: f64) -> Result<(), CandleError> {
        let as_heads = (key == "attention.head_count_kv").then_some("attention.head_count");
        let Some(found) = self.number(key).or_else(|| self.number(as_heads?)) else { return Ok(()) };
        // The file holds f32.
        if (found - value).abs() <= 1e-6 * value.abs() {
            return Ok(());
        }
        Err(self.disagreement(&self.key(key), found.to_string(), field, value.to_string()))
    }

    /// Whether config.json stretches positions as the metadata do.
    fn scaling_agrees(&self, config: &DecoderConfig) -> Result<(), CandleError> {
        let scaling = &config.rope.scaling;
        let (key, metadata, fine) = if self.has(FACTORS) {
            (FACTORS.to_owned(), "a divisor for each pair".to_owned(), *scaling != RopeScaling::Default)
        } else if self.is_linear() {
            let found = self.number("rope.scaling.factor").unwrap_or(1.0);
            let same = |factor: f64| (found - factor).abs() <= 1e-6 * factor.abs();
            let fine = matches!(scaling, RopeScaling::Linear { factor } if same(*factor));
            (self.key("rope.scaling.factor"), found.to_string(), fine)
        } else {
            return Ok(());
        };
        if fine { Ok(()) } else { Err(self.disagreement(&key, metadata, "rope_scaling", format!("{scaling:?}"))) }
    }

    fn is_linear(&self) -> bool {
        matches!(self.value(&self.key("rope.scaling.type")), Some(Value::Text(kind)) if kind == "linear")
    }

    pub(super) fn disagreement(&self, key: &str, metadata: String, field: &'static str, value: String) -> CandleError {
        CandleError::Disagreement { gguf: self.path.clone(), key: key.into(), metadata, field, value }
    }

    /// The metadata, written as a config.json and read as one.
    fn config_of_metadata(&self) -> Result<DecoderConfig, CandleError> {
        let mut fields = Map::new();
        for (key, field) in SIZES {
            fields.insert(field.into(), self.needed(key)?.into());
        }
        let heads = self.needed("attention.head_count")?;
        fields.insert("num_key_value_heads".into(), self.optional("attention.head_count_kv")?.unwrap_or(heads).into());
        fields.insert("head_dim".into(), self.head_dim(heads)?.into());
        fields.insert("vocab_size".into(), self.vocab()?.into());
        self.tell_numbers(&mut fields)?;
        self.tell_kind(&mut fields)?;
        if self.architecture() == gemma::NAME {
            gemma::tell(self, &mut fields)?;
        }
        let mut config = DecoderConfig::parse(&self.path, &fields.into())?;
        if let Some(factors) = self.factors(&config)? {
            config.rope.scaling = RopeScaling::Factors(factors);
        }
        Ok(config)
    }

    fn head_dim(&self, heads: usize) -> Result<usize, CandleError> {
        let default = self.needed("embedding_length")? / heads;
        let dim = self.optional("attention.key_length")?.unwrap_or(default);
        for key in ["attention.value_length", "rope.dimension_count"] {
            if self.optional(key)?.is_some_and(|other| other != dim) {
                return Err(self.wrong(&self.key(key), &format!("{dim}, as many as a key has")));
            }
        }
        Ok(dim)
    }

    fn vocab(&self) -> Result<usize, CandleError> {
        let embedding = self.info("model.embed_tokens.weight").and_then(|(_, _, entry)| entry.shape.first().copied());
        match embedding.or(self.optional("vocab_size")?) {
            Some(vocab) => Ok(vocab),
            None => Err(self.wrong(&self.key("vocab_size"), "a whole number above 0")),
        }
    }

    pub(super) fn above_zero(&self, key: &str) -> Result<f64, CandleError> {
        let found = self.number(key).filter(|n| n.is_finite() && *n > 0.0);
        found.ok_or_else(|| self.wrong(&self.key(key), "a number above 0"))
    }

    fn tell_numbers(&self, fields: &mut Map<String, serde_json::Value>) -> Result<(), CandleError> {
        let number = |key: &str| self.above_zero(key);
        fields.insert("rms_norm_eps".into(), number("attention.layer_norm_rms_epsilon")?.into());
        if self.value(&self.key("rope.freq_base")).is_some() {
            fields.insert("rope_theta".into(), number("rope.freq_base")?.into());
        }
        if self.is_linear() {
            let scaling = json!({"rope_type": "linear", "factor": number("rope.scaling.factor")?});
            fields.insert("rope_scaling".into(), scaling);
        }
        let id = |key: &str| self.value(&format!("tokenizer.ggml.{key}")).and_then(whole);
        let ends: Vec<u64> = ["eos_token_id", "eot_token_id"].into_iter().filter_map(id).collect();
        fields.insert("eos_token_id".into(), ends.into());
        Ok(())
    }

    /// Which head, which biases.
    fn tell_kind(&self, fields: &mut Map<String, serde_json::Value>) -> Result<(), CandleError> {
        if self.has("score_head.weight") {
            let expected = "absent: whether it is a reward or a cost stands in config.json, which is not there";
            return Err(self.wrong("score_head.weight", expected));
        }
        let score = self.has("score.weight");
        let family = ARCHITECTURES.iter().find(|(known, _)| *known == self.architecture()).map_or("", |(_, name)| name);
        let kind = match score {
            true if family == "Gemma3" => "TextForSequenceClassification",
            true => "ForSequenceClassification",
            false => "ForCausalLM",
        };
        fields.insert("architectures".into(), json!([format!("{family}{kind}")]));
        fields.insert("num_labels".into(), 1.into());
        fields.insert("tie_word_embeddings".into(), (!score && !self.has("lm_head.weight")).into());
        let bias = |part: &str| self.has(&format!("model.layers.0.{part}.bias"));
        fields.insert("attention_bias".into(), (family != "Qwen2" && bias("self_attn.q_proj")).into());
        fields.insert("mlp_bias".into(), bias("mlp.up_proj").into());
        Ok(())
    }

    /// The divisors of the speeds, one for each pair: how llama.cpp writes the scaling of Llama 3.
    fn factors(&self, config: &DecoderConfig) -> Result<Option<Vec<f64>>, CandleError> {
        if !self.has(FACTORS) {
            return Ok(None);
        }
        let factors = self.values(FACTORS, &[config.head_dim / 2])?;
        if config.rope.scaling != RopeScaling::Default || !factors.iter().all(|factor| *factor > 0.0) {
            return Err(self.wrong(FACTORS, "numbers above 0, and no other scaling"));
        }
        Ok(Some(factors.into_iter().map(f64::from).collect()))
    }
}

fn whole(value: &Value) -> Option<u64> {
    match value {
        Value::Whole(n) => u64::try_from(*n).ok(),
        _ => None,
    }
}
