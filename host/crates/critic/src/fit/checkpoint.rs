//! The state of a training after every epoch, in one safetensors file: for every part `NAME.N` f32 (one number for each weight and
//! bias, layer by layer), `history` f64 `[epochs, 2]` (training and validation loss).

use crate::{
    error::{CriticError, Result},
    files::{self, Setting},
};
use safetensors::{Dtype, SafeTensorError, SafeTensors, tensor::TensorView};
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

/// The state of a training.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress<const N: usize> {
    /// The weights after the last epoch, those after the best epoch, and what else the training keeps of each weight.
    pub parts: [Vec<Vec<f32>>; N],
    /// Training and validation loss of every epoch.
    pub history: Vec<(f64, f64)>,
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

    /// Reads the bytes of a checkpoint, whatever it was made with; none if the file was cut short. `names` are what its parts are
    /// called, `sizes` the numbers of weights per layer, and `path` is for error messages.
    ///
    /// # Errors
    /// [`CriticError::Damaged`] if what it holds does not fit together.
    pub fn parse(bytes: &[u8], names: &[&str; N], sizes: &[usize], path: &Path) -> Result<Option<Self>> {
        let Ok(file) = SafeTensors::deserialize(bytes) else { return Ok(None) };
        Self::read(&file, names, sizes).map(Some).map_err(|found| damaged(path, found))
    }

    /// The state, or what was found in its place.
    fn read(file: &SafeTensors<'_>, names: &[&str; N], sizes: &[usize]) -> std::result::Result<Self, String> {
        let mut progress = Self::default();
        for (name, part) in names.iter().zip(&mut progress.parts) {
            for (n, size) in sizes.iter().enumerate() {
                part.push(numbers(file, &format!("{name}.{n}"), *size)?);
            }
        }
        progress.history = history(file)?;
        Ok(progress)
    }

    /// The bytes of a checkpoint; `metadata` says what it was made with.
    ///
    /// # Errors
    /// If it is too large for a file.
    pub fn to_bytes(
        &self,
        names: &[&str; N],
        metadata: HashMap<String, String>,
    ) -> std::result::Result<Vec<u8>, SafeTensorError> {
        let floats = |values: &[f32]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
        let mut raw: Vec<(String, Dtype, Vec<usize>, Vec<u8>)> = Vec::new();
        for (name, part) in names.iter().zip(&self.parts) {
            let tensor = |(n, values): (usize, &Vec<f32>)| {
                (format!("{name}.{n}"), Dtype::F32, vec![values.len()], floats(values))
            };
            raw.extend(part.iter().enumerate().map(tensor));
        }
        let losses = self.history.iter().flat_map(|(train, validation)| [*train, *validation]);
        let losses = losses.flat_map(f64::to_le_bytes).collect();
        raw.push(("history".to_owned(), Dtype::F64, vec![self.history.len(), 2], losses));
        let views = raw
            .iter()
            .map(|(name, dtype, shape, data)| Ok((name.as_str(), TensorView::new(*dtype, shape.clone(), data)?)));
        let views = views.collect::<std::result::Result<Vec<_>, SafeTensorError>>()?;
        safetensors::serialize(views, Some(metadata))
    }
}

/// Training and validation loss of every epoch.
fn history(file: &SafeTensors<'_>) -> std::result::Result<Vec<(f64, f64)>, String> {
    let history = tensor(file, "history", Dtype::F64)?;
    if history.shape().len() != 2 || history.shape()[1] != 2 {
        return Err(format!("a history of the shape {:?}", history.shape()));
    }
    let numbers: Vec<f64> = history.data().as_chunks::<8>().0.iter().map(|b| f64::from_le_bytes(*b)).collect();
    Ok(numbers.as_chunks::<2>().0.iter().map(|[train, validation]| (*train, *validation)).collect())
}

fn numbers(file: &SafeTensors<'_>, name: &str, size: usize) -> std::result::Result<Vec<f32>, String> {
    let tensor = tensor(file, name, Dtype::F32)?;
    let values: Vec<f32> = tensor.data().as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
    if values.len() == size { Ok(values) } else { Err(format!("{} numbers in {name}", values.len())) }
}

fn tensor<'a>(file: &'a SafeTensors<'_>, name: &str, dtype: Dtype) -> std::result::Result<TensorView<'a>, String> {
    let tensor = file.tensor(name).map_err(|error| error.to_string())?;
    if tensor.dtype() == dtype { Ok(tensor) } else { Err(format!("{name} in the format {:?}", tensor.dtype())) }
}

fn damaged(path: &Path, found: String) -> CriticError {
    let expected = "the weights of the network and the losses so far".to_owned();
    CriticError::Damaged { path: path.to_owned(), found, expected }
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
        let Ok((_, header)) = SafeTensors::read_metadata(&bytes) else { return Ok(None) };
        // A file that was cut short counts as missing, whatever its header says.
        if SafeTensors::deserialize(&bytes).is_ok() {
            self.setting.check(&self.path, header.metadata().as_ref())?;
        }
        Progress::parse(&bytes, &self.names, sizes, &self.path)
    }

    pub(crate) fn write(&self, progress: &Progress<N>) -> Result<()> {
        let bytes = progress.to_bytes(&self.names, self.setting.metadata());
        files::write(&self.path, &bytes.map_err(|error| damaged(&self.path, error.to_string()))?)
    }
}
