//! The embedding, and the parts of a block: linear maps, norms, feed-forward.

use crate::{
    CandleError, DecoderConfig,
    direct::with_numbers,
    linear::{Compact, Linear, Maps},
    loader::Loader,
    rope::Angles,
};
use candle_core::{Device, Result, Tensor};
use inferenceguard_model::Token;

/// One vector per token, `[vocab, hidden]`.
pub(crate) enum Embedding {
    /// In the number format of the model.
    Stored(Tensor),
    /// In fewer bits: rows become f32 when they are looked up.
    Compact(Compact),
}

impl Embedding {
    pub(crate) fn load(loader: &Loader<'_>, config: &DecoderConfig) -> std::result::Result<Self, CandleError> {
        const NAME: &str = "model.embed_tokens.weight";
        match loader.read_compact(NAME, config.vocab, config.hidden)? {
            Some(weight) => Ok(Self::Compact(weight)),
            None => loader.tensor(NAME, &[config.vocab, config.hidden]).map(Self::Stored),
        }
    }

    /// `[tokens, hidden]`; tokens outside the vocabulary have been refused before.
    pub(crate) fn rows(&self, tokens: &[Token], device: &Device) -> Result<Tensor> {
        match self {
            Self::Stored(table) => table.index_select(&Tensor::new(tokens, device)?, 0),
            Self::Compact(table) => {
                let mut rows = Vec::with_capacity(tokens.len() * table.inputs());
                tokens.iter().for_each(|token| table.push_row(*token as usize, &mut rows));
                Tensor::from_vec(rows, (tokens.len(), table.inputs()), device)
            }
        }
    }

    /// As the first layer reads them; Gemma multiplies embeddings by the root of their width.
    pub(crate) fn stream(&self, tokens: &[Token], config: &DecoderConfig, device: &Device) -> Result<Tensor> {
        let rows = self.rows(tokens, device)?;
        if config.gemma.is_some() { rows * (config.hidden as f64).sqrt() } else { Ok(rows) }
    }

    /// As the LM head of a tied model; weights of fewer bits are shared.
    pub(crate) fn head(&self, direct: bool) -> Result<Linear> {
        match self {
            Self::Stored(table) => Linear::new(table.clone(), None, direct),
            Self::Compact(table) => Ok(Linear::of_compact(table.clone(), None)),
        }
    }
}

/// Root-mean-square norm over the last dimension.
pub(crate) struct Norm {
    weight: Tensor,
    eps: f32,
}

impl Norm {
    pub(crate) fn load(
        loader: &Loader<'_>,
        name: &str,
        config: &DecoderConfig,
    ) -> std::result::Result<Self, CandleError> {
        loader.norm(name, config.hidden, config)
    }

    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        candle_nn::ops::rms_norm(&x.contiguous()?, &self.weight, self.eps)
    }
}

impl Loader<'_> {
    fn norm(&self, name: &str, size: usize, config: &DecoderConfig) -> std::result::Result<Norm, CandleError> {
        let weight = self.norm_weight(&format!("{name}.weight"), size, config)?;
        Ok(Norm { weight, eps: config.norm_eps as f32 })
    }
}

/// Queries, keys and values of new tokens: `[n, heads or kv_heads, head_dim]`, positions applied, queries scaled.
pub(crate) struct Qkv {
    pub(crate) queries: Tensor,
    pub(crate) keys: Tensor,
    pub(crate) values: Tensor,
}

/// One block of the decoder.
pub(crate) struct Block {
    before_attention: Norm,
    /// On the attention's answer.
    after_attention: Option<Norm>,
    qkv: Maps,
    query_norm: Option<Norm>,
    key_norm: Option<Norm>,
    output: Linear,
    before_mlp: Norm,
    /// On the feed-forward layer's answer.
    after_mlp: Option<Norm>,
    gate_and_up: Maps,
    down: Linear,
    heads: usize,
    kv_heads: usize,
    head_dim: usize,
    /// Queries are divided by this number.
    divisor: f64,
    /// Whether the gate is GELU in its tangent form, else SiLU.
    gelu: bool,
    direct: bool,
}

fn exactly<const N: usize>(tensors: Vec<Tensor>) -> Result<[Tensor; N]> {
    tensors.try_into().map_err(|found: Vec<_>| candle_core::Error::Msg(format!("{} maps instead of {N}", found.len())))
}

/// `silu(gate) * up`, or with GELU, by our own kernel.
fn gated(gate: &Tensor, up: &Tensor, gelu: bool) -> Result<Tensor> {
    let kernel = if gelu { inferenceguard_kernels::gelu_gate } else { inferenceguard_kernels::gate };
    let out = with_numbers(gate, |gate| with_numbers(up, |up| kernel(gate, up)))??;
    Tensor::from_vec(out, gate.shape(), gate.device())
}

/// Applies the norm, if there is one.
fn normed(x: Tensor, norm: Option<&Norm>) -> Result<Tensor> {
    match norm {
        Some(norm) => norm.forward(&x),
        None => Ok(x),
    }
}

impl Block {
    pub(crate) fn load(
        loader: &Loader<'_>,
        config: &DecoderConfig,
        layer: usize,
    ) -> std::result::Result<Self, CandleError> {
        let c = config;
        let (wide, narrow) = (c.heads * c.head_dim, c.kv_heads * c.head_dim);
        let at = |part: &str| format!("model.layers.{layer}.{part}");
        let linear = |part: &str, input, output, bias| loader.linear(&at(part), input, output, bias);
        let head_norm = |part: &str| match c.qk_norm {
            true => loader.norm(&at(part), c.head_dim, c).map(Some),
            false => Ok(None),
        };
        let after = |part: &str| c.gemma.as_ref().map(|_| Norm::load(loader, &at(part), c)).transpose();
        // Where the answers are normed too, the norm after attention has the name that the one before the feed-forward layer has.
        let (after_attention, before_mlp) = match c.gemma.is_some() {
            true => ("post_attention_layernorm", "pre_feedforward_layernorm"),
            false => ("", "post_attention_layernorm"),
        };
        Ok(Self {
            before_attention: Norm::load(loader, &at("input_layernorm"), c)?,
            after_attention: after(after_attention)?,
            qkv: Maps::new(vec![
                linear("self_attn.q_proj", c.hidden, wide, c.qkv_bias)?,
                linear("self_attn.k_proj", c.hidden, narrow, c.qkv_bias)?,
                linear("self_attn.v_proj", c.hidden, narrow, c.qkv_bias)?,
            ])?,
            query_norm: head_norm("self_attn.q_norm")?,
            key_norm: head_norm("self_attn.k_norm")?,
            output: linear("self_attn.o_proj", wide, c.hidden, c.output_bias)?,
            before_mlp: Norm::load(loader, &at(before_mlp), c)?,
            after_mlp: after("post_feedforward_layernorm")?,
            gate_and_up: Maps::new(vec![
                linear("mlp.gate_proj", c.hidden, c.intermediate, c.mlp_bias)?,
                linear("mlp.up_proj", c.hidden, c.intermediate, c.mlp_bias)?,
            ])?,
            down: linear("mlp.down_proj", c.intermediate, c.hidden, c.mlp_bias)?,
            heads: c.heads,
            kv_heads: c.kv_heads,
            head_dim: c.head_dim,
            divisor: c.gemma.as_ref().map_or(c.head_dim as f64, |gemma| gemma.query_scalar).sqrt(),
            gelu: c.gemma.is_some(),
            direct: loader.format.direct,
        })
    }

    /// `[n, hidden]` to what attention needs.
    pub(crate) fn qkv(&self, x: &Tensor, angles: &Angles) -> Result<Qkv> {
        let n = x.dim(0)?;
        let x = self.before_attention.forward(x)?;
        let split = |y: Tensor, heads| y.reshape((n, heads, 1, self.head_dim));
        let turn = |y: Tensor, heads, norm: &Option<Norm>| {
            let y = split(y, heads)?;
            let y = norm.as_ref().map_or(Ok(y.clone()), |norm| norm.forward(&y))?;
            candle_nn::rotary_emb::rope(&y, &angles.cos, &angles.sin)?.squeeze(2)
        };
        let [queries, keys, values] = exactly(self.qkv.forward(&x)?)?;
        let queries = turn(queries, self.heads, &self.query_norm)?;
        let keys = turn(keys, self.kv_heads, &self.key_norm)?;
        let values = split(values, self.kv_heads)?.squeeze(2)?;
        Ok(Qkv { queries: (queries / self.divisor)?, keys, values })
    }

    /// Adds the attention's answer `[n, heads * head_dim]` and the feed-forward layer to the stream `[n, hidden]`.
    pub(crate) fn finish(&self, stream: &Tensor, attended: &Tensor) -> Result<Tensor> {
        let stream = (stream + normed(self.output.forward(attended)?, self.after_attention.as_ref())?)?;
        let x = self.before_mlp.forward(&stream)?;
        let [gate, up] = exactly(self.gate_and_up.forward(&x)?)?;
        let x = match (self.direct, self.gelu) {
            (true, gelu) => gated(&gate, &up, gelu)?,
            (false, true) => (gate.gelu()? * up)?,
            (false, false) => (gate.silu()? * up)?,
        };
        stream + normed(self.down.forward(&x)?, self.after_mlp.as_ref())?
    }
}
