//! The plan of one forward pass over many beams: where each token sits, what it may see.
//!
//! Rows come with any number of new tokens, any length, any prompt. They are sorted by prompt and slot, their tokens
//! packed one after another. The beams of one prompt form a group; its queries are laid out as a grid of slots × new
//! tokens, with empty cells where slots in between do not take part or rows bring fewer tokens.

use crate::{
    attention::MASKED,
    kv::{BeamSlot, Cache, Key, Prefix},
};
use candle_core::{Device, Result, Tensor};
use inferenceguard_model::Token;
use std::{collections::BTreeMap, ops::Range, sync::Arc};

/// One row to extend: its place, its new tokens.
struct Row {
    /// Which of the caller's rows.
    caller: usize,
    place: BeamSlot,
    tokens: Vec<Token>,
}

/// A planned pass.
pub(crate) struct Batch {
    /// Packed tokens.
    pub(crate) tokens: Vec<Token>,
    /// The position of each, prompt included.
    pub(crate) positions: Vec<usize>,
    pub(crate) groups: Vec<Group>,
    /// Row of the flattened pool `[slots * kv_heads * capacity, head_dim]` for each packed token and head.
    pub(crate) targets: Tensor,
    /// For each of the caller's tokens, row by row, the packed one; `None` if the order is the same.
    pub(crate) order: Option<Tensor>,
}

/// The beams of one prompt.
pub(crate) struct Group {
    pub(crate) prefix: Arc<Prefix>,
    /// Its packed tokens.
    pub(crate) packed: Range<usize>,
    /// Its slots in the pool.
    pub(crate) slots: Slots,
    /// Cells per slot: the most new tokens of a row.
    pub(crate) width: usize,
    /// Longest suffix, new tokens included.
    pub(crate) suffix: usize,
    /// `None` if every cell holds the token of its number.
    pub(crate) grid: Option<Grid>,
    /// What may be seen, by window.
    sights: BTreeMap<Option<usize>, Sight>,
}

/// Which slots the rows of a grid are.
pub(crate) enum Slots {
    /// Neighbours: read in place.
    Run(Range<usize>),
    /// Far apart: copied together for the pass.
    Picked(Vec<u32>, Tensor),
}

/// Packed tokens to cells and back, within a group.
pub(crate) struct Grid {
    /// For each cell the token; 0 for empty cells.
    pub(crate) cells: Tensor,
    /// For each token the cell.
    pub(crate) tokens: Tensor,
}

/// What the cells of a group may see through one kind of window.
pub(crate) struct Sight {
    /// The visible part of the prompt.
    pub(crate) prompt: Range<usize>,
    /// `[rows * width * rep, prompt]`; `None` if all is visible.
    pub(crate) prompt_mask: Option<Tensor>,
    /// `[rows, 1, width * rep, suffix]`; `None` if all is visible.
    pub(crate) suffix_mask: Option<Tensor>,
}

impl Group {
    pub(crate) fn sight(&self, window: Option<usize>) -> Option<&Sight> {
        self.sights.get(&window)
    }

    pub(crate) fn rows(&self) -> usize {
        match &self.slots {
            Slots::Run(run) => run.len(),
            Slots::Picked(slots, _) => slots.len(),
        }
    }
}

/// Sizes the planner needs.
pub(crate) struct Sizes<'a> {
    pub(crate) kv_heads: usize,
    /// Query heads per key head.
    pub(crate) rep: usize,
    /// The kinds of windows of the layers.
    pub(crate) windows: &'a [Option<usize>],
    pub(crate) device: &'a Device,
}

impl Batch {
    /// Plans rows whose places are known and whose suffixes have room. No row is empty, no beam comes twice.
    pub(crate) fn plan(cache: &Cache, rows: &[(Key, &BeamSlot, &[Token])], sizes: &Sizes<'_>) -> Result<Self> {
        let mut sorted: Vec<Row> = rows.iter().enumerate().map(Row::new).collect();
        sorted.sort_by_key(|row| (Arc::as_ptr(&row.place.prefix).addr(), row.place.slot));
        let tokens: Vec<Token> = sorted.iter().flat_map(|row| row.tokens.iter().copied()).collect();
        let positions = sorted.iter().flat_map(Row::positions).collect();
        let mut groups = Vec::new();
        let mut start = 0;
        for group in sorted.chunk_by(|a, b| Arc::ptr_eq(&a.place.prefix, &b.place.prefix)) {
            let end = start + group.iter().map(|row| row.tokens.len()).sum::<usize>();
            groups.push(Group::plan(group, start..end, sizes)?);
            start = end;
        }
        let targets = targets(cache, &sorted, sizes)?;
        Ok(Self { order: order(&sorted, sizes.device)?, tokens, positions, groups, targets })
    }
}

impl Row {
    fn new((caller, (_, place, tokens)): (usize, &(Key, &BeamSlot, &[Token]))) -> Self {
        Self { caller, place: (*place).clone(), tokens: tokens.to_vec() }
    }

    fn end(&self) -> usize {
        self.place.len + self.tokens.len()
    }

    fn positions(&self) -> Range<usize> {
        let prompt = self.place.prefix.len;
        prompt + self.place.len..prompt + self.end()
    }
}

impl Group {
    fn plan(rows: &[Row], packed: Range<usize>, sizes: &Sizes<'_>) -> Result<Self> {
        let width = rows.iter().map(|row| row.tokens.len()).max().unwrap_or(0);
        let suffix = rows.iter().map(Row::end).max().unwrap_or(0);
        let (slots, lines) = lay_out(rows, sizes.device)?;
        let full = lines.len() == rows.len() && rows.iter().all(|row| row.tokens.len() == width);
        let grid = if full { None } else { Some(Grid::new(rows, &lines, width, sizes.device)?) };
        let prefix = rows[0].place.prefix.clone();
        let mut sights = BTreeMap::new();
        for &window in sizes.windows {
            let view = View { rows, lines: &lines, width, suffix, prompt: prefix.len, window };
            sights.insert(window, view.sight(sizes)?);
        }
        Ok(Self { prefix, packed, slots, width, suffix, grid, sights })
    }
}

/// The slots of a group's grid, and for each line of it the row there, if any.
fn lay_out(rows: &[Row], device: &Device) -> Result<(Slots, Vec<Option<usize>>)> {
    let (first, last) = (rows[0].place.slot, rows[rows.len() - 1].place.slot);
    let span = last + 1 - first;
    // Computing some empty lines is cheaper than copying keys and values; many are not.
    if span <= 2 * rows.len() {
        let mut lines = vec![None; span];
        for (i, row) in rows.iter().enumerate() {
            lines[row.place.slot - first] = Some(i);
        }
        return Ok((Slots::Run(first..last + 1), lines));
    }
    let picked: Vec<u32> = rows.iter().map(|row| row.place.slot as u32).collect();
    let tensor = Tensor::new(picked.as_slice(), device)?;
    Ok((Slots::Picked(picked, tensor), (0..rows.len()).map(Some).collect()))
}

impl Grid {
    fn new(rows: &[Row], lines: &[Option<usize>], width: usize, device: &Device) -> Result<Self> {
        let mut cells = vec![0u32; lines.len() * width];
        let mut tokens = Vec::new();
        for (line, row) in lines.iter().enumerate().filter_map(|(line, row)| row.map(|row| (line, row))) {
            for j in 0..rows[row].tokens.len() {
                cells[line * width + j] = tokens.len() as u32;
                tokens.push((line * width + j) as u32);
            }
        }
        Ok(Self { cells: Tensor::new(cells, device)?, tokens: Tensor::new(tokens, device)? })
    }
}

/// A group seen through one window.
struct View<'a> {
    rows: &'a [Row],
    lines: &'a [Option<usize>],
    width: usize,
    suffix: usize,
    prompt: usize,
    window: Option<usize>,
}

impl View<'_> {
    fn sight(&self, sizes: &Sizes<'_>) -> Result<Sight> {
        // The earliest new token sees furthest back.
        let earliest = self.rows.iter().map(|row| row.place.len).min().unwrap_or(0);
        let hidden = |position: usize| self.window.map_or(0, |w| (position + 1).saturating_sub(w));
        let from = hidden(self.prompt + earliest).min(self.prompt);
        let latest = self.rows.iter().map(Row::end).max().unwrap_or(1) - 1;
        let whole = hidden(self.prompt + latest) <= from;
        let prompt = from..self.prompt;
        let prompt_mask = if whole || prompt.is_empty() {
            None
        } else {
            let keys = prompt.clone();
            let mask = self.mask(keys.len(), sizes.rep, |place, k| keys.start + k >= hidden(self.prompt + place));
            Some(Tensor::from_vec(mask, ((), keys.len()), sizes.device)?)
        };
        Ok(Sight { prompt, prompt_mask, suffix_mask: self.suffix_mask(sizes)? })
    }

    fn suffix_mask(&self, sizes: &Sizes<'_>) -> Result<Option<Tensor>> {
        let even = self.lines.len() == self.rows.len() && self.rows.iter().all(|row| row.end() == self.suffix);
        let inside = self.window.is_none_or(|w| self.suffix <= w);
        if even && inside && self.width == 1 {
            return Ok(None);
        }
        let sees = |place: usize, k: usize| k <= place && self.window.is_none_or(|w| place - k < w);
        let mask = self.mask(self.suffix, sizes.rep, sees);
        let shape = (self.lines.len(), 1, self.width * sizes.rep, self.suffix);
        Tensor::from_vec(mask, shape, sizes.device).map(Some)
    }

    /// For every cell and query head of its group, `keys` numbers: 0 where `sees(place in the suffix, key)`. Empty
    /// cells see all.
    fn mask(&self, keys: usize, rep: usize, sees: impl Fn(usize, usize) -> bool) -> Vec<f32> {
        let mut mask = Vec::with_capacity(self.lines.len() * self.width * rep * keys);
        for line in self.lines {
            let row = line.map(|row| &self.rows[row]);
            for j in 0..self.width {
                let place = row.filter(|row| j < row.tokens.len()).map(|row| row.place.len + j);
                let cell = mask.len();
                mask.extend((0..keys).map(|k| if place.is_none_or(|p| sees(p, k)) { 0.0 } else { MASKED }));
                for _ in 1..rep {
                    mask.extend_from_within(cell..cell + keys);
                }
            }
        }
        mask
    }
}

fn targets(cache: &Cache, rows: &[Row], sizes: &Sizes<'_>) -> Result<Tensor> {
    let capacity = cache.capacity;
    let mut targets = Vec::new();
    for row in rows {
        for place in row.place.len..row.end() {
            let first = row.place.slot * sizes.kv_heads * capacity + place;
            targets.extend((0..sizes.kv_heads).map(|head| (first + head * capacity) as u32));
        }
    }
    Tensor::new(targets, sizes.device)
}

fn order(rows: &[Row], device: &Device) -> Result<Option<Tensor>> {
    if rows.is_sorted_by_key(|row| row.caller) {
        return Ok(None);
    }
    let mut starts = vec![(0, 0); rows.len()];
    let mut start = 0;
    for row in rows {
        starts[row.caller] = (start, row.tokens.len());
        start += row.tokens.len();
    }
    let order: Vec<u32> = starts.iter().flat_map(|&(start, len)| start as u32..(start + len) as u32).collect();
    Tensor::new(order, device).map(Some)
}
