//! The tensors of a folder: one safetensors file or several with an index, or a GGUF file; mapped unless already in
//! memory.
//!
//! Every tensor that is read is checked: it is there, has the shape that config.json asks for, a format we read
//! (f32, f16, bf16), and holds only finite numbers.

use crate::{
    CandleError,
    files::{ModelFiles, SAFETENSORS},
    gguf::Gguf,
    stored::{Content, StoredTensor},
};
use candle_core::{DType, Device, Tensor};
use half::{bf16, f16};
use inferenceguard_kernels::Quantized;
use safetensors::{Dtype, SafeTensors, tensor::Metadata};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

const SINGLE: &str = SAFETENSORS[0];
const INDEX: &str = SAFETENSORS[1];

/// One file, mapped or in memory.
struct Shard {
    path: PathBuf,
    map: Content,
    metadata: Metadata,
    /// Where the tensors begin.
    start: usize,
}

impl Shard {
    fn open(files: &ModelFiles, name: &str) -> Result<Self, CandleError> {
        let path = files.path().join(name);
        let map = files.open(name)?;
        let (header, metadata) = SafeTensors::read_metadata(&map)
            .map_err(|source| CandleError::BrokenWeights { path: path.clone(), source })?;
        Ok(Self { path, map, metadata, start: header + 8 })
    }

    fn data(&self, name: &str) -> Option<(Dtype, &[usize], &[u8])> {
        let info = self.metadata.info(name)?;
        let (from, to) = info.data_offsets;
        // `read_metadata` has checked that offsets cover the file exactly.
        Some((info.dtype, &info.shape, &self.map[self.start + from..self.start + to]))
    }
}

/// All tensors of a folder.
pub(crate) enum Weights {
    /// As safetensors.
    Shards(Shards),
    /// As GGUF.
    Gguf(Gguf),
}

/// All tensors of a folder of safetensors.
pub(crate) struct Shards {
    folder: PathBuf,
    shards: Vec<Shard>,
    /// Tensor name to shard.
    index: BTreeMap<String, usize>,
}

impl Shards {
    /// Opens model.safetensors, or the files of model.safetensors.index.json.
    fn open(files: &ModelFiles) -> Result<Self, CandleError> {
        let names = Self::names(files)?;
        let shards = names.iter().map(|name| Shard::open(files, name)).collect::<Result<Vec<_>, _>>()?;
        let mut index = BTreeMap::new();
        for (i, shard) in shards.iter().enumerate() {
            index.extend(shard.metadata.offset_keys().into_iter().map(|name| (name, i)));
        }
        Ok(Self { folder: files.path().to_owned(), shards, index })
    }

    fn names(files: &ModelFiles) -> Result<Vec<String>, CandleError> {
        if files.has(SINGLE) {
            return Ok(vec![SINGLE.to_owned()]);
        }
        let path = files.path().join(INDEX);
        if !files.has(INDEX) {
            if let Some(name) = files.names().into_iter().filter(|name| is_pickled(name)).min() {
                let folder = files.path().to_owned();
                return Err(CandleError::Pickled { path: folder.join(name), folder });
            }
            let what = "model.safetensors, or model.safetensors.index.json and the files it names, or model.gguf";
            return Err(CandleError::MissingFile { path: files.path().join(SINGLE), what });
        }
        let index = files.json(INDEX, "the index of the weights")?;
        let names = index.get("weight_map").and_then(|map| map.as_object());
        let names = names.ok_or_else(|| bad_index(&path, "missing"))?;
        let mut names = names.values().map(|v| v.as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>();
        names.sort_unstable();
        names.dedup();
        names.iter().try_for_each(|name| check_shard(files, &path, name))?;
        Ok(names)
    }

    fn tensors(&self) -> Vec<StoredTensor<'_>> {
        let all = self.index.iter().filter_map(|(name, shard)| {
            let (format, shape, bytes) = self.shards[*shard].data(name)?;
            Some(StoredTensor { name, format: format!("{format:?}"), shape, bytes })
        });
        all.collect()
    }

    fn values(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, CandleError> {
        let missing = || CandleError::MissingTensor { folder: self.folder.clone(), tensor: name.into() };
        let shard = &self.shards[*self.index.get(name).ok_or_else(missing)?];
        let (format, found, data) = shard.data(name).ok_or_else(missing)?;
        let (path, tensor) = (shard.path.clone(), name.to_owned());
        if found != shape {
            return Err(CandleError::TensorShape { path, tensor, found: found.to_vec(), expected: shape.to_vec() });
        }
        let values = match format {
            Dtype::F32 => decode::<4>(data, f32::from_le_bytes),
            Dtype::F16 => decode::<2>(data, |b| f16::from_le_bytes(b).to_f32()),
            Dtype::BF16 => decode::<2>(data, |b| bf16::from_le_bytes(b).to_f32()),
            other => return Err(CandleError::TensorFormat { path, tensor, found: format!("{other:?}") }),
        };
        match values.iter().position(|v| !v.is_finite()) {
            None => Ok(values),
            Some(index) => Err(CandleError::TensorNotFinite { path, tensor, index, value: values[index] }),
        }
    }
}

impl Weights {
    /// Opens the weights of a folder.
    pub(crate) fn open(files: &ModelFiles) -> Result<Self, CandleError> {
        match Gguf::find(files)? {
            Some(gguf) => Ok(Self::Gguf(gguf)),
            None => Shards::open(files).map(Self::Shards),
        }
    }

    /// The GGUF file, if they are one.
    pub(crate) fn gguf(&self) -> Option<&Gguf> {
        match self {
            Self::Gguf(gguf) => Some(gguf),
            Self::Shards(_) => None,
        }
    }

    /// Each file: its header (names, shapes and formats), and all its bytes.
    pub(crate) fn files(&self) -> Vec<(&[u8], &[u8])> {
        match self {
            Self::Shards(shards) => shards.shards.iter().map(|s| (&s.map[..s.start], &*s.map)).collect(),
            Self::Gguf(gguf) => gguf.contents(),
        }
    }

    /// Every tensor as it is stored, in the order of their names.
    pub(crate) fn tensors(&self) -> Vec<StoredTensor<'_>> {
        match self {
            Self::Shards(shards) => shards.tensors(),
            Self::Gguf(gguf) => gguf.tensors(),
        }
    }

    /// Whether a tensor is there.
    pub(crate) fn has(&self, name: &str) -> bool {
        match self {
            Self::Shards(shards) => shards.index.contains_key(name),
            Self::Gguf(gguf) => gguf.has(name),
        }
    }

    /// A tensor as f32 on the host, in the order of Hugging Face.
    pub(crate) fn values(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, CandleError> {
        match self {
            Self::Shards(shards) => shards.values(name, shape),
            Self::Gguf(gguf) => gguf.values(name, shape),
        }
    }

    /// A matrix `[outputs, inputs]` as it is quantised; `None` if its numbers are floats.
    pub(crate) fn read_quantized(&self, name: &str, shape: [usize; 2]) -> Result<Option<Quantized>, CandleError> {
        match self {
            Self::Shards(_) => Ok(None),
            Self::Gguf(gguf) => gguf.read_quantized(name, shape),
        }
    }

    /// A tensor on a device.
    pub(crate) fn tensor(
        &self,
        name: &str,
        shape: &[usize],
        dtype: DType,
        device: &Device,
    ) -> Result<Tensor, CandleError> {
        let values = self.values(name, shape)?;
        // The format changes on the host, so that a GPU never holds the f32 copy.
        let host = Tensor::from_vec(values, shape, &Device::Cpu)?.to_dtype(dtype)?;
        Ok(host.to_device(device)?)
    }
}

fn decode<const N: usize>(data: &[u8], one: impl Fn([u8; N]) -> f32) -> Vec<f32> {
    let (chunks, _) = data.as_chunks::<N>();
    chunks.iter().map(|chunk| one(*chunk)).collect()
}

fn bad_index(path: &Path, found: &str) -> CandleError {
    let expected = "an object from tensor names to file names inside the folder".into();
    CandleError::Field { path: path.to_owned(), field: "weight_map".into(), found: found.into(), expected }
}

/// Whether a file holds weights as PyTorch pickles them.
fn is_pickled(name: &str) -> bool {
    name.starts_with("pytorch_model") && Path::new(name).extension().is_some_and(|end| end == "bin")
}

/// Whether a name is that of a file in the same folder.
pub(crate) fn is_inside(name: &str) -> bool {
    !name.is_empty() && Path::new(name).file_name() == Some(name.as_ref())
}

/// An index may name only files of its own folder.
fn check_shard(files: &ModelFiles, index: &Path, name: &str) -> Result<(), CandleError> {
    if !is_inside(name) {
        return Err(bad_index(index, name));
    }
    if files.has(name) {
        return Ok(());
    }
    let what = "every weights file that the index names";
    Err(CandleError::MissingFile { path: files.path().join(name), what })
}
