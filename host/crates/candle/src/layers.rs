//! The embedding, and the parts of a block: linear maps, norms, feed-forward.

use crate::{
    CandleError, DecoderConfig,
    device::Rounded,
    direct::with_numbers,
    linear::{Compact, Linear, Maps, quantize},
    rope::Angles,
    weights::Weights,
};
use candle_core::{DType, Device, Result, Tensor};
use inferenceguard_kernels::Bf16;
use inferenceguard_model::Token;
use std::sync::Arc;

/// How numbers are held and multiplied.
#[derive(Clone, Copy)]
pub(crate) struct Format {
    /// Of what is not quantised.
    pub(crate) dtype: DType,
    /// Whether our own kernels compute, instead of the tensor library.
    pub(crate) direct: bool,
    /// What matrices become as they are loaded, unless a file has them quantised; only where our own kernels compute.
    pub(crate) rounded: Rounded,
}

impl Format {
    /// What rounding can do to a sum of costs when the same tokens run in another batch, in parts of `1 + budget`. Our own
    /// kernels compute a row in the same order whatever the batch. The tensor library does not; for it these are
    /// allowances of some ten times the unit of the format, not bounds that were proved.
    pub(crate) fn rounding(self) -> f64 {
        match self.dtype {
            _ if self.direct => 0.0,
            DType::BF16 => 3e-2,
            DType::F16 => 5e-3,
            _ => 1e-4,
        }
    }
}

/// Reads tensors for one device and number format.
pub(crate) struct Loader<'a> {
    pub(crate) weights: &'a Weights,
    pub(crate) device: &'a Device,
    pub(crate) format: Format,
}

impl Loader<'_> {
    pub(crate) fn tensor(&self, name: &str, shape: &[usize]) -> std::result::Result<Tensor, CandleError> {
        self.weights.tensor(name, shape, self.format.dtype, self.device)
    }

    pub(crate) fn linear(
        &self,
        name: &str,
        input: usize,
        output: usize,
        bias: bool,
    ) -> std::result::Result<Linear, CandleError> {
        let weight = format!("{name}.weight");
        let bias = if bias { Some(self.tensor(&format!("{name}.bias"), &[output])?) } else { None };
        if let Some(weight) = self.read_compact(&weight, output, input)? {
            return Ok(Linear::of_compact(weight, bias));
        }
        let weight = self.tensor(&weight, &[output, input])?;
        Ok(Linear::new(weight, bias, self.format.direct)?)
    }

    /// A matrix that stays quantised, or is rounded: if our own kernels compute. The tensor library gets f32.
    fn read_compact(
        &self,
        name: &str,
        output: usize,
        input: usize,
    ) -> std::result::Result<Option<Compact>, CandleError> {
        if !self.format.direct {
            return Ok(None);
        }
        let quantized = |matrix| Compact::Quantized(Arc::new(matrix));
        if let Some(found) = self.weights.read_quantized(name, output, input)? {
            return Ok(Some(quantized(found)));
        }
        let values = || self.weights.values(name, &[output, input]);
        match self.format.rounded {
            Rounded::No => Ok(None),
            Rounded::Q8_0 => Ok(quantize(values()?, output, input)?.map(quantized)),
            Rounded::BF16 => Ok(Some(Compact::Bf16(Arc::new(Bf16::new(&values()?, output, input))))),
        }
    }

    fn norm(&self, name: &str, size: usize, config: &DecoderConfig) -> std::result::Result<Norm, CandleError> {
        let weight = self.norm_weight(&format!("{name}.weight"), size, config)?;
        Ok(Norm { weight, eps: config.norm_eps as f32 })
    }

    /// `[size]`: of a Gemma in a Hugging Face folder, one more than the stored number. The sum is made in f32, before the number
    /// format of the model.
    fn norm_weight(&self, name: &str, size: usize, config: &DecoderConfig) -> std::result::Result<Tensor, CandleError> {
        if config.gemma.is_none() || self.weights.gguf().is_some() {
            return self.tensor(name, &[size]);
        }
        let used: Vec<f32> = self.weights.values(name, &[size])?.into_iter().map(|stored| stored + 1.0).collect();
        let host = Tensor::from_vec(used, size, &Device::Cpu)?.to_dtype(self.format.dtype)?;
        Ok(host.to_device(self.device)?)
    }
}

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

/// By a norm, if there is one.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_format_has_the_margin_that_the_guarantee_names() {
        for (dtype, margin) in [(DType::F32, 1e-4), (DType::F16, 5e-3), (DType::BF16, 3e-2)] {
            let format = |direct| Format { dtype, direct, rounded: Rounded::No };
            assert_eq!((format(false).rounding(), format(true).rounding()), (margin, 0.0), "{dtype:?}");
        }
    }
}
