//! Models of a shape with random weights: for measurements without a checkpoint.
//!
//! One weights file holds the body, an LM head and a score head; three folders share it.

use crate::TrialError;
use inferenceguard_candle::Precision;
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};
use serde_json::{Map, Value, json};
use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

const VOCAB: usize = 32_000;
const CONTEXT: usize = 4096;
const WEIGHTS: &str = "model.safetensors";
/// The half width of the even distribution whose standard deviation is 0.02.
const SPREAD: f32 = 0.034_641;

/// Sizes of a Llama.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// 12 layers of width 768: 134 million parameters, embeddings included.
    Million100,
    /// Llama 2 7B.
    Billion7,
    /// 2 layers of width 64, for tests.
    Tiny,
}

struct Sizes {
    hidden: usize,
    layers: usize,
    heads: usize,
    intermediate: usize,
}

/// The folders of a language model, a reward model and a cost model.
#[derive(Debug, Clone)]
pub(super) struct Folders {
    pub(super) language: PathBuf,
    pub(super) reward: PathBuf,
    pub(super) cost: PathBuf,
}

impl Shape {
    fn sizes(self) -> Sizes {
        let (hidden, layers, heads, intermediate) = match self {
            Self::Million100 => (768, 12, 12, 2048),
            Self::Billion7 => (4096, 32, 32, 11_008),
            Self::Tiny => (64, 2, 4, 128),
        };
        Sizes { hidden, layers, heads, intermediate }
    }

    /// Names and shapes of all tensors.
    fn tensors(self) -> Vec<(String, Vec<usize>)> {
        let Sizes { hidden: h, layers, intermediate: i, .. } = self.sizes();
        let mut all = vec![("model.embed_tokens.weight".to_owned(), vec![VOCAB, h])];
        for layer in 0..layers {
            let parts: [(&str, &[usize]); 9] = [
                ("input_layernorm", &[h]),
                ("self_attn.q_proj", &[h, h]),
                ("self_attn.k_proj", &[h, h]),
                ("self_attn.v_proj", &[h, h]),
                ("self_attn.o_proj", &[h, h]),
                ("post_attention_layernorm", &[h]),
                ("mlp.gate_proj", &[i, h]),
                ("mlp.up_proj", &[i, h]),
                ("mlp.down_proj", &[h, i]),
            ];
            all.extend(parts.map(|(part, shape)| (format!("model.layers.{layer}.{part}.weight"), shape.to_vec())));
        }
        all.push(("model.norm.weight".to_owned(), vec![h]));
        all.push(("lm_head.weight".to_owned(), vec![VOCAB, h]));
        all.push(("score.weight".to_owned(), vec![1, h]));
        all
    }

    /// Writes the three folders into one folder for this shape below `folder`, unless they exist.
    pub(super) fn write(self, folder: &Path, precision: Precision) -> Result<Folders, TrialError> {
        let folder = folder.join(format!("{self:?}-{precision:?}").to_lowercase());
        let [language, reward, cost] = ["language", "reward", "cost"].map(|name| folder.join(name));
        let weights = language.join(WEIGHTS);
        if precision == Precision::F16 {
            return Err(TrialError::Option { problem: "shapes are written in f32 or bf16" });
        }
        let at = |path: &Path| TrialError::file(path);
        if !cost.join(WEIGHTS).exists() {
            for (place, kind) in
                [(&language, "CausalLM"), (&reward, "SequenceClassification"), (&cost, "SequenceClassification")]
            {
                fs::create_dir_all(place).and_then(|()| self.describe(place, kind, precision)).map_err(at(place))?;
            }
            self.weights(&weights, precision).map_err(at(&weights))?;
            for place in [&reward, &cost] {
                let copy = place.join(WEIGHTS);
                link_or_copy(&weights, &copy).map_err(at(&copy))?;
            }
        }
        Ok(Folders { language, reward, cost })
    }

    fn describe(self, folder: &Path, kind: &str, precision: Precision) -> io::Result<()> {
        let Sizes { hidden, layers, heads, intermediate } = self.sizes();
        let config = json!({
            "architectures": [format!("LlamaFor{kind}")], "model_type": "llama", "hidden_act": "silu",
            "vocab_size": VOCAB, "hidden_size": hidden, "intermediate_size": intermediate,
            "num_hidden_layers": layers, "num_attention_heads": heads, "num_key_value_heads": heads,
            "max_position_embeddings": CONTEXT, "rms_norm_eps": 1e-5, "rope_theta": 10_000.0,
            "tie_word_embeddings": false, "attention_bias": false, "mlp_bias": false,
            "torch_dtype": if precision == Precision::F32 { "float32" } else { "bfloat16" },
            "num_labels": 1, "pad_token_id": 0, "bos_token_id": null, "eos_token_id": null,
        });
        let vocab: Map<String, Value> = (0..VOCAB).map(|id| (format!("w{id}"), json!(id))).collect();
        let tokenizer = json!({
            "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
            "pre_tokenizer": {"type": "WhitespaceSplit"}, "post_processor": null, "decoder": null,
            "model": {"type": "WordLevel", "vocab": vocab, "unk_token": "w0"},
        });
        let template = "{% for message in messages %}{{ message['content'] }} {% endfor %}";
        let about = json!({"tokenizer_class": "PreTrainedTokenizerFast", "chat_template": template});
        for (name, value) in [("config.json", config), ("tokenizer.json", tokenizer), ("tokenizer_config.json", about)]
        {
            fs::write(folder.join(name), value.to_string())?;
        }
        Ok(())
    }

    /// Format: <https://github.com/huggingface/safetensors>: the header's length, the header, the numbers.
    fn weights(self, path: &Path, precision: Precision) -> io::Result<()> {
        let (dtype, size) = if precision == Precision::F32 { ("F32", 4) } else { ("BF16", 2) };
        let (mut header, mut start) = (Map::new(), 0);
        let tensors = self.tensors();
        for (name, shape) in &tensors {
            let end = start + shape.iter().product::<usize>() * size;
            header.insert(name.clone(), json!({"dtype": dtype, "shape": shape, "data_offsets": [start, end]}));
            start = end;
        }
        let header = Value::Object(header).to_string();
        let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
        file.write_all(&(header.len() as u64).to_le_bytes())?;
        file.write_all(header.as_bytes())?;
        let mut random = ChaCha8Rng::seed_from_u64(0);
        for (name, shape) in &tensors {
            let mut one = |_| if name.contains("norm") { 1.0 } else { SPREAD * even(&mut random) };
            for number in (0..shape.iter().product::<usize>()).map(&mut one) {
                match size {
                    4 => file.write_all(&number.to_le_bytes())?,
                    // bf16 by cutting f32 off: random numbers need no better rounding.
                    _ => file.write_all(&number.to_le_bytes()[2..])?,
                }
            }
        }
        file.flush()
    }
}

/// A number from -1 to 1.
fn even(random: &mut ChaCha8Rng) -> f32 {
    (random.next_u32() >> 8) as f32 / (1 << 23) as f32 - 1.0
}

fn link_or_copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::hard_link(from, to).or_else(|_| fs::copy(from, to).map(drop))
}
