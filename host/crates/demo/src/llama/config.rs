//! The shape of a demo model and its `config.json`.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The numbers of a Llama decoder, named as in Hugging Face's `config.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LlamaConfig {
    /// Entries of the tokenizer.
    pub vocab_size: usize,
    /// Width of the latents.
    pub hidden_size: usize,
    /// Width of the feed-forward layers.
    pub intermediate_size: usize,
    /// Layers.
    pub num_hidden_layers: usize,
    /// Query heads.
    pub num_attention_heads: usize,
    /// Key and value heads.
    pub num_key_value_heads: usize,
    /// Longest sequence.
    pub max_position_embeddings: usize,
    /// Added to the mean square before the root.
    pub rms_norm_eps: f64,
    /// Base of the rotary angles.
    pub rope_theta: f64,
}

impl LlamaConfig {
    /// The size of the demo models: about 0.8 million parameters with a vocabulary of 1,024.
    pub fn demo(vocab_size: usize) -> Self {
        Self {
            vocab_size,
            hidden_size: 128,
            intermediate_size: 320,
            num_hidden_layers: 4,
            num_attention_heads: 4,
            num_key_value_heads: 2,
            max_position_embeddings: 512,
            rms_norm_eps: 1e-5,
            rope_theta: 10_000.0,
        }
    }

    /// A size that trains in seconds, for tests.
    pub fn quick(vocab_size: usize) -> Self {
        Self {
            hidden_size: 32,
            intermediate_size: 64,
            num_hidden_layers: 2,
            num_attention_heads: 2,
            num_key_value_heads: 1,
            ..Self::demo(vocab_size)
        }
    }

    /// Width of one head.
    pub fn head_dim(&self) -> usize {
        self.hidden_size / self.num_attention_heads
    }

    /// Shapes of all weights of the body, by Hugging Face name.
    pub(crate) fn shapes(&self) -> Vec<(String, Vec<usize>)> {
        let (hidden, inner) = (self.hidden_size, self.intermediate_size);
        let (q, kv) = (hidden, self.num_key_value_heads * self.head_dim());
        let mut shapes = vec![
            ("model.embed_tokens.weight".to_owned(), vec![self.vocab_size, hidden]),
            ("model.norm.weight".to_owned(), vec![hidden]),
        ];
        for layer in 0..self.num_hidden_layers {
            let parts = [
                ("input_layernorm", vec![hidden]),
                ("self_attn.q_proj", vec![q, hidden]),
                ("self_attn.k_proj", vec![kv, hidden]),
                ("self_attn.v_proj", vec![kv, hidden]),
                ("self_attn.o_proj", vec![hidden, q]),
                ("post_attention_layernorm", vec![hidden]),
                ("mlp.gate_proj", vec![inner, hidden]),
                ("mlp.up_proj", vec![inner, hidden]),
                ("mlp.down_proj", vec![hidden, inner]),
            ];
            let named = |(part, shape)| (format!("model.layers.{layer}.{part}.weight"), shape);
            shapes.extend(parts.into_iter().map(named));
        }
        shapes
    }

    /// `config.json` of a language model with tied embeddings.
    pub(crate) fn causal_json(&self) -> Value {
        self.json("LlamaForCausalLM", json!({}))
    }

    /// `config.json` of a score model; `score_type` is "reward" or "cost".
    pub(crate) fn score_json(&self, score_type: &str) -> Value {
        let extra = json!({
            "score_type": score_type,
            "score_dim": 1,
            "score_bias": false,
            "bias": false,
            "do_normalize": false,
        });
        self.json("LlamaForScore", extra)
    }

    fn json(&self, architecture: &str, extra: Value) -> Value {
        let common = json!({
            "architectures": [architecture],
            "model_type": "llama",
            "hidden_act": "silu",
            "attention_bias": false,
            "mlp_bias": false,
            "attention_dropout": 0.0,
            "head_dim": self.head_dim(),
            "rope_scaling": null,
            "tie_word_embeddings": true,
            "pad_token_id": 0,
            "bos_token_id": 1,
            "eos_token_id": 2,
            "torch_dtype": "float16",
            "initializer_range": 0.02,
            "use_cache": true,
        });
        let mut all = serde_json::Map::new();
        for part in [common, serde_json::to_value(self).unwrap_or_default(), extra] {
            if let Value::Object(fields) = part {
                all.extend(fields);
            }
        }
        Value::Object(all)
    }
}
