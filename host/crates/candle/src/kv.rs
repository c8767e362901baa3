//! The KV cache: prompts stored once, beams as short suffixes in slots of one pool.
//!
//! ```text
//! Prefix  [kv_heads, prompt, head_dim]        one per prompt, shared by all its beams
//! Pool    [slots, kv_heads, capacity, head_dim]   one per layer, keys and values
//! Beam    a prefix, a slot, the length of its suffix
//! ```
//!
//! A fork copies the slot. New tokens are written in place. Slots grow by what is missing, their capacity by doubling, and the
//! memory is kept for later requests. **Invariant**: a slot belongs to at most one beam; positions at and beyond a beam's
//! length hold stale numbers and are always masked.

use candle_core::{DType, Device, Result, Tensor};
use inferenceguard_model::ModelError;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

/// Sizes of the cache of one model.
#[derive(Debug, Clone)]
pub(crate) struct Shape {
    pub(crate) layers: usize,
    pub(crate) kv_heads: usize,
    pub(crate) head_dim: usize,
    pub(crate) dtype: DType,
    pub(crate) device: Device,
}

/// Bytes that a model holds beside its weights: keys and values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HeldMemory {
    /// Of prompts that live beams go on from, each counted once.
    pub prompts: usize,
    /// Of the room for answers; it is kept after beams are released.
    pub answers: usize,
}

/// Keys and values of a prompt, per layer `[kv_heads, len, head_dim]`.
pub(crate) struct Prefix {
    pub(crate) keys: Vec<Tensor>,
    pub(crate) values: Vec<Tensor>,
    pub(crate) len: usize,
}

impl Prefix {
    /// What it takes.
    pub(crate) fn bytes(&self) -> usize {
        bytes(&self.keys) + bytes(&self.values)
    }

    /// The first `len` tokens of another one, copied to the beginning.
    pub(crate) fn begin_as(&self, other: &Self, len: usize) -> Result<()> {
        let tables = self.keys.iter().zip(&other.keys).chain(self.values.iter().zip(&other.values));
        for (own, other) in tables {
            own.slice_set(&other.narrow(1, 0, len)?.contiguous()?, 1, 0)?;
        }
        Ok(())
    }

    /// Room for a prompt of `len` tokens.
    pub(crate) fn zeros(shape: &Shape, len: usize) -> Result<Self> {
        let one = || Tensor::zeros((shape.kv_heads, len, shape.head_dim), shape.dtype, &shape.device);
        let all = || (0..shape.layers).map(|_| one()).collect::<Result<Vec<_>>>();
        Ok(Self { keys: all()?, values: all()?, len })
    }
}

fn bytes(tensors: &[Tensor]) -> usize {
    tensors.iter().map(|tensor| tensor.elem_count() * tensor.dtype().size_in_bytes()).sum()
}

/// A beam's place.
#[derive(Clone)]
pub(crate) struct BeamSlot {
    pub(crate) prefix: Arc<Prefix>,
    pub(crate) slot: usize,
    /// Tokens after the prefix.
    pub(crate) len: usize,
}

/// A beam of this cache.
pub(crate) type Key = u64;

/// All beams of one model.
pub(crate) struct Cache {
    shape: Shape,
    pub(crate) keys: Vec<Tensor>,
    pub(crate) values: Vec<Tensor>,
    slots: usize,
    pub(crate) capacity: usize,
    free: BTreeSet<usize>,
    places: HashMap<Key, BeamSlot>,
    next: Key,
}

const FIRST_CAPACITY: usize = 32;

impl Cache {
    pub(crate) fn new(shape: Shape) -> Self {
        let (keys, values) = (Vec::new(), Vec::new());
        let (free, places) = (BTreeSet::new(), HashMap::new());
        Self { shape, keys, values, slots: 0, capacity: 0, free, places, next: 0 }
    }

    pub(crate) fn shape(&self) -> &Shape {
        &self.shape
    }

    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    /// Bytes of keys and values: of prompts, each counted once however many beams share it, and of the pool.
    pub(crate) fn memory(&self) -> HeldMemory {
        let of = |place: &BeamSlot| (Arc::as_ptr(&place.prefix), place.prefix.bytes());
        let prompts: BTreeMap<*const Prefix, usize> = self.places.values().map(of).collect();
        HeldMemory { prompts: prompts.values().sum(), answers: bytes(&self.keys) + bytes(&self.values) }
    }

    pub(crate) fn place(&self, key: Key) -> std::result::Result<&BeamSlot, ModelError> {
        self.places.get(&key).ok_or(ModelError::UnknownBeam(inferenceguard_model::BeamId(key)))
    }

    /// A beam that holds a prompt and nothing else.
    pub(crate) fn insert(&mut self, prefix: Arc<Prefix>) -> Result<Key> {
        let slot = self.take_slots(1)?[0];
        Ok(self.add(BeamSlot { prefix, slot, len: 0 }))
    }

    fn add(&mut self, place: BeamSlot) -> Key {
        self.next += 1;
        self.places.insert(self.next, place);
        self.next
    }

    /// One new beam for each parent, equal to it.
    pub(crate) fn fork(&mut self, parents: &[Key]) -> std::result::Result<Vec<Key>, ModelError> {
        let parents =
            parents.iter().map(|key| self.place(*key).cloned()).collect::<std::result::Result<Vec<_>, _>>()?;
        let slots = self.take_slots(parents.len()).map_err(crate::error::backend)?;
        self.copy_slots(&parents, &slots).map_err(crate::error::backend)?;
        let places = parents.into_iter().zip(slots).map(|(parent, slot)| BeamSlot { slot, ..parent });
        Ok(places.map(|place| self.add(place)).collect())
    }

    /// Forgets all but the first `len` tokens after the prefix.
    pub(crate) fn truncate(&mut self, key: Key, len: usize) {
        if let Some(place) = self.places.get_mut(&key) {
            place.len = place.len.min(len);
        }
    }

    /// Counts tokens as written.
    pub(crate) fn advance(&mut self, key: Key, tokens: usize) {
        if let Some(place) = self.places.get_mut(&key) {
            place.len += tokens;
        }
    }

    pub(crate) fn release(&mut self, keys: impl IntoIterator<Item = Key>) {
        for key in keys {
            if let Some(place) = self.places.remove(&key) {
                self.free.insert(place.slot);
            }
        }
    }

    /// Makes room for suffixes of `len` tokens.
    pub(crate) fn reserve(&mut self, len: usize) -> Result<()> {
        if len <= self.capacity {
            return Ok(());
        }
        self.resize(self.slots, len.max(FIRST_CAPACITY).next_power_of_two())
    }

    /// `n` free slots: neighbours if there are such, since those are read without a copy.
    fn take_slots(&mut self, n: usize) -> Result<Vec<usize>> {
        // Scattered slots cost a GPU a copy, and the CPU nothing.
        let (enough, missing) = match self.shape.device.is_cpu() {
            true => (n, n.saturating_sub(self.free.len())),
            false => (2 * n, n),
        };
        if first_run(&self.free, n).is_none() && self.free.len() < enough {
            self.resize(self.slots + missing, self.capacity.max(FIRST_CAPACITY))?;
        }
        let taken: Vec<usize> = match first_run(&self.free, n) {
            Some(start) => (start..start + n).collect(),
            None => self.free.iter().copied().take(n).collect(),
        };
        for slot in &taken {
            self.free.remove(slot);
        }
        Ok(taken)
    }

    /// Layer by layer, so that hardly more than the new size is ever held. If the device's memory ends on the way, all beams
    /// are lost, and so is what they held.
    fn resize(&mut self, slots: usize, capacity: usize) -> Result<()> {
        let Shape { layers, kv_heads, head_dim, dtype, ref device } = self.shape;
        let (new, filled) = ((slots, kv_heads, capacity, head_dim), self.slots > 0);
        let grown = [&mut self.keys, &mut self.values].into_iter().try_for_each(|pool| {
            if !filled {
                *pool = (0..layers).map(|_| Tensor::zeros(new, dtype, device)).collect::<Result<_>>()?;
                return Ok(());
            }
            pool.iter_mut().try_for_each(|table| grow(table, new))
        });
        if grown.is_err() {
            *self = Self { next: self.next, ..Self::new(self.shape.clone()) };
            return grown;
        }
        self.free.extend(self.slots..slots);
        (self.slots, self.capacity) = (slots, capacity);
        Ok(())
    }

    fn copy_slots(&self, from: &[BeamSlot], to: &[usize]) -> Result<()> {
        let longest = from.iter().map(|place| place.len).max().unwrap_or(0);
        if longest == 0 {
            return Ok(());
        }
        let slots: Vec<u32> = from.iter().map(|place| place.slot as u32).collect();
        let slots = Tensor::new(slots, &self.shape.device)?;
        for pool in self.keys.iter().chain(&self.values) {
            let rows = pool.index_select(&slots, 0)?;
            for (i, run) in runs(to) {
                pool.slice_set(&rows.narrow(0, i, run.len())?, 0, run.start)?;
            }
        }
        Ok(())
    }
}

/// The first `n` neighbours of a set.
fn first_run(free: &BTreeSet<usize>, n: usize) -> Option<usize> {
    let (mut start, mut len) = (0, 0);
    for &slot in free {
        if len == 0 || slot != start + len {
            (start, len) = (slot, 0);
        }
        len += 1;
        if len >= n {
            return Some(start);
        }
    }
    None
}

/// Runs of neighbours: where each begins in the list, and what it spans.
fn runs(slots: &[usize]) -> Vec<(usize, std::ops::Range<usize>)> {
    let mut runs: Vec<(usize, std::ops::Range<usize>)> = Vec::new();
    for (i, &slot) in slots.iter().enumerate() {
        match runs.last_mut() {
            Some((_, run)) if run.end == slot => run.end += 1,
            _ => runs.push((i, slot..slot + 1)),
        }
    }
    runs
}

fn grow(table: &mut Tensor, shape: (usize, usize, usize, usize)) -> Result<()> {
    let new = Tensor::zeros(shape, table.dtype(), table.device())?;
    copy_corner(table, &new)?;
    *table = new;
    Ok(())
}

/// Copies `[slots, heads, capacity, dim]` into the low corner of a larger table.
fn copy_corner(old: &Tensor, new: &Tensor) -> Result<()> {
    let (slots, heads, capacity, dim) = old.dims4()?;
    let (_, _, wider, _) = new.dims4()?;
    let padded = if wider == capacity {
        old.clone()
    } else {
        let padded = Tensor::zeros((slots, heads, wider, dim), old.dtype(), old.device())?;
        padded.slice_set(old, 2, 0)?;
        padded
    };
    new.slice_set(&padded, 0, 0)
}
