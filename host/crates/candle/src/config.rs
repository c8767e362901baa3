//! config.json as one [`DecoderConfig`], whatever the architecture.
//!
//! Old and new spellings are read alike: `rope_theta` with `rope_scaling`, and `rope_parameters`.

use crate::{
    CandleError,
    fields::{Fields, kind_of},
    gemma::{self, Gemma},
    rope::Rope,
};
use serde_json::Value;
use std::path::Path;

/// The families of one decoder with options.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Llama 1 to 3.
    Llama,
    /// Mistral: a sliding window on every layer.
    Mistral,
    /// Qwen 2: biases on queries, keys and values.
    Qwen2,
    /// Qwen 3: queries and keys are normed per head.
    Qwen3,
    /// Gemma 3: see [`Gemma`].
    Gemma3,
}

/// What sits on the decoder.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Head {
    /// A language model.
    Language,
    /// `score.weight`: one label, no bias.
    Classification,
    /// `score_head`, with what the raw score becomes.
    Score(Normalizer),
}

/// What becomes of the raw score of a `LlamaForScore`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Normalizer {
    /// Left as it is.
    Identity,
    /// `(x - mean) / std`, for rewards.
    Affine,
    /// `x / std`, for costs: zero stays zero.
    Scale,
}

/// A decoder of the Llama family.
#[derive(Debug, Clone, PartialEq)]
pub struct DecoderConfig {
    /// The family.
    pub family: Family,
    /// What sits on it.
    pub head: Head,
    /// The name in `architectures`.
    pub architecture: String,
    /// Tokens in the embedding.
    pub vocab: usize,
    /// Width of the residual stream.
    pub hidden: usize,
    /// Width of the feed-forward layer.
    pub intermediate: usize,
    /// Number of blocks.
    pub layers: usize,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads; divides `heads`.
    pub kv_heads: usize,
    /// Numbers per head; even.
    pub head_dim: usize,
    /// Epsilon of the norms.
    pub norm_eps: f64,
    /// The most tokens, rope scaling included.
    pub context: usize,
    /// Angles of positions.
    pub rope: Rope,
    /// The window of each layer: a position sees itself and the `w - 1` before it. `None` sees all.
    pub windows: Vec<Option<usize>>,
    /// Whether the LM head is the embedding.
    pub tied: bool,
    /// Biases on queries, keys and values.
    pub qkv_bias: bool,
    /// A bias on the attention's output.
    pub output_bias: bool,
    /// Biases in the feed-forward layer.
    pub mlp_bias: bool,
    /// Norms on queries and keys, per head.
    pub qk_norm: bool,
    /// Ids that end an answer, as config.json says; may be empty.
    pub eos: Vec<u32>,
    /// What only Gemma 3 has. It stays the last field: the base digest of the other families leaves it out.
    pub gemma: Option<Gemma>,
}

/// Far above any real model; keeps a damaged file from filling the memory.
const MOST_LAYERS: usize = 4096;

const ARCHITECTURES: [(&str, Family, Kind); 12] = [
    ("LlamaForCausalLM", Family::Llama, Kind::Language),
    ("MistralForCausalLM", Family::Mistral, Kind::Language),
    ("Qwen2ForCausalLM", Family::Qwen2, Kind::Language),
    ("Qwen3ForCausalLM", Family::Qwen3, Kind::Language),
    ("Gemma3ForCausalLM", Family::Gemma3, Kind::Language),
    ("LlamaForScore", Family::Llama, Kind::Score),
    ("LlamaModelForScore", Family::Llama, Kind::Score),
    ("LlamaForSequenceClassification", Family::Llama, Kind::Classification),
    ("MistralForSequenceClassification", Family::Mistral, Kind::Classification),
    ("Qwen2ForSequenceClassification", Family::Qwen2, Kind::Classification),
    ("Qwen3ForSequenceClassification", Family::Qwen3, Kind::Classification),
    ("Gemma3TextForSequenceClassification", Family::Gemma3, Kind::Classification),
];

#[derive(Clone, Copy)]
enum Kind {
    Language,
    Classification,
    Score,
}

impl DecoderConfig {
    /// Reads the content of config.json; `path` is for messages.
    ///
    /// # Errors
    /// When a setting is missing or asks for something that is not implemented.
    pub fn parse(path: &Path, value: &Value) -> Result<Self, CandleError> {
        let fields = Fields::new(path, value)?;
        let (architecture, family, kind) = fields.architecture()?;
        fields.refuse_unsupported(family)?;
        let heads = fields.size("num_attention_heads")?;
        let hidden = fields.size("hidden_size")?;
        let layers = fields.layers()?;
        let max_positions = fields.size("max_position_embeddings")?;
        let head_dim = fields.head_dim(family, hidden, heads)?;
        let may_bias = matches!(family, Family::Llama | Family::Qwen3 | Family::Gemma3);
        let biased = may_bias && fields.flag_or("attention_bias", false)?;
        let (rope, gemma) = fields.positions(family, head_dim, max_positions)?;
        let config = Self {
            family,
            head: fields.head(kind)?,
            architecture,
            vocab: fields.size("vocab_size")?,
            hidden,
            intermediate: fields.size("intermediate_size")?,
            layers,
            heads,
            kv_heads: fields.kv_heads(family, heads)?,
            head_dim,
            norm_eps: fields.number_or("rms_norm_eps", 1e-6)?,
            // Of a Gemma 3 with stretched positions the number is that after the stretch.
            context: if gemma.is_some() { max_positions } else { rope.context(max_positions) },
            rope,
            windows: fields.windows(family, layers)?,
            tied: fields.flag_or("tie_word_embeddings", family == Family::Gemma3)?,
            qkv_bias: family == Family::Qwen2 || biased,
            output_bias: biased,
            mlp_bias: family == Family::Llama && fields.flag_or("mlp_bias", false)?,
            qk_norm: matches!(family, Family::Qwen3 | Family::Gemma3),
            eos: fields.token_ids("eos_token_id")?,
            gemma,
        };
        config.check(&fields)?;
        Ok(config)
    }

    fn check(&self, fields: &Fields<'_>) -> Result<(), CandleError> {
        if !self.heads.is_multiple_of(self.kv_heads) {
            let expected = format!("a divisor of num_attention_heads = {}", self.heads);
            return Err(fields.wrong("num_key_value_heads", self.kv_heads, expected));
        }
        if self.head_dim == 0 || !self.head_dim.is_multiple_of(2) {
            return Err(fields.wrong("head_dim", self.head_dim, "an even number above 0"));
        }
        Ok(())
    }
}

/// What config.json says about the whole decoder.
impl Fields<'_> {
    fn architecture(&self) -> Result<(String, Family, Kind), CandleError> {
        let named = self.get("architectures").and_then(|v| v.get(0)).and_then(Value::as_str);
        let Some(name) = named else {
            let found = self.get("architectures").map_or("missing".into(), Value::to_string);
            return Err(self.wrong("architectures", found, "a list with one name, such as [\"LlamaForCausalLM\"]"));
        };
        match ARCHITECTURES.iter().find(|(known, _, _)| *known == name) {
            Some((_, family, kind)) => Ok((name.to_owned(), *family, *kind)),
            None => Err(CandleError::Architecture {
                path: self.path.clone(),
                found: name.to_owned(),
                supported: ARCHITECTURES.iter().map(|(known, _, _)| *known).collect::<Vec<_>>().join(", "),
            }),
        }
    }

    fn layers(&self) -> Result<usize, CandleError> {
        match self.size("num_hidden_layers")? {
            layers if layers > MOST_LAYERS => {
                Err(self.wrong("num_hidden_layers", layers, format!("at most {MOST_LAYERS}")))
            }
            layers => Ok(layers),
        }
    }

    fn head_dim(&self, family: Family, hidden: usize, heads: usize) -> Result<usize, CandleError> {
        let default = match family {
            Family::Qwen3 => 128,
            Family::Gemma3 => gemma::HEAD,
            _ => hidden / heads,
        };
        self.size_or("head_dim", default)
    }

    /// Angles of positions, and what only Gemma 3 has.
    fn positions(&self, family: Family, head_dim: usize, most: usize) -> Result<(Rope, Option<Gemma>), CandleError> {
        match family {
            Family::Gemma3 => Gemma::parse(self, head_dim, most).map(|(rope, own)| (rope, Some(own))),
            _ => Ok((Rope::parse(self, head_dim, most)?, None)),
        }
    }

    fn kv_heads(&self, family: Family, heads: usize) -> Result<usize, CandleError> {
        match family {
            Family::Llama => self.size_or("num_key_value_heads", heads),
            _ => self.size("num_key_value_heads"),
        }
    }

    fn refuse_unsupported(&self, family: Family) -> Result<(), CandleError> {
        let (key, known) = family.activation();
        let activation = self.text_or(key, known[0])?;
        if !known.contains(&activation) {
            return Err(self.wrong(key, activation, format!("{:?}", known[0])));
        }
        if let Some(quantized) = self.get("quantization_config") {
            let expected = "absent; such weights are not read, use the f32, f16 or bf16 model, or a GGUF file";
            return Err(self.wrong("quantization_config", kind_of(quantized), expected));
        }
        Ok(())
    }

    fn head(&self, kind: Kind) -> Result<Head, CandleError> {
        match kind {
            Kind::Language => Ok(Head::Language),
            Kind::Classification => self.one_label().map(|()| Head::Classification),
            Kind::Score => self.normalizer().map(Head::Score),
        }
    }

    /// `num_labels` is written only as the length of `id2label`, and left out when it is 2.
    fn one_label(&self) -> Result<(), CandleError> {
        let labels = match self.get("id2label").and_then(Value::as_object) {
            Some(map) => map.len(),
            None => self.size_or("num_labels", 2)?,
        };
        if labels == 1 {
            return Ok(());
        }
        Err(self.wrong("id2label", format!("{labels} labels"), "one label: the score"))
    }

    fn normalizer(&self) -> Result<Normalizer, CandleError> {
        let dim = self.size_or("score_dim", 1)?;
        if dim != 1 {
            return Err(self.wrong("score_dim", dim, "1"));
        }
        let kind = self.text_or("score_type", "reward")?;
        let normalizer = match kind {
            "reward" => Normalizer::Affine,
            "cost" => Normalizer::Scale,
            "critic" => Normalizer::Identity,
            other => return Err(self.wrong("score_type", other, "reward, cost or critic")),
        };
        Ok(if self.flag_or("do_normalize", false)? { normalizer } else { Normalizer::Identity })
    }
}
