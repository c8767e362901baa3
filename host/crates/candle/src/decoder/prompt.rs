//! Prompts: read block by block, from the end of what a recent prompt of the same tenant has in common with them.

use super::{BLOCK, Decoder, Pass, top};
use crate::{
    attention::{self, MASKED},
    direct::{self, Sight},
    inner::Inner,
    kv::Prefix,
    layer_angles::Angles,
    layers::Qkv,
};
use candle_core::{Device, Result, Tensor};
use inferenceguard_model::{ModelError, Token};
use std::sync::Arc;

/// Which latents a prefill returns.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Keep {
    /// Of the last token, `[1, hidden]`.
    Last,
    /// Of all tokens, `[tokens, hidden]`.
    All,
}

/// A prompt on its way: its keys and values so far.
pub(crate) struct Prompt {
    pub(crate) prefix: Arc<Prefix>,
    /// Whose it is.
    tenant: Option<String>,
    keep: Keep,
    /// How many of its first tokens were taken over from a recent prompt.
    pub(crate) reused: usize,
    /// How many tokens are read.
    pub(crate) read: usize,
    latents: Vec<Tensor>,
}

impl Decoder {
    /// Runs a prompt of no tenant; returns its keys and values, and latents.
    pub(crate) fn prefill(
        &mut self,
        tokens: &[Token],
        keep: Keep,
    ) -> std::result::Result<(Arc<Prefix>, Pass), ModelError> {
        let mut prompt = self.begin(tokens, keep, None)?;
        loop {
            if let Some(pass) = self.read(&mut prompt, tokens, usize::MAX)? {
                return Ok((prompt.prefix, pass));
            }
        }
    }

    /// Begins a prompt, from the end of what a recent one of the same tenant has in common with it.
    pub(crate) fn begin(
        &mut self,
        tokens: &[Token],
        keep: Keep,
        tenant: Option<&str>,
    ) -> std::result::Result<Prompt, ModelError> {
        if tokens.is_empty() {
            return Err(ModelError::EmptyPrompt);
        }
        self.check(tokens, tokens.len())?;
        let begun = Prefix::zeros(&self.shape(), tokens.len()).and_then(|prefix| {
            let prefix = Arc::new(prefix);
            let reused = self.begun(tokens, keep, tenant, &prefix)?;
            let tenant = tenant.map(str::to_owned);
            Ok(Prompt { prefix, tenant, keep, reused, read: reused, latents: Vec::new() })
        });
        begun.map_err(crate::error::backend)
    }

    /// Reads the next blocks of a prompt, `most` tokens or one block; gives latents once all are read. The blocks are the same
    /// whatever `most` is, and so are the numbers.
    pub(crate) fn read(
        &mut self,
        prompt: &mut Prompt,
        tokens: &[Token],
        most: usize,
    ) -> std::result::Result<Option<Pass>, ModelError> {
        rayon::scope(|_| self.read_blocks(prompt, tokens, (most / BLOCK).max(1))).map_err(crate::error::backend)
    }

    fn read_blocks(&mut self, prompt: &mut Prompt, tokens: &[Token], most: usize) -> Result<Option<Pass>> {
        let mut inner = Inner::default();
        for block in tokens[prompt.read..].chunks(BLOCK).take(most) {
            let (start, end) = (prompt.read, prompt.read + block.len());
            let positions: Vec<usize> = (start..end).collect();
            let angles = self.angles.of_prompt(&positions, tokens.len(), self.format.dtype, &self.device)?;
            let streams = self.prefill_block(&prompt.prefix, block, start, &angles)?;
            if prompt.keep == Keep::All {
                prompt.latents.push(top(&streams)?.clone());
            } else if end == tokens.len() {
                prompt.latents.push(top(&streams)?.narrow(0, block.len() - 1, 1)?);
            }
            if end == tokens.len() {
                inner = Inner::last(&streams)?;
            }
            prompt.read = end;
        }
        if prompt.read < tokens.len() {
            return Ok(None);
        }
        if tokens.len() <= self.config.rope.fixed_up_to() {
            self.recent.keep(prompt.tenant.as_deref(), tokens, &prompt.prefix);
        }
        Ok(Some(Pass { latents: self.latents(&Tensor::cat(&prompt.latents, 0)?)?, inner }))
    }

    /// Takes over the beginning of a recent prompt; gives its length.
    fn begun(&mut self, tokens: &[Token], keep: Keep, tenant: Option<&str>, prefix: &Prefix) -> Result<usize> {
        // Beyond this length keys depend on where the prompt ends; such a prompt is not kept either.
        let fixed = tokens.len() <= self.config.rope.fixed_up_to() && keep == Keep::Last;
        let known = if fixed { self.recent.longest(tenant, tokens) } else { None };
        let Some((known, common)) = known else { return Ok(0) };
        // Our own kernels compute each token by itself. Those of the tensor library may round otherwise where blocks begin at
        // other tokens, so whole blocks are taken over.
        let len = if self.format.direct { common } else { common / BLOCK * BLOCK };
        if len > 0 {
            prefix.begin_as(&known, len)?;
        }
        Ok(len)
    }

    fn prefill_block(
        &self,
        prefix: &Arc<Prefix>,
        block: &[Token],
        start: usize,
        angles: &Angles,
    ) -> Result<Vec<Tensor>> {
        if self.format.direct {
            return self.prefill_direct(prefix, block, start, angles);
        }
        let rep = self.config.heads / self.config.kv_heads;
        let mask = |window| causal_mask(start, block.len(), rep, window, &self.device);
        let masks: Vec<_> = self.windows.iter().map(|w| Ok((*w, mask(*w)?))).collect::<Result<_>>()?;
        self.run(block, angles, |layer, qkv| {
            let end = start + block.len();
            let (keys, values) = write_prompt(prefix, layer, start, &qkv)?;
            let (keys, values) = (keys.narrow(1, 0, end)?, values.narrow(1, 0, end)?);
            let window = self.config.windows[layer];
            let mask = masks.iter().find(|(w, _)| *w == window).map(|(_, mask)| mask);
            attention::within_prompt(&qkv.queries, &keys, &values, mask.unwrap_or(&masks[0].1))
        })
    }

    fn prefill_direct(
        &self,
        prefix: &Arc<Prefix>,
        block: &[Token],
        start: usize,
        angles: &Angles,
    ) -> Result<Vec<Tensor>> {
        let seen = start + 1..=start + block.len();
        let sights: Vec<_> = seen.map(|prompt_len| Sight { prompt: 0, prompt_len, slot: 0, suffix_len: 0 }).collect();
        let prompts = std::slice::from_ref(prefix);
        self.run(block, angles, |layer, qkv| {
            write_prompt(prefix, layer, start, &qkv)?;
            let window = self.config.windows[layer];
            direct::attend(&qkv.queries, prompts, None, &sights, layer, window, self.heads())
        })
    }
}

/// Writes keys and values of a block of a prompt; returns the layer's tables.
fn write_prompt<'a>(prefix: &'a Prefix, layer: usize, start: usize, qkv: &Qkv) -> Result<(&'a Tensor, &'a Tensor)> {
    let (keys, values) = (&prefix.keys[layer], &prefix.values[layer]);
    keys.slice_set(&qkv.keys.transpose(0, 1)?.contiguous()?, 1, start)?;
    values.slice_set(&qkv.values.transpose(0, 1)?.contiguous()?, 1, start)?;
    Ok((keys, values))
}

/// `[n * rep, start + n]`: token `start + j` sees itself and what is before it, as far as the window reaches.
fn causal_mask(start: usize, n: usize, rep: usize, window: Option<usize>, device: &Device) -> Result<Tensor> {
    let end = start + n;
    let mut mask = Vec::with_capacity(n * rep * end);
    for position in start..end {
        let from = window.map_or(0, |w| (position + 1).saturating_sub(w));
        for _ in 0..rep {
            mask.extend((0..end).map(|k| if (from..=position).contains(&k) { 0.0 } else { MASKED }));
        }
    }
    Tensor::from_vec(mask, (n * rep, end), device)
}
