//! The state of a training after every epoch, in one safetensors file: `now.N`, `best.N`, `first.N` and `second.N` f32 (weights, the
//! best weights, and the moments of the optimiser), `history` f64 `[epochs, 2]` (training and validation loss).

use crate::{
    error::{CriticError, Result},
    files::{self, Setting},
};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use std::path::{Path, PathBuf};

const PARTS: [&str; 4] = ["now", "best", "first", "second"];

/// The state of a training.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Progress {
    /// Weights, best weights, first and second moments.
    pub(super) parts: [Vec<Vec<f32>>; 4],
    /// Training and validation loss of every epoch.
    pub(super) history: Vec<(f64, f64)>,
}

impl Progress {
    /// The epoch with the least validation loss, from 0; the first of several.
    pub(super) fn best_epoch(&self) -> usize {
        let losses = self.history.iter().map(|(_, loss)| *loss).enumerate();
        losses.min_by(|a, b| a.1.total_cmp(&b.1)).map_or(0, |(epoch, _)| epoch)
    }
}

/// A checkpoint's file, and what it must be made with; trainings with different settings have different files.
pub(super) struct Checkpoint {
    path: PathBuf,
    setting: Setting,
}

impl Checkpoint {
    pub(super) fn new(folder: &Path, setting: Setting) -> Self {
        let path = folder.join(format!("checkpoint-{}.safetensors", &setting.digest()[..12]));
        Self { path, setting }
    }

    /// The state in the file; none if there is no file, or it was cut short. `sizes` are the numbers of weights per layer.
    pub(super) fn read(&self, sizes: &[usize]) -> Result<Option<Progress>> {
        let Some(bytes) = files::read(&self.path)? else { return Ok(None) };
        let (Ok((_, header)), Ok(file)) = (SafeTensors::read_metadata(&bytes), SafeTensors::deserialize(&bytes)) else {
            return Ok(None);
        };
        self.setting.check(&self.path, header.metadata().as_ref())?;
        let mut progress = Progress::default();
        for (name, part) in PARTS.iter().zip(&mut progress.parts) {
            for (n, size) in sizes.iter().enumerate() {
                part.push(self.numbers(&file, &format!("{name}.{n}"), *size)?);
            }
        }
        let history = file.tensor("history").map_err(|error| self.damaged(error.to_string()))?;
        let numbers: Vec<f64> = history.data().as_chunks::<8>().0.iter().map(|b| f64::from_le_bytes(*b)).collect();
        progress.history = numbers.as_chunks::<2>().0.iter().map(|[train, validation]| (*train, *validation)).collect();
        Ok(Some(progress))
    }

    fn numbers(&self, file: &SafeTensors<'_>, name: &str, size: usize) -> Result<Vec<f32>> {
        let tensor = file.tensor(name).map_err(|error| self.damaged(error.to_string()))?;
        let values: Vec<f32> = tensor.data().as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
        if values.len() == size { Ok(values) } else { Err(self.damaged(format!("{} numbers in {name}", values.len()))) }
    }

    fn damaged(&self, found: String) -> CriticError {
        let expected = "the weights of the head and the losses so far".to_owned();
        CriticError::Damaged { path: self.path.clone(), found, expected }
    }

    pub(super) fn write(&self, progress: &Progress) -> Result<()> {
        let mut raw: Vec<(String, Dtype, Vec<usize>, Vec<u8>)> = Vec::new();
        for (name, part) in PARTS.iter().zip(&progress.parts) {
            for (n, values) in part.iter().enumerate() {
                let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
                raw.push((format!("{name}.{n}"), Dtype::F32, vec![values.len()], bytes));
            }
        }
        let losses = progress.history.iter().flat_map(|(train, validation)| [*train, *validation]);
        let losses = losses.flat_map(f64::to_le_bytes).collect();
        raw.push(("history".to_owned(), Dtype::F64, vec![progress.history.len(), 2], losses));
        let views = raw
            .iter()
            .map(|(name, dtype, shape, data)| Ok((name.as_str(), TensorView::new(*dtype, shape.clone(), data)?)));
        let bytes = views
            .collect::<std::result::Result<Vec<_>, safetensors::SafeTensorError>>()
            .and_then(|views| safetensors::serialize(views, Some(self.setting.metadata())))
            .map_err(|error| self.damaged(error.to_string()))?;
        files::write(&self.path, &bytes)
    }
}
