//! Attention on the CPU without tensors in between: each token reads its keys and values where they are.

use crate::kv::{Cache, Key, Prefix};
use candle_core::{CpuStorage, InplaceOp2, Layout, Result, Storage, Tensor};
use inferenceguard_kernels::{self as kernels, Seen};
use inferenceguard_model::Token;
use std::{ops::Deref, sync::Arc};

/// What one token sees: the first tokens of a prompt, and those of a suffix.
#[derive(Clone, Copy)]
pub(crate) struct Sight {
    /// Which prompt.
    pub(crate) prompt: usize,
    /// Tokens of it.
    pub(crate) prompt_len: usize,
    /// The slot of its suffix.
    pub(crate) slot: usize,
    /// Tokens of it, the token itself included; 0 while the prompt is read.
    pub(crate) suffix_len: usize,
}

/// A pass over beams, row by row as the caller gave them.
pub(crate) struct Direct {
    pub(crate) tokens: Vec<Token>,
    /// Prompt included.
    pub(crate) positions: Vec<usize>,
    pub(crate) sights: Vec<Sight>,
    pub(crate) prompts: Vec<Arc<Prefix>>,
}

impl Direct {
    /// Plans rows whose suffixes have room; unknown beams have been refused before.
    pub(crate) fn plan(cache: &Cache, rows: &[(Key, &[Token])]) -> Self {
        let mut plan = Self { tokens: Vec::new(), positions: Vec::new(), sights: Vec::new(), prompts: Vec::new() };
        for (key, tokens) in rows {
            let Ok(place) = cache.place(*key) else { continue };
            let prompt = plan.prompt(&place.prefix);
            let (prompt_len, slot) = (place.prefix.len, place.slot);
            for (j, token) in tokens.iter().enumerate() {
                let suffix_len = place.len + j + 1;
                plan.tokens.push(*token);
                plan.positions.push(prompt_len + suffix_len - 1);
                plan.sights.push(Sight { prompt, prompt_len, slot, suffix_len });
            }
        }
        plan
    }

    fn prompt(&mut self, prefix: &Arc<Prefix>) -> usize {
        let known = self.prompts.iter().rposition(|p| Arc::ptr_eq(p, prefix));
        known.unwrap_or_else(|| {
            self.prompts.push(prefix.clone());
            self.prompts.len() - 1
        })
    }
}

/// The sizes of heads.
#[derive(Clone, Copy)]
pub(crate) struct Heads {
    pub(crate) queries: usize,
    pub(crate) keys: usize,
    pub(crate) dim: usize,
}

/// A tensor's numbers, borrowed.
struct Numbers<'a> {
    storage: Box<dyn Deref<Target = Storage> + 'a>,
    start: usize,
    len: usize,
}

impl<'a> Numbers<'a> {
    fn new(tensor: &'a Tensor) -> Result<Self> {
        let (storage, layout) = tensor.storage_and_layout();
        let Some((start, end)) = layout.contiguous_offsets() else { candle_core::bail!("numbers are not in a row") };
        Ok(Self { storage: Box::new(storage), start, len: end - start })
    }

    fn get(&self) -> Result<&[f32]> {
        match &**self.storage {
            Storage::Cpu(CpuStorage::F32(data)) => Ok(&data[self.start..self.start + self.len]),
            _ => candle_core::bail!("numbers are not f32 on the CPU"),
        }
    }
}

/// Calls `f` with the numbers of a tensor that is contiguous on the CPU.
pub(crate) fn with_numbers<R>(tensor: &Tensor, f: impl FnOnce(&[f32]) -> R) -> Result<R> {
    let numbers = Numbers::new(tensor)?;
    Ok(f(numbers.get()?))
}

/// One layer's keys and values, prompts and suffixes.
struct Tables<'a> {
    /// `[kv_heads, prompt, dim]` each.
    prompts: Vec<(&'a [f32], &'a [f32])>,
    /// `[slots, kv_heads, capacity, dim]` each; empty while a prompt is read.
    pool: (&'a [f32], &'a [f32]),
    capacity: usize,
    heads: Heads,
    window: Option<usize>,
}

impl<'a> Tables<'a> {
    /// What a token sees through a key head: of its prompt, then of its suffix.
    fn seen(&self, sight: &Sight, head: usize) -> [Seen<'a>; 2] {
        let Heads { keys: kv_heads, dim, .. } = self.heads;
        let hidden = self.window.map_or(0, |w| (sight.prompt_len + sight.suffix_len).saturating_sub(w));
        let (keys, values) = self.prompts[sight.prompt];
        let first = head * (keys.len() / kv_heads);
        let prompt = first + hidden.min(sight.prompt_len) * dim..first + sight.prompt_len * dim;
        let first = (sight.slot * kv_heads + head) * self.capacity;
        let hidden = hidden.saturating_sub(sight.prompt_len);
        let suffix = (first + hidden.min(sight.suffix_len)) * dim..(first + sight.suffix_len) * dim;
        [(&keys[prompt.clone()], &values[prompt]), (&self.pool.0[suffix.clone()], &self.pool.1[suffix])]
    }
}

/// One layer's attention: `queries [tokens, heads, dim]`, scaled, to `[tokens, heads * dim]`.
///
/// `pool` holds the suffixes; without one, only prompts are seen.
pub(crate) fn attend(
    queries: &Tensor,
    prompts: &[Arc<Prefix>],
    pool: Option<&Cache>,
    sights: &[Sight],
    layer: usize,
    window: Option<usize>,
    heads: Heads,
) -> Result<Tensor> {
    let pair = |keys, values| Ok::<_, candle_core::Error>((Numbers::new(keys)?, Numbers::new(values)?));
    let prompts = prompts.iter().map(|p| pair(&p.keys[layer], &p.values[layer])).collect::<Result<Vec<_>>>()?;
    let suffixes = pool.map(|cache| pair(&cache.keys[layer], &cache.values[layer])).transpose()?;
    let tables = Tables {
        prompts: prompts.iter().map(|(k, v)| Ok((k.get()?, v.get()?))).collect::<Result<_>>()?,
        pool: match &suffixes {
            Some((keys, values)) => (keys.get()?, values.get()?),
            None => (&[], &[]),
        },
        capacity: pool.map_or(0, |cache| cache.capacity),
        heads,
        window,
    };
    let see = |token: usize, head: usize| tables.seen(&sights[token], head);
    let queries = queries.contiguous()?;
    let out = with_numbers(&queries, |q| kernels::attend(q, heads.queries, heads.keys, heads.dim, see))?;
    Tensor::from_vec(out, (sights.len(), heads.queries * heads.dim), queries.device())
}

/// Writes the keys or values of new tokens, `[tokens, kv_heads, dim]`, into a pool `[slots, kv_heads, capacity, dim]`.
pub(crate) struct Store<'a> {
    pub(crate) sights: &'a [Sight],
    pub(crate) kv_heads: usize,
    pub(crate) capacity: usize,
    pub(crate) dim: usize,
}

impl InplaceOp2 for Store<'_> {
    fn name(&self) -> &'static str {
        "store keys or values"
    }

    fn cpu_fwd(&self, pool: &mut CpuStorage, _: &Layout, new: &CpuStorage, layout: &Layout) -> Result<()> {
        let (CpuStorage::F32(pool), CpuStorage::F32(new)) = (pool, new) else {
            candle_core::bail!("the cache is not f32");
        };
        let Some((start, end)) = layout.contiguous_offsets() else { candle_core::bail!("new tokens are not in a row") };
        let rows = new[start..end].chunks_exact(self.dim);
        let places = self.sights.iter().flat_map(|sight| {
            let slot = sight.slot * self.kv_heads;
            (0..self.kv_heads).map(move |head| (slot + head) * self.capacity + sight.suffix_len - 1)
        });
        for (row, place) in rows.zip(places) {
            pool[place * self.dim..(place + 1) * self.dim].copy_from_slice(row);
        }
        Ok(())
    }
}
