//! Answers: new tokens of any number of beams in one pass.

use super::{BLOCK, Decoder, Pass, top};
use crate::{
    attention::{self, Context},
    batch::{Batch, Group, Sizes, Slots},
    direct::{self, Direct, Store},
    inner::Inner,
    kv::{Cache, Key},
    layers::Qkv,
};
use candle_core::{DType, Result, Tensor};
use inferenceguard_model::{ModelError, Token};

impl Decoder {
    /// Brings new tokens to beams; returns the latents of all of them, row by row, `[tokens, hidden]`.
    ///
    /// Rows may differ in prompt, length and number of tokens; each has at least one, and no beam comes twice.
    pub(crate) fn extend(
        &mut self,
        cache: &mut Cache,
        rows: &[(Key, &[Token])],
    ) -> std::result::Result<Pass, ModelError> {
        let mut longest = 0;
        let mut keys: Vec<Key> = rows.iter().map(|(key, _)| *key).collect();
        for (key, tokens) in rows {
            let place = cache.place(*key)?;
            let length = place.len + tokens.len();
            self.check(tokens, place.prefix.len + length)?;
            longest = longest.max(length);
        }
        keys.sort_unstable();
        if keys.windows(2).any(|pair| pair[0] == pair[1]) || rows.iter().any(|(_, tokens)| tokens.is_empty()) {
            let expected = "each beam once, with tokens".into();
            return Err(ModelError::Shape { what: "rows", expected, found: "a beam twice, or no tokens".into() });
        }
        // The whole pass runs inside the thread pool; otherwise each small kernel would wake the pool again.
        let pass = rayon::scope(|_| self.extend_all(cache, rows, longest)).map_err(crate::error::backend)?;
        for (key, tokens) in rows {
            cache.advance(*key, tokens.len());
        }
        Ok(pass)
    }

    fn extend_all(&mut self, cache: &mut Cache, rows: &[(Key, &[Token])], longest: usize) -> Result<Pass> {
        if rows.is_empty() {
            let latents = Tensor::zeros((0, self.config.hidden), DType::F32, &self.device)?;
            return Ok(Pass { latents, inner: Inner::default() });
        }
        cache.reserve(longest)?;
        if self.format.direct {
            return self.extend_direct(cache, rows);
        }
        let (kv_heads, rep) = (self.config.kv_heads, self.config.heads / self.config.kv_heads);
        let sizes = Sizes { kv_heads, rep, windows: &self.windows, device: &self.device };
        let places = rows.iter().filter_map(|(key, tokens)| Some((*key, cache.place(*key).ok()?, *tokens)));
        let batch = Batch::plan(cache, &places.collect::<Vec<_>>(), &sizes)?;
        let angles = self.angles.of_steps(&batch.positions, self.format.dtype, &self.device)?;
        let streams = self.run(&batch.tokens, &angles, |layer, qkv| {
            store(cache, layer, &batch.targets, &qkv)?;
            let parts = batch.groups.iter().map(|group| self.attend(cache, group, layer, &qkv.queries));
            let parts = parts.collect::<Result<Vec<_>>>()?;
            if parts.len() == 1 { Ok(parts[0].clone()) } else { Tensor::cat(&parts, 0) }
        })?;
        let out = match &batch.order {
            Some(order) => top(&streams)?.index_select(order, 0)?,
            None => top(&streams)?.clone(),
        };
        Ok(Pass { latents: self.latents(&out)?, inner: Inner::new(streams, batch.order) })
    }

    fn extend_direct(&mut self, cache: &Cache, rows: &[(Key, &[Token])]) -> Result<Pass> {
        let (mut passes, mut rest) = (Vec::new(), rows);
        while !rest.is_empty() {
            let (block, later) = rest.split_at(first_block(rest));
            passes.push(self.extend_block(cache, block)?);
            rest = later;
        }
        if passes.len() == 1 { Ok(passes.remove(0)) } else { Pass::join(passes) }
    }

    fn extend_block(&mut self, cache: &Cache, rows: &[(Key, &[Token])]) -> Result<Pass> {
        let plan = Direct::plan(cache, rows);
        let angles = self.angles.of_steps(&plan.positions, self.format.dtype, &self.device)?;
        let heads = self.heads();
        let store = Store { sights: &plan.sights, kv_heads: heads.keys, capacity: cache.capacity, dim: heads.dim };
        let streams = self.run(&plan.tokens, &angles, |layer, qkv| {
            cache.keys[layer].inplace_op2(&qkv.keys.contiguous()?, &store)?;
            cache.values[layer].inplace_op2(&qkv.values.contiguous()?, &store)?;
            let window = self.config.windows[layer];
            direct::attend(&qkv.queries, &plan.prompts, Some(cache), &plan.sights, layer, window, heads)
        })?;
        Ok(Pass { latents: self.latents(top(&streams)?)?, inner: Inner::new(streams, None) })
    }

    /// One layer's attention for the beams of one prompt: `[group's tokens, heads * head_dim]`.
    fn attend(&self, cache: &Cache, group: &Group, layer: usize, queries: &Tensor) -> Result<Tensor> {
        let window = self.config.windows[layer];
        let Some(sight) = group.sight(window) else { candle_core::bail!("layer {layer} was not planned") };
        let (heads, dim) = (self.config.heads, self.config.head_dim);
        let mut cells = queries.narrow(0, group.packed.start, group.packed.len())?;
        if let Some(grid) = &group.grid {
            cells = cells.index_select(&grid.cells, 0)?;
        }
        let cells = cells.reshape((group.rows(), group.width, heads, dim))?;
        let suffix = |pool: &Tensor| match &group.slots {
            Slots::Run(run) => pool.narrow(0, run.start, run.len())?.narrow(2, 0, group.suffix),
            Slots::Picked(_, slots) => pool.narrow(2, 0, group.suffix)?.contiguous()?.index_select(slots, 0),
        };
        let visible = |table: &Tensor| table.narrow(1, sight.prompt.start, sight.prompt.len());
        let prompt = if sight.prompt.is_empty() {
            None
        } else {
            Some((visible(&group.prefix.keys[layer])?, visible(&group.prefix.values[layer])?))
        };
        let context = Context {
            prompt,
            prompt_mask: sight.prompt_mask.as_ref(),
            suffix: (suffix(&cache.keys[layer])?, suffix(&cache.values[layer])?),
            suffix_mask: sight.suffix_mask.as_ref(),
        };
        let out = attention::along_beams(&cells, &context)?;
        match &group.grid {
            Some(grid) => out.index_select(&grid.tokens, 0),
            None => Ok(out),
        }
    }
}

/// How many rows are run at once: those that make a block, and at least one.
fn first_block(rows: &[(Key, &[Token])]) -> usize {
    let mut tokens = 0;
    let fit = rows.iter().take_while(|(_, new)| {
        tokens += new.len();
        tokens <= BLOCK
    });
    fit.count().max(1)
}

/// Writes keys and values of new tokens into the pool.
fn store(cache: &Cache, layer: usize, targets: &Tensor, qkv: &Qkv) -> Result<()> {
    let dim = cache.shape().head_dim;
    let targets = targets.reshape(((), 1))?.broadcast_as((targets.elem_count(), dim))?.contiguous()?;
    for (pool, new) in [(&cache.keys[layer], &qkv.keys), (&cache.values[layer], &qkv.values)] {
        pool.reshape(((), dim))?.scatter_set(&targets, &new.contiguous()?.reshape(((), dim))?, 0)?;
    }
    Ok(())
}
