//! The state of a training after every epoch, in one safetensors file: for every part `NAME.N` f32 (one number for each weight and
//! bias, layer by layer), `history` f64 `[epochs, 2]` (training and validation loss).

use crate::{
    error::{CriticError, Result},
    files::{self, Setting},
};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use std::path::{Path, PathBuf};

/// The state of a training.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Progress<const N: usize> {
    /// The weights after the last epoch, those after the best epoch, and what else the training keeps of each weight.
    pub(crate) parts: [Vec<Vec<f32>>; N],
    /// Training and validation loss of every epoch.
    pub(crate) history: Vec<(f64, f64)>,
}

impl<const N: usize> Default for Progress<N> {
    fn default() -> Self {
        Self { parts: std::array::from_fn(|_| Vec::new()), history: Vec::new() }
    }
}

impl<const N: usize> Progress<N> {
    /// The epoch with the least validation loss, from 0; the first of several.
    pub(crate) fn best_epoch(&self) -> usize {
        let losses = self.history.iter().map(|(_, loss)| *loss).enumerate();
        losses.min_by(|a, b| a.1.total_cmp(&b.1)).map_or(0, |(epoch, _)| epoch)
    }
}

/// A checkpoint's file, and what it must be made with. The file's name depends on the setting, so that
/// trainings with different settings have different files.
pub(crate) struct Checkpoint<const N: usize> {
    path: PathBuf,
    setting: Setting,
    /// What the parts are called.
    names: [&'static str; N],
}

impl<const N: usize> Checkpoint<N> {
    pub(crate) fn new(folder: &Path, setting: Setting, names: [&'static str; N]) -> Self {
        let path = folder.join(format!("checkpoint-{}.safetensors", &setting.digest()[..12]));
        Self { path, setting, names }
    }

    /// The state in the file, if it is whole; `sizes` are the numbers of weights per layer.
    pub(crate) fn read(&self, sizes: &[usize]) -> Result<Option<Progress<N>>> {
        let Some(bytes) = files::read(&self.path)? else { return Ok(None) };
        let (Ok((_, header)), Ok(file)) = (SafeTensors::read_metadata(&bytes), SafeTensors::deserialize(&bytes)) else {
            return Ok(None);
        };
        self.setting.check(&self.path, header.metadata().as_ref())?;
        let mut progress = Progress::default();
        for (name, part) in self.names.iter().zip(&mut progress.parts) {
            for (n, size) in sizes.iter().enumerate() {
                part.push(self.numbers(&file, &format!("{name}.{n}"), *size)?);
            }
        }
        progress.history = self.history(&file)?;
        Ok(Some(progress))
    }

    fn history(&self, file: &SafeTensors<'_>) -> Result<Vec<(f64, f64)>> {
        let history = file.tensor("history").map_err(|error| self.damaged(error.to_string()))?;
        let numbers: Vec<f64> = history.data().as_chunks::<8>().0.iter().map(|b| f64::from_le_bytes(*b)).collect();
        Ok(numbers.as_chunks::<2>().0.iter().map(|[train, validation]| (*train, *validation)).collect())
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

    pub(crate) fn write(&self, progress: &Progress<N>) -> Result<()> {
        let floats = |values: &[f32]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
        let mut raw: Vec<(String, Dtype, Vec<usize>, Vec<u8>)> = Vec::new();
        for (name, part) in self.names.iter().zip(&progress.parts) {
            let tensor = |(n, values): (usize, &Vec<f32>)| {
                (format!("{name}.{n}"), Dtype::F32, vec![values.len()], floats(values))
            };
            raw.extend(part.iter().enumerate().map(tensor));
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
