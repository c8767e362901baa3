//! Attention in two parts: over the prompt, shared by beams, and over each beam's own suffix.
//!
//! Each part yields, per query, the largest score, the sum of exponentials and the weighted values; two parts are
//! merged exactly as one softmax over both (log-sum-exp). So the prompt costs one matrix product for all its beams, and its
//! keys are never copied.

use candle_core::{D, DType, Result, Tensor};

/// Added to the score of a pair that must not meet. Finite, so that a fully masked part weighs zero instead of NaN.
pub(crate) const MASKED: f32 = -1e30;

/// One part of an attention. Leading dimensions and queries as in the scores.
struct Part {
    /// Largest score, `[.., queries, 1]`.
    max: Tensor,
    /// Sum of exponentials above it, `[.., queries, 1]`.
    sum: Tensor,
    /// Values weighted by those exponentials, `[.., queries, dim]`, f32.
    values: Tensor,
}

impl Part {
    /// `queries [.., q, dim]`, already scaled; `keys`, `values` `[.., k, dim]`; `mask` broadcasts to `[.., q, k]`.
    fn new(queries: &Tensor, keys: &Tensor, values: &Tensor, mask: Option<&Tensor>) -> Result<Self> {
        let scores = queries.matmul(&keys.t()?)?.to_dtype(DType::F32)?;
        let scores = match mask {
            Some(mask) => scores.broadcast_add(mask)?,
            None => scores,
        };
        let max = scores.max_keepdim(D::Minus1)?;
        let exps = scores.broadcast_sub(&max)?.exp()?;
        let sum = exps.sum_keepdim(D::Minus1)?;
        let values = exps.to_dtype(values.dtype())?.matmul(values)?.to_dtype(DType::F32)?;
        Ok(Self { max, sum, values })
    }

    fn map(&self, f: impl Fn(&Tensor) -> Result<Tensor>) -> Result<Self> {
        Ok(Self { max: f(&self.max)?, sum: f(&self.sum)?, values: f(&self.values)? })
    }

    fn merge(&self, other: &Self) -> Result<Self> {
        let max = self.max.maximum(&other.max)?;
        let ours = (&self.max - &max)?.exp()?;
        let theirs = (&other.max - &max)?.exp()?;
        let sum = ((&self.sum * &ours)? + (&other.sum * &theirs)?)?;
        let values = (self.values.broadcast_mul(&ours)? + other.values.broadcast_mul(&theirs)?)?;
        Ok(Self { max, sum, values })
    }

    fn finish(&self) -> Result<Tensor> {
        self.values.broadcast_div(&self.sum)
    }
}

/// A block of a prompt: `queries [n, heads, dim]`, scaled, against the prompt's keys and values up to the block's end,
/// `[kv_heads, end, dim]`. `mask [n * rep, end]`. Returns `[n, heads * dim]`.
pub(crate) fn within_prompt(queries: &Tensor, keys: &Tensor, values: &Tensor, mask: &Tensor) -> Result<Tensor> {
    let (n, heads, dim) = queries.dims3()?;
    let (kv_heads, end, _) = keys.dims3()?;
    let rep = heads / kv_heads;
    let queries = queries.reshape((n, kv_heads, rep, dim))?.transpose(0, 1)?;
    let queries = queries.contiguous()?.reshape((kv_heads, n * rep, dim))?;
    let mask = mask.reshape((1, n * rep, end))?;
    let out = Part::new(&queries, keys, values, Some(&mask))?.finish()?;
    let out = out.reshape((kv_heads, n, rep, dim))?.transpose(0, 1)?;
    out.contiguous()?.reshape((n, heads * dim))?.to_dtype(keys.dtype())
}

/// What beams of one prompt attend to in one layer.
pub(crate) struct Context<'a> {
    /// The visible part of the prompt, keys and values `[kv_heads, p, dim]`; `None` when a window hides all of it.
    pub(crate) prompt: Option<(Tensor, Tensor)>,
    /// `[rows * n * rep, p]`.
    pub(crate) prompt_mask: Option<&'a Tensor>,
    /// The beams' own keys and values, `[rows, kv_heads, s, dim]`.
    pub(crate) suffix: (Tensor, Tensor),
    /// `[rows, 1, n * rep, s]`.
    pub(crate) suffix_mask: Option<&'a Tensor>,
}

/// New tokens of beams of one prompt: `queries [rows, n, heads, dim]`, scaled. Returns `[rows * n, heads * dim]`.
pub(crate) fn along_beams(queries: &Tensor, context: &Context<'_>) -> Result<Tensor> {
    let (rows, n, heads, dim) = queries.dims4()?;
    let (keys, values) = &context.suffix;
    let kv_heads = keys.dim(1)?;
    let rep = heads / kv_heads;
    let split = queries.reshape((rows, n, kv_heads, rep, dim))?;
    let by_row = split.transpose(1, 2)?.contiguous()?.reshape((rows, kv_heads, n * rep, dim))?;
    let mut part = Part::new(&by_row, keys, values, context.suffix_mask)?;
    if let Some((keys, values)) = &context.prompt {
        let by_head = by_row.transpose(0, 1)?.contiguous()?.reshape((kv_heads, rows * n * rep, dim))?;
        let shared = Part::new(&by_head, keys, values, context.prompt_mask)?;
        let shared = shared.map(|t| t.reshape((kv_heads, rows, n * rep, ()))?.transpose(0, 1)?.contiguous())?;
        part = part.merge(&shared)?;
    }
    let out = part.finish()?.reshape((rows, kv_heads, n, rep, dim))?.transpose(1, 2)?;
    out.contiguous()?.reshape((rows * n, heads * dim))?.to_dtype(keys.dtype())
}
