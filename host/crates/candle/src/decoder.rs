//! The decoder: one implementation for Llama, Mistral, Qwen 2, Qwen 3 and Gemma 3, with options.
//!
//! Two ways in: [`Decoder::prefill`] runs a prompt and keeps its keys and values as a prefix, [`Decoder::extend`]
//! brings new tokens to any number of beams in one pass. Both return a [`Pass`]: the last hidden state after the final
//! norm, f32, and what the layers gave on the way.

use crate::{
    CandleError, DecoderConfig,
    attention::{self, Context, MASKED},
    batch::{Batch, Group, Sizes, Slots},
    direct::{self, Direct, Heads, Sight, Store},
    inner::Inner,
    kv::{self, Cache, Key, Prefix},
    layers::{Block, Embedding, Format, Loader, Norm, Qkv},
    recent::Recent,
    turns::{Angles, Table},
    weights::Weights,
};
use candle_core::{DType, Device, Result, Tensor};
use inferenceguard_model::{ModelError, Token};
use std::sync::Arc;

/// How many tokens of a prompt, or of all beams, are run at once: bounds the size of masks, scores and what lies between layers.
const BLOCK: usize = 256;

/// The body of a model.
pub(crate) struct Decoder {
    pub(crate) config: DecoderConfig,
    pub(crate) device: Device,
    pub(crate) format: Format,
    embedding: Embedding,
    blocks: Vec<Block>,
    norm: Norm,
    angles: Table,
    /// Recent prompts. A prompt that begins with the tokens of one of them is computed from there on.
    recent: Recent,
    /// The kinds of windows among the layers.
    windows: Vec<Option<usize>>,
}

/// Which latents a prefill returns.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Keep {
    /// Of the last token, `[1, hidden]`.
    Last,
    /// Of all tokens, `[tokens, hidden]`.
    All,
}

/// The result of a pass.
pub(crate) struct Pass {
    /// `[tokens, hidden]`, f32: the last hidden state after the final norm.
    pub(crate) latents: Tensor,
    /// The outputs of all layers for the same tokens; of a prompt, for its last one.
    pub(crate) inner: Inner,
}

/// A prompt on its way: its keys and values so far.
pub(crate) struct Prompt {
    pub(crate) prefix: Arc<Prefix>,
    keep: Keep,
    /// How many tokens are read.
    pub(crate) read: usize,
    latents: Vec<Tensor>,
}

impl Pass {
    /// Joins passes: the latents of their tokens, in order.
    fn join(passes: Vec<Self>) -> Result<Self> {
        let (latents, inner): (Vec<_>, Vec<_>) = passes.into_iter().map(|pass| (pass.latents, pass.inner)).unzip();
        Ok(Self { latents: Tensor::cat(&latents, 0)?, inner: Inner::join(&inner)? })
    }
}

impl Decoder {
    pub(crate) fn load(
        config: DecoderConfig,
        weights: &Weights,
        device: &Device,
        format: Format,
    ) -> std::result::Result<Self, CandleError> {
        let loader = Loader { weights, device, format };
        let embedding = Embedding::load(&loader, &config)?;
        let blocks = (0..config.layers).map(|layer| Block::load(&loader, &config, layer));
        let blocks = blocks.collect::<std::result::Result<_, _>>()?;
        let norm = Norm::load(&loader, "model.norm", &config)?;
        let mut windows = config.windows.clone();
        windows.sort_unstable();
        windows.dedup();
        let (angles, recent) = (Table::new(&config), Recent::new(0));
        Ok(Self { config, device: device.clone(), format, embedding, blocks, norm, angles, recent, windows })
    }

    /// Keeps keys and values of recent prompts, at most this many bytes, for prompts that begin in the same way.
    pub(crate) fn keep_prompts(&mut self, bytes: usize) {
        self.recent = Recent::new(bytes);
    }

    /// The embedding, `[vocab, hidden]`: the LM head of tied models.
    pub(crate) fn embedding(&self) -> &Embedding {
        &self.embedding
    }

    /// An empty cache of this decoder's sizes.
    pub(crate) fn cache(&self) -> Cache {
        Cache::new(self.shape())
    }

    fn shape(&self) -> kv::Shape {
        kv::Shape {
            layers: self.config.layers,
            kv_heads: self.config.kv_heads,
            head_dim: self.config.head_dim,
            dtype: self.format.dtype,
            device: self.device.clone(),
        }
    }

    /// Refuses tokens outside the vocabulary, and texts longer than the context.
    pub(crate) fn check(&self, tokens: &[Token], length: usize) -> std::result::Result<(), ModelError> {
        let limit = self.config.context;
        if length > limit {
            return Err(ModelError::ContextExceeded { found: length, limit });
        }
        let vocab = self.config.vocab;
        match tokens.iter().find(|token| **token as usize >= vocab) {
            Some(&token) => Err(ModelError::UnknownToken { token, vocab }),
            None => Ok(()),
        }
    }

    /// Runs a prompt; returns its keys and values, and latents.
    pub(crate) fn prefill(
        &mut self,
        tokens: &[Token],
        keep: Keep,
    ) -> std::result::Result<(Arc<Prefix>, Pass), ModelError> {
        let mut prompt = self.begin(tokens, keep)?;
        loop {
            if let Some(pass) = self.read(&mut prompt, tokens, usize::MAX)? {
                return Ok((prompt.prefix, pass));
            }
        }
    }

    /// Begins a prompt, from the end of what a recent one has in common with it.
    pub(crate) fn begin(&self, tokens: &[Token], keep: Keep) -> std::result::Result<Prompt, ModelError> {
        if tokens.is_empty() {
            return Err(ModelError::EmptyPrompt);
        }
        self.check(tokens, tokens.len())?;
        let begun = Prefix::zeros(&self.shape(), tokens.len()).and_then(|prefix| {
            let prefix = Arc::new(prefix);
            let read = self.begun(tokens, keep, &prefix)?;
            Ok(Prompt { prefix, keep, read, latents: Vec::new() })
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
            self.recent.keep(tokens, &prompt.prefix);
        }
        Ok(Some(Pass { latents: self.latents(&Tensor::cat(&prompt.latents, 0)?)?, inner }))
    }

    /// Takes over the beginning of a recent prompt; gives its length.
    fn begun(&self, tokens: &[Token], keep: Keep, prefix: &Prefix) -> Result<usize> {
        // Beyond this length keys depend on where the prompt ends; such a prompt is not kept either.
        let fixed = tokens.len() <= self.config.rope.fixed_up_to() && keep == Keep::Last;
        let Some((known, len)) = self.recent.longest(tokens).filter(|_| fixed) else { return Ok(0) };
        prefix.begin_as(&known, len)?;
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

    fn heads(&self) -> Heads {
        Heads { queries: self.config.heads, keys: self.config.kv_heads, dim: self.config.head_dim }
    }

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

    /// All blocks: the output of each, `[tokens, hidden]`, before any norm.
    fn run(
        &self,
        tokens: &[Token],
        angles: &Angles,
        mut attend: impl FnMut(usize, Qkv) -> Result<Tensor>,
    ) -> Result<Vec<Tensor>> {
        let mut stream = self.embedding.stream(tokens, &self.config, &self.device)?;
        let mut streams = Vec::with_capacity(self.blocks.len());
        for (layer, block) in self.blocks.iter().enumerate() {
            let angles = angles.of(self.config.windows[layer]);
            let attended = attend(layer, block.qkv(&stream, angles)?)?;
            stream = block.finish(&stream, &attended)?;
            streams.push(stream.clone());
        }
        Ok(streams)
    }

    fn latents(&self, stream: &Tensor) -> Result<Tensor> {
        self.norm.forward(stream)?.to_dtype(DType::F32)
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

/// The output of the last layer.
fn top(streams: &[Tensor]) -> Result<&Tensor> {
    streams.last().ok_or_else(|| candle_core::Error::Msg("the model has no layers".into()))
}

/// Writes keys and values of a block of a prompt; returns the layer's tables.
fn write_prompt<'a>(prefix: &'a Prefix, layer: usize, start: usize, qkv: &Qkv) -> Result<(&'a Tensor, &'a Tensor)> {
    let (keys, values) = (&prefix.keys[layer], &prefix.values[layer]);
    keys.slice_set(&qkv.keys.transpose(0, 1)?.contiguous()?, 1, start)?;
    values.slice_set(&qkv.values.transpose(0, 1)?.contiguous()?, 1, start)?;
    Ok((keys, values))
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
