//! Trajectories and their file: a safetensors file, which programs in other languages can read.
//!
//! | tensor | shape | content |
//! |---|---|---|
//! | `prompts` | `[answers]` u32 | which prompt each answers |
//! | `lengths` | `[answers]` u32 | its tokens |
//! | `task_costs` | `[answers]` f64 | the task cost of the whole answer |
//! | `tokens` | `[all tokens]` u32 | one answer after the other |
//! | `costs` | `[constraints, all tokens]` f64 | the cost of every token |
//! | `rows` | `[answers]` u32 | how many latents each has |
//! | `positions` | `[all rows]` u32 | answer tokens before each latent |
//! | `latents.NAME` | `[all rows, width]` f16 | one table per latent selector |
//! | `skipped` | `[prompts]` u32 | prompts that leave no room for an answer |
//!
//! The metadata holds everything that the content follows from. A [`Store`] is a folder of such files, one per batch of prompts; a
//! run that was stopped continues with the first file that is missing.

use crate::{
    error::{CriticError, Result},
    files::{self, Setting},
    reading::Reading,
};
use half::f16;
use inferenceguard_model::{LatentSelector, Token};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};

/// One sampled answer with its costs. Its latents lie in a table of their own.
#[derive(Debug, Clone, PartialEq)]
pub struct Trajectory {
    /// The prompt's place.
    pub prompt: usize,
    /// The answer, its end token included.
    pub tokens: Vec<Token>,
    /// Per constraint, the cost of every token; neither discounted nor clipped.
    pub costs: Vec<Vec<f64>>,
    /// The task cost of the whole answer (lower is better).
    pub task_cost: f64,
    /// Where latents were kept: answer tokens before each, ascending, from 0 to the answer's length.
    pub positions: Vec<usize>,
}

impl Trajectory {
    /// Whether costs are numbers, and latents ascend within the answer.
    fn is_whole(&self) -> bool {
        let mut costs = self.costs.iter().flatten().chain([&self.task_cost]);
        let within = self.positions.last().is_none_or(|last| *last <= self.tokens.len());
        costs.all(|cost| cost.is_finite()) && self.positions.is_sorted() && within
    }
}

/// Latents of one kind, one row per position of every trajectory, in order.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LatentTable {
    /// Numbers per row.
    pub width: usize,
    /// All rows.
    pub data: Vec<f16>,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Shard {
    /// The answers.
    pub trajectories: Vec<Trajectory>,
    /// One table per latent selector, in the order of the setting.
    pub tables: Vec<LatentTable>,
    /// Prompts that leave no room for an answer.
    pub skipped: Vec<usize>,
}

type Raw = (String, Dtype, Vec<usize>, Vec<u8>);

impl Shard {
    /// The bytes of its file; `metadata` says what it was made with.
    ///
    /// # Errors
    /// If it is too large for a file.
    pub fn to_bytes(
        &self,
        latents: &[LatentSelector],
        constraints: usize,
        metadata: HashMap<String, String>,
    ) -> std::result::Result<Vec<u8>, safetensors::SafeTensorError> {
        let raw = self.raw(latents, constraints);
        let views = raw
            .iter()
            .map(|(name, dtype, shape, data)| Ok((name.as_str(), TensorView::new(*dtype, shape.clone(), data)?)))
            .collect::<std::result::Result<Vec<_>, safetensors::SafeTensorError>>()?;
        safetensors::serialize(views, Some(metadata))
    }

    fn raw(&self, latents: &[LatentSelector], constraints: usize) -> Vec<Raw> {
        let all = &self.trajectories;
        let u32s = |name: &str, values: Vec<usize>| -> Raw {
            let data = values.iter().flat_map(|value| (*value as u32).to_le_bytes()).collect();
            (name.to_owned(), Dtype::U32, vec![values.len()], data)
        };
        let f64s = |name: &str, shape: Vec<usize>, values: Vec<f64>| -> Raw {
            (name.to_owned(), Dtype::F64, shape, values.iter().flat_map(|value| value.to_le_bytes()).collect())
        };
        let tokens: Vec<usize> = all.iter().flat_map(|one| one.tokens.iter().map(|token| *token as usize)).collect();
        let cost = |at: usize| all.iter().flat_map(move |one| one.costs[at].iter().copied());
        let costs: Vec<f64> = (0..constraints).flat_map(cost).collect();
        let mut raw = vec![
            u32s("prompts", all.iter().map(|one| one.prompt).collect()),
            u32s("lengths", all.iter().map(|one| one.tokens.len()).collect()),
            f64s("task_costs", vec![all.len()], all.iter().map(|one| one.task_cost).collect()),
            f64s("costs", vec![constraints, tokens.len()], costs),
            u32s("tokens", tokens),
            u32s("rows", all.iter().map(|one| one.positions.len()).collect()),
            u32s("positions", all.iter().flat_map(|one| one.positions.iter().copied()).collect()),
            u32s("skipped", self.skipped.clone()),
        ];
        for (selector, table) in latents.iter().zip(&self.tables) {
            let shape = vec![table.data.len() / table.width.max(1), table.width];
            let data = table.data.iter().flat_map(|value| value.to_le_bytes()).collect();
            raw.push((table_name(*selector), Dtype::F16, shape, data));
        }
        raw
    }

    /// Reads the bytes of a file, whatever it was made with; none if the file was cut short. `path` is for error messages.
    ///
    /// # Errors
    /// [`CriticError::Damaged`] if what it holds does not fit together.
    pub fn parse(bytes: &[u8], latents: &[LatentSelector], constraints: usize, path: &Path) -> Result<Option<Self>> {
        let Ok(file) = SafeTensors::deserialize(bytes) else { return Ok(None) };
        Self::read(&file, latents, constraints, path).map(Some)
    }

    /// Reads a whole file.
    fn read(file: &SafeTensors<'_>, latents: &[LatentSelector], constraints: usize, path: &Path) -> Result<Self> {
        let reader = Reader { file, path };
        let (prompts, lengths, rows) = (reader.u32s("prompts")?, reader.u32s("lengths")?, reader.u32s("rows")?);
        let mut tokens = Pieces(reader.u32s("tokens")?);
        let mut positions = Pieces(reader.u32s("positions")?);
        let task_costs = reader.f64s("task_costs")?;
        let costs = reader.f64s("costs")?;
        let (all_tokens, all_rows): (usize, usize) = (lengths.iter().sum(), rows.iter().sum());
        let fits = [prompts.len(), lengths.len(), rows.len()].iter().all(|count| *count == task_costs.len())
            && (tokens.0.len(), positions.0.len()) == (all_tokens, all_rows)
            && costs.len() == constraints * all_tokens;
        reader.ensure(fits, "tensors of different lengths", "lists that fit each other")?;
        let mut trajectories = Vec::with_capacity(prompts.len());
        let mut start = 0;
        for (at, prompt) in prompts.into_iter().enumerate() {
            let end = start + lengths[at];
            let cost = |one: usize| costs[one * all_tokens + start..one * all_tokens + end].to_vec();
            trajectories.push(Trajectory {
                prompt,
                tokens: tokens.take(lengths[at]).into_iter().map(|token| token as Token).collect(),
                costs: (0..constraints).map(cost).collect(),
                task_cost: task_costs[at],
                positions: positions.take(rows[at]),
            });
            start = end;
        }
        let whole = trajectories.iter().all(Trajectory::is_whole);
        reader.ensure(whole, "costs that are no numbers, or latents out of order", "answers as they were sampled")?;
        let tables = latents.iter().map(|selector| reader.table(*selector, all_rows)).collect::<Result<_>>()?;
        Ok(Self { trajectories, tables, skipped: reader.u32s("skipped")? })
    }
}

fn table_name(selector: LatentSelector) -> String {
    format!("latents.{}", Reading::Latent(selector))
}

/// A list that is consumed piece by piece.
struct Pieces(Vec<usize>);

impl Pieces {
    /// The next `count`; fewer at the end.
    fn take(&mut self, count: usize) -> Vec<usize> {
        let rest = self.0.split_off(count.min(self.0.len()));
        std::mem::replace(&mut self.0, rest)
    }
}

struct Reader<'a> {
    file: &'a SafeTensors<'a>,
    path: &'a Path,
}

impl Reader<'_> {
    fn ensure(&self, holds: bool, found: &str, expected: &str) -> Result<()> {
        if holds {
            return Ok(());
        }
        Err(CriticError::Damaged { path: self.path.to_owned(), found: found.to_owned(), expected: expected.to_owned() })
    }

    fn tensor(&self, name: &str, dtype: Dtype) -> Result<TensorView<'_>> {
        let damaged = |found: String| CriticError::Damaged {
            path: self.path.to_owned(),
            found,
            expected: format!("a tensor `{name}` of {dtype:?}"),
        };
        let tensor = self.file.tensor(name).map_err(|error| damaged(error.to_string()))?;
        if tensor.dtype() == dtype { Ok(tensor) } else { Err(damaged(format!("{:?}", tensor.dtype()))) }
    }

    fn u32s(&self, name: &str) -> Result<Vec<usize>> {
        let tensor = self.tensor(name, Dtype::U32)?;
        Ok(tensor.data().as_chunks::<4>().0.iter().map(|bytes| u32::from_le_bytes(*bytes) as usize).collect())
    }

    fn f64s(&self, name: &str) -> Result<Vec<f64>> {
        let tensor = self.tensor(name, Dtype::F64)?;
        Ok(tensor.data().as_chunks::<8>().0.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect())
    }

    fn table(&self, selector: LatentSelector, rows: usize) -> Result<LatentTable> {
        let tensor = self.tensor(&table_name(selector), Dtype::F16)?;
        let width = tensor.shape().last().copied().unwrap_or(0);
        let fits = tensor.shape().len() == 2 && tensor.shape()[0] == rows && (width > 0 || rows == 0);
        self.ensure(fits, "latents of another number of rows", "one row per position")?;
        let data = tensor.data().as_chunks::<2>().0.iter().map(|bytes| f16::from_le_bytes(*bytes)).collect();
        Ok(LatentTable { width, data })
    }
}

/// The folder, and what its files must be made with.
pub(crate) struct Store {
    folder: PathBuf,
    setting: Setting,
    latents: Vec<LatentSelector>,
    constraints: usize,
}

impl Store {
    pub(crate) fn open(
        folder: &Path,
        setting: Setting,
        latents: &[LatentSelector],
        constraints: usize,
    ) -> Result<Self> {
        files::folder(folder)?;
        Ok(Self { folder: folder.to_owned(), setting, latents: latents.to_vec(), constraints })
    }

    fn path(&self, index: usize) -> PathBuf {
        self.folder.join(format!("{index:05}.safetensors"))
    }

    /// The file of this number. A file that was cut short (by a full disk, or a machine that went down) is removed, and
    /// counts as missing; a file of another model or setting is refused.
    pub(crate) fn read(&self, index: usize) -> Result<Option<Shard>> {
        let path = self.path(index);
        let Some(bytes) = files::read(&path)? else { return Ok(None) };
        let (Ok((_, header)), Ok(file)) = (SafeTensors::read_metadata(&bytes), SafeTensors::deserialize(&bytes)) else {
            fs::remove_file(&path).map_err(CriticError::file("remove", &path))?;
            return Ok(None);
        };
        self.setting.check(&path, header.metadata().as_ref())?;
        Shard::read(&file, &self.latents, self.constraints, &path).map(Some)
    }

    /// Where the latents of each place are: the file of this number, and the byte at which the table begins.
    pub(super) fn tables(&self, index: usize) -> Result<Vec<Option<(PathBuf, u64)>>> {
        let path = self.path(index);
        let bytes = files::read(&path)?.unwrap_or_default();
        let damaged = |error: safetensors::SafeTensorError| {
            let expected = "the latents that were written".to_owned();
            CriticError::Damaged { path: path.clone(), found: error.to_string(), expected }
        };
        let file = SafeTensors::deserialize(&bytes).map_err(damaged)?;
        let place = |selector: &LatentSelector| {
            let tensor = file.tensor(&table_name(*selector)).map_err(damaged)?;
            Ok(Some((path.clone(), (tensor.data().as_ptr().addr() - bytes.as_ptr().addr()) as u64)))
        };
        self.latents.iter().map(place).collect()
    }

    pub(crate) fn write(&self, index: usize, shard: &Shard) -> Result<()> {
        let path = self.path(index);
        let metadata = self.setting.metadata();
        let bytes = shard.to_bytes(&self.latents, self.constraints, metadata).map_err(|error| {
            let expected = "tensors whose sizes fit a file".to_owned();
            CriticError::Damaged { path: path.clone(), found: error.to_string(), expected }
        })?;
        files::write(&path, &bytes)
    }
}
