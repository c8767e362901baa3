//! Latents over all files of a folder: those of the first files lie in memory, up to a bound, and the others are read from their
//! files, row by row. What is read is the same either way.

use super::shard::{LatentTable, Store};
use crate::error::{CriticError, Result};
use half::f16;
use inferenceguard_model::LatentSelector;
use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    ops::Range,
    path::PathBuf,
};

/// The most bytes of latents that lie in memory, unless the options say otherwise: 2 GiB.
pub const MEMORY: usize = 2 << 30;

/// Bytes of a number.
const NUMBER: usize = 2;

/// Latents of one selector: one row for every position of every answer, in order.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LatentRows {
    width: usize,
    parts: Vec<Part>,
}

/// The rows of one file.
#[derive(Debug, Clone, PartialEq)]
struct Part {
    rows: Range<usize>,
    storage: Storage,
}

#[derive(Debug, Clone, PartialEq)]
/// Where the numbers of a part lie.
enum Storage {
    Memory(Vec<f16>),
    /// The table begins at this byte of the file.
    File {
        path: PathBuf,
        offset: u64,
    },
}

impl LatentRows {
    /// Numbers per row; 0 without rows.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// How many rows there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.parts.last().map_or(0, |part| part.rows.end)
    }

    /// How many rows lie in memory.
    #[must_use]
    pub fn in_memory(&self) -> usize {
        let held = self.parts.iter().filter(|part| matches!(part.storage, Storage::Memory(_)));
        held.map(|part| part.rows.len()).sum()
    }

    /// Appends the numbers of these rows; fewer where there are fewer rows.
    ///
    /// # Errors
    /// [`CriticError::File`] if a file cannot be read any more.
    pub fn write(&self, rows: Range<usize>, out: &mut Vec<f32>) -> Result<()> {
        let first = self.parts.partition_point(|part| part.rows.end <= rows.start);
        for part in self.parts[first..].iter().take_while(|part| part.rows.start < rows.end) {
            let (from, to) = (rows.start.max(part.rows.start), rows.end.min(part.rows.end));
            part.write(self.width * (from - part.rows.start)..self.width * (to - part.rows.start), out)?;
        }
        Ok(())
    }

    fn push(&mut self, table: LatentTable, file: Option<(PathBuf, u64)>) {
        let (first, rows) = (self.count(), table.data.len() / table.width.max(1));
        if rows == 0 {
            return;
        }
        self.width = table.width;
        let storage = match file {
            Some((path, offset)) => Storage::File { path, offset },
            None => Storage::Memory(table.data),
        };
        self.parts.push(Part { rows: first..first + rows, storage });
    }
}

impl Part {
    /// Appends these numbers of the table.
    fn write(&self, numbers: Range<usize>, out: &mut Vec<f32>) -> Result<()> {
        match &self.storage {
            Storage::Memory(data) => out.extend(data[numbers].iter().map(|number| number.to_f32())),
            Storage::File { path, offset } => {
                let read = || -> io::Result<Vec<u8>> {
                    let mut file = File::open(path)?;
                    file.seek(SeekFrom::Start(offset + (NUMBER * numbers.start) as u64))?;
                    let mut bytes = vec![0; NUMBER * numbers.len()];
                    file.read_exact(&mut bytes)?;
                    Ok(bytes)
                };
                let bytes = read().map_err(CriticError::file("read", path))?;
                out.extend(bytes.as_chunks::<NUMBER>().0.iter().map(|number| f16::from_le_bytes(*number).to_f32()));
            }
        }
        Ok(())
    }
}

/// The latents of a folder while its files are read or made, one after the other.
pub(crate) struct Kept {
    /// One table for each selector.
    pub(crate) tables: Vec<(LatentSelector, LatentRows)>,
    /// How many more bytes may lie in memory.
    left: usize,
}

impl Kept {
    /// Tables without rows; `memory` is the most bytes of latents that lie in memory.
    pub(crate) fn new(places: &[LatentSelector], memory: usize) -> Self {
        Self { tables: places.iter().map(|place| (*place, LatentRows::default())).collect(), left: memory }
    }

    /// Adds the tables of a file that is written. Once a file has no room in memory, neither has any later one.
    pub(crate) fn push(&mut self, tables: Vec<LatentTable>, store: &Store, index: usize) -> Result<()> {
        let size: usize = tables.iter().map(|table| NUMBER * table.data.len()).sum();
        let files = if size <= self.left { vec![None; tables.len()] } else { store.tables(index)? };
        self.left = self.left.saturating_sub(size);
        for (((_, rows), table), file) in self.tables.iter_mut().zip(tables).zip(files) {
            rows.push(table, file);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{collect::Shard, files::Setting};

    #[test]
    fn rows_are_the_same_in_memory_and_in_files() {
        let folder = tempfile::tempdir().unwrap();
        let places = [LatentSelector::FinalNorm, LatentSelector::Layer(3)];
        let store = Store::open(folder.path(), Setting::new([]), &places, 0).unwrap();
        let table = |width: usize, rows: usize, from: usize| {
            let data = (0..width * rows).map(|at| f16::from_f32((from + at) as f32)).collect();
            LatentTable { width, data }
        };
        let (mut next, mut shards) = (0, Vec::new());
        for (index, rows) in [3, 0, 1, 4].into_iter().enumerate() {
            let tables = vec![table(2, rows, next), table(3, rows, 100 + next)];
            next += 2 * rows;
            let trajectories = (0..usize::from(rows > 0)).map(|prompt| crate::collect::Trajectory {
                prompt,
                tokens: vec![0; rows],
                costs: vec![],
                task_cost: 0.0,
                positions: (1..=rows).collect(),
            });
            let shard = Shard { trajectories: trajectories.collect(), tables, ..Shard::default() };
            store.write(index, &shard).unwrap();
            shards.push(shard);
        }
        let read = |memory: usize| {
            let mut kept = Kept::new(&places, memory);
            for (index, shard) in shards.iter().enumerate() {
                kept.push(shard.tables.clone(), &store, index).unwrap();
            }
            kept.tables
        };
        let all = read(usize::MAX);
        // The first file has 3 rows of 2 + 3 numbers: 30 bytes; the third one has 10.
        for (memory, in_memory) in [(0, 0), (29, 0), (30, 3), (39, 3), (40, 4), (79, 4), (80, 8)] {
            let some = read(memory);
            for ((_, some), (_, all)) in some.iter().zip(&all) {
                assert_eq!((some.in_memory(), some.count(), some.width()), (in_memory, 8, all.width()), "{memory}");
                for (from, to) in (0..8).flat_map(|from| (from..=8).map(move |to| (from, to))) {
                    let of = |rows: &LatentRows| {
                        let mut found = vec![-1.0];
                        rows.write(from..to, &mut found).unwrap();
                        found
                    };
                    assert_eq!(of(some), of(all), "{memory}: {from}..{to}");
                    assert_eq!(of(some).len(), 1 + all.width() * (to - from));
                }
            }
        }
        std::fs::remove_file(folder.path().join("00003.safetensors")).unwrap();
        let held = read(usize::MAX).remove(0).1.write(0..8, &mut Vec::new());
        assert!(held.is_ok(), "what lies in memory needs no file");
        assert!(matches!(
            Kept::new(&places, 0).push(shards[3].tables.clone(), &store, 3),
            Err(CriticError::Damaged { .. })
        ));
    }
}
