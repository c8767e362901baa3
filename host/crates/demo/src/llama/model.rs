//! The Llama decoder, as Hugging Face computes it: rotary positions on half vectors, RMS norms,
//! grouped heads, causal mask, gated SiLU feed-forward, tied output matrix. f32 on the CPU.

use candle_core::{D, Device, Result, Tensor};

use super::LlamaConfig;
use super::ops::{Rotation, causal_softmax, merge_heads, rms_norm, split_heads, swiglu};
use super::weights::Weights;

/// A decoder over shared weights. Gradients flow into the weights if these are variables.
#[derive(Debug, Clone)]
pub struct Llama {
    config: LlamaConfig,
    embedding: Tensor,
    layers: Vec<Layer>,
    norm: Tensor,
    rotation: Rotation,
}

#[derive(Debug, Clone)]
struct Layer {
    attention_norm: Tensor,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    output: Tensor,
    mlp_norm: Tensor,
    gate: Tensor,
    up: Tensor,
    down: Tensor,
}

/// Keys and values of the positions seen so far, one pair per layer, `[B, heads, T, dim]`.
#[derive(Debug, Clone, Default)]
pub struct Cache {
    layers: Vec<(Tensor, Tensor)>,
    positions: usize,
}

impl Llama {
    /// A decoder whose weights take part in training.
    ///
    /// # Errors
    /// When a tensor operation fails.
    pub fn trainable(weights: &Weights) -> Result<Self> {
        Self::build(weights, |tensor| tensor.clone())
    }

    /// A decoder for inference: no gradients are recorded.
    ///
    /// # Errors
    /// When a tensor operation fails.
    pub fn frozen(weights: &Weights) -> Result<Self> {
        Self::build(weights, Tensor::detach)
    }

    fn build(weights: &Weights, wrap: impl Fn(&Tensor) -> Tensor) -> Result<Self> {
        let config = weights.config().clone();
        let get = |name: &str| weights.get(name).map(|var| wrap(var.as_tensor()));
        let layer = |at: usize| -> Result<Layer> {
            let part = |name: &str| get(&format!("model.layers.{at}.{name}.weight"));
            Ok(Layer {
                attention_norm: part("input_layernorm")?,
                query: part("self_attn.q_proj")?,
                key: part("self_attn.k_proj")?,
                value: part("self_attn.v_proj")?,
                output: part("self_attn.o_proj")?,
                mlp_norm: part("post_attention_layernorm")?,
                gate: part("mlp.gate_proj")?,
                up: part("mlp.up_proj")?,
                down: part("mlp.down_proj")?,
            })
        };
        let layers = (0..config.num_hidden_layers).map(layer);
        Ok(Self {
            layers: layers.collect::<Result<_>>()?,
            embedding: get("model.embed_tokens.weight")?,
            norm: get("model.norm.weight")?,
            rotation: Rotation::new(config.head_dim(), config.max_position_embeddings, config.rope_theta),
            config,
        })
    }

    /// Latents after the final norm, `[B * T, hidden]`, of `ids` `[B, T]` (row-major), which
    /// follow the positions of `cache`. The cache grows by `T` positions when one is given.
    ///
    /// # Errors
    /// When a tensor operation fails.
    pub fn latents(&self, ids: &[u32], batch: usize, cache: Option<&mut Cache>) -> Result<Tensor> {
        let ids = Tensor::from_slice(ids, ids.len(), &Device::Cpu)?;
        let mut x = self.embedding.index_select(&ids, 0)?;
        let mut none = Cache::default();
        let keep = cache.is_some();
        let cache = cache.unwrap_or(&mut none);
        let from = cache.positions;
        for (at, layer) in self.layers.iter().enumerate() {
            let (attended, seen) = self.attend(layer, &x, batch, cache.layers.get(at), from)?;
            x = (x + attended)?;
            if keep && at < cache.layers.len() {
                cache.layers[at] = seen;
            } else if keep {
                cache.layers.push(seen);
            }
            x = (&x + self.feed_forward(layer, &x)?)?;
        }
        cache.positions += ids.elem_count() / batch;
        rms_norm(&x, &self.norm, self.eps())
    }

    /// Logits `[N, vocab]` of latents `[N, hidden]`.
    ///
    /// # Errors
    /// When a tensor operation fails.
    pub fn logits(&self, latents: &Tensor) -> Result<Tensor> {
        latents.matmul(&self.embedding.t()?)
    }

    fn eps(&self) -> f32 {
        self.config.rms_norm_eps as f32
    }

    fn attend(
        &self,
        layer: &Layer,
        x: &Tensor,
        batch: usize,
        past: Option<&(Tensor, Tensor)>,
        from: usize,
    ) -> Result<(Tensor, (Tensor, Tensor))> {
        let (heads, dim) = (self.config.num_key_value_heads, self.config.head_dim());
        let width = self.config.num_attention_heads;
        let x = rms_norm(x, &layer.attention_norm, self.eps())?;
        let length = x.dim(0)? / batch;
        let project = |weight: &Tensor, heads: usize, rotate: bool| {
            let flat = x.matmul(&weight.t()?)?.reshape((batch, length, heads, dim))?;
            split_heads(&flat, rotate.then_some((&self.rotation, from)))
        };
        // The query heads of one group share their keys, so they are rows of one product.
        let rows = width / heads * length;
        let query = project(&layer.query, width, true)?.reshape((batch, heads, rows, dim))?;
        let mut key = project(&layer.key, heads, true)?;
        let mut value = project(&layer.value, heads, false)?;
        if let Some((old_key, old_value)) = past {
            key = Tensor::cat(&[old_key, &key], 2)?;
            value = Tensor::cat(&[old_value, &value], 2)?;
        }
        let scores = query.matmul(&key.t()?)?;
        let weights = causal_softmax(&scores, 1.0 / (dim as f32).sqrt(), length)?;
        let mixed = weights.matmul(&value)?.reshape((batch, width, length, dim))?;
        let merged = merge_heads(&mixed)?.reshape((batch * length, width * dim))?;
        Ok((merged.matmul(&layer.output.t()?)?, (key, value)))
    }

    fn feed_forward(&self, layer: &Layer, x: &Tensor) -> Result<Tensor> {
        let x = rms_norm(x, &layer.mlp_norm, self.eps())?;
        let gate = x.matmul(&layer.gate.t()?)?;
        let up = x.matmul(&layer.up.t()?)?;
        swiglu(&gate, &up)?.matmul(&layer.down.t()?)
    }
}

impl Cache {
    /// The cache of one row, repeated for `count` rows.
    ///
    /// # Errors
    /// When a tensor operation fails.
    pub fn repeat(&self, count: usize) -> Result<Self> {
        let rows = |t: &Tensor| Tensor::cat(&vec![t; count], 0);
        let layers = self.layers.iter().map(|(k, v)| Ok((rows(k)?, rows(v)?)));
        Ok(Self { layers: layers.collect::<Result<_>>()?, positions: self.positions })
    }
}

/// Scores `[N]` of latents `[N, hidden]` under a head `[1, hidden]`.
///
/// # Errors
/// When a tensor operation fails.
pub fn scores(latents: &Tensor, head: &Tensor) -> Result<Tensor> {
    latents.matmul(&head.t()?)?.squeeze(D::Minus1)
}
