//! The state of a training after every epoch, in one safetensors file: `now.N` and `best.N` f32 (weights and biases,
//! layer by layer), `history` f64 `[epochs, 2]` (training and validation loss).

use crate::{
    error::{CriticError, Result},
    files::{self, Setting},
};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use std::path::{Path, PathBuf};

/// The state of a training.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Progress {
    /// The weights after the last epoch.
    pub(super) now: Vec<Vec<f32>>,
    /// The weights after the best epoch.
    pub(super) best: Vec<Vec<f32>>,
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

/// A checkpoint's file, and what it must be made with. The file's name depends on the setting, so that
/// trainings with different settings have different files.
pub(super) struct Checkpoint {
    path: PathBuf,
    setting: Setting,
}

impl Checkpoint {
    pub(super) fn new(folder: &Path, setting: Setting) -> Self {
        let path = folder.join(format!("checkpoint-{}.safetensors", &setting.digest()[..12]));
        Self { path, setting }
    }

    /// The state in the file, if it is whole; `sizes` are the numbers of weights per layer.
    pub(super) fn read(&self, sizes: &[usize]) -> Result<Option<Progress>> {
        let Some(bytes) = files::read(&self.path)? else { return Ok(None) };
        let (Ok((_, header)), Ok(file)) = (SafeTensors::read_metadata(&bytes), SafeTensors::deserialize(&bytes)) else {
            return Ok(None);
        };
        self.setting.check(&self.path, header.metadata().as_ref())?;
        let weights = |part: &str| {
            let one = |(n, size): (usize, &usize)| self.numbers(&file, &format!("{part}.{n}"), *size);
            sizes.iter().enumerate().map(one).collect::<Result<Vec<_>>>()
        };
        let history = file.tensor("history").map_err(|error| self.damaged(error.to_string()))?;
        let numbers: Vec<f64> = history.data().as_chunks::<8>().0.iter().map(|b| f64::from_le_bytes(*b)).collect();
        let history = numbers.as_chunks::<2>().0.iter().map(|[train, validation]| (*train, *validation)).collect();
        Ok(Some(Progress { now: weights("now")?, best: weights("best")?, history }))
    }

    fn numbers(&self, file: &SafeTensors<'_>, name: &str, size: usize) -> Result<Vec<f32>> {
        let tensor = file.tensor(name).map_err(|error| self.damaged(error.to_string()))?;
        let values: Vec<f32> = tensor.data().as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
        if values.len() == size { Ok(values) } else { Err(self.damaged(format!("{} numbers in {name}", values.len()))) }
    }

    fn damaged(&self, found: String) -> CriticError {
        let expected = "the weights of the network and the losses so far".to_owned();
        CriticError::Damaged { path: self.path.clone(), found, expected }
    }

    pub(super) fn write(&self, progress: &Progress) -> Result<()> {
        let floats = |values: &[f32]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
        let mut raw: Vec<(String, Dtype, Vec<usize>, Vec<u8>)> = Vec::new();
        for (part, weights) in [("now", &progress.now), ("best", &progress.best)] {
            let tensor = |(n, values): (usize, &Vec<f32>)| {
                (format!("{part}.{n}"), Dtype::F32, vec![values.len()], floats(values))
            };
            raw.extend(weights.iter().enumerate().map(tensor));
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
