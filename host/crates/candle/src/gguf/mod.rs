//! GGUF files: metadata, and tensors under the names and in the layout of Hugging Face folders.
//!
//! A model is one file, or several that were split; each tensor is checked as those of safetensors are.

mod config;
mod gemma;
mod header;
mod kinds;
mod names;
mod split;
mod tokenizer;

use crate::{
    CandleError, DecoderConfig, ModelFiles,
    stored::{Content, StoredTensor},
};
use half::{bf16, f16};
pub(crate) use header::Value;
use header::{Header, TensorEntry};
use inferenceguard_kernels::{Format, Quantized};
use kinds::Kind;
use names::Layout;
use std::path::PathBuf;

/// A GGUF model: its files, mapped or in memory. The metadata are those of the first.
pub(crate) struct Gguf {
    path: PathBuf,
    first: Part,
    /// The other files of a split model.
    others: Vec<Part>,
}

/// One file.
struct Part {
    path: PathBuf,
    bytes: Content,
    header: Header,
}

impl Part {
    fn open(files: &ModelFiles, name: &str) -> Result<Self, CandleError> {
        let path = files.path().join(name);
        let bytes = files.open(name)?;
        let header = Header::read(&bytes);
        let header = header.map_err(|message| CandleError::BrokenGguf { path: path.clone(), message })?;
        Ok(Self { path, bytes, header })
    }

    /// Every tensor. A tensor that the file does not hold, or whose type is not read, has no bytes.
    fn tensors(&self) -> Vec<StoredTensor<'_>> {
        self.header.tensors.iter().map(|(name, entry)| self.tensor(name, entry)).collect()
    }

    fn tensor<'a>(&'a self, name: &'a str, entry: &'a TensorEntry) -> StoredTensor<'a> {
        let bytes = Kind::of(entry.kind).and_then(|kind| self.data(entry, kind)).unwrap_or_default();
        StoredTensor { name, format: entry.kind.to_string(), shape: &entry.shape, bytes }
    }

    /// A tensor's bytes; `None` if they are not all in the file.
    fn data(&self, entry: &TensorEntry, kind: Kind) -> Option<&[u8]> {
        let numbers = entry.shape.iter().try_fold(1usize, |n, dim| n.checked_mul(*dim))?;
        let (span, size) = kind.block();
        let bytes = numbers.is_multiple_of(span).then(|| (numbers / span).checked_mul(size))??;
        let start = self.header.end.checked_add(usize::try_from(entry.offset).ok()?)?;
        self.bytes.get(start..start.checked_add(bytes)?)
    }
}

/// A tensor as it lies in a file.
struct Stored<'a> {
    path: PathBuf,
    /// Its name there.
    name: String,
    kind: Kind,
    data: &'a [u8],
    layout: Layout,
}

impl Gguf {
    /// The GGUF files of a model, if its weights are such.
    pub(crate) fn find(files: &ModelFiles) -> Result<Option<Self>, CandleError> {
        let Some(name) = files.gguf()? else { return Ok(None) };
        let mut names = split::names(files, &name)?.into_iter();
        let first = Part::open(files, &names.next().unwrap_or(name))?;
        let others = names.map(|name| Part::open(files, &name)).collect::<Result<Vec<_>, _>>()?;
        let gguf = Self { path: first.path.clone(), first, others };
        split::check(&gguf)?;
        Ok(Some(gguf))
    }

    /// The configuration: config.json where it is there, else what the metadata say.
    pub(crate) fn config(&self, files: &ModelFiles) -> Result<DecoderConfig, CandleError> {
        config::read(self, files)
    }

    /// The name of the file that describes the model: config.json, or its own.
    pub(crate) fn settings(&self, files: &ModelFiles) -> Result<String, CandleError> {
        Ok(config::beside(files)?.map_or_else(|| self.name(), |_| "config.json".to_owned()))
    }

    /// The name of its first file.
    pub(crate) fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    fn parts(&self) -> impl Iterator<Item = &Part> {
        std::iter::once(&self.first).chain(&self.others)
    }

    /// The header and all bytes of each file.
    pub(crate) fn contents(&self) -> Vec<(&[u8], &[u8])> {
        self.parts().map(|part| (&part.bytes[..part.header.end.min(part.bytes.len())], &*part.bytes)).collect()
    }

    /// Every tensor as it lies in its file, in the order of their names. A tensor that its file does not hold, or whose type is
    /// not read, has no bytes.
    pub(crate) fn tensors(&self) -> Vec<StoredTensor<'_>> {
        let mut all: Vec<StoredTensor<'_>> = self.parts().flat_map(Part::tensors).collect();
        all.sort_unstable_by(|a, b| a.name.cmp(b.name));
        all
    }

    /// Whether a tensor is there, by its Hugging Face name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.info(name).is_some()
    }

    /// The name of a tensor in the file, the file, and what its header says.
    fn info(&self, name: &str) -> Option<(String, &Part, &TensorEntry)> {
        names::in_file(name, self.architecture()).into_iter().find_map(|name| {
            let (part, entry) = self.parts().find_map(|part| Some((part, part.header.tensors.get(&name)?)))?;
            Some((name, part, entry))
        })
    }

    /// What a key of the metadata holds.
    pub(crate) fn value(&self, key: &str) -> Option<&Value> {
        self.first.header.metadata.get(key)
    }

    /// The chat template of its authors.
    pub(crate) fn chat_template(&self) -> Option<String> {
        match self.value("tokenizer.chat_template") {
            Some(Value::Text(template)) => Some(template.clone()),
            _ => None,
        }
    }

    /// A token that the tokenizer's part of the metadata names.
    pub(crate) fn token_id(&self, key: &str) -> Option<u32> {
        match self.value(&format!("tokenizer.ggml.{key}")) {
            Some(Value::Whole(id)) => u32::try_from(*id).ok(),
            _ => None,
        }
    }

    /// What `general.architecture` says.
    fn architecture(&self) -> &str {
        match self.value("general.architecture") {
            Some(Value::Text(name)) => name,
            _ => "",
        }
    }

    /// A tensor as f32, in the order of Hugging Face; exactly what its blocks say.
    pub(crate) fn values(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, CandleError> {
        let stored = self.stored(name, shape)?;
        let inputs = shape.last().copied().unwrap_or(0);
        if let Some(format) = stored.kind.format() {
            let rows = shape.iter().product::<usize>().checked_div(inputs).unwrap_or(0);
            let weights = blocks(&stored, format, rows, inputs)?;
            let mut values = Vec::with_capacity(rows * inputs);
            (0..rows).for_each(|row| weights.push_row(row, &mut values));
            return Ok(values);
        }
        let values = plain(&stored)?;
        let width = if shape.len() == 1 { 1 } else { inputs };
        Ok(stored.layout.ordered(&values, width))
    }

    /// A matrix `[outputs, inputs]` as it is quantised; `None` if its numbers are floats.
    pub(crate) fn read_quantized(&self, name: &str, shape: [usize; 2]) -> Result<Option<Quantized>, CandleError> {
        let [outputs, inputs] = shape;
        let stored = self.stored(name, &shape)?;
        stored.kind.format().map(|format| blocks(&stored, format, outputs, inputs)).transpose()
    }

    /// A tensor's bytes, once name, shape, format and place are found right.
    fn stored(&self, name: &str, shape: &[usize]) -> Result<Stored<'_>, CandleError> {
        let Some((tensor, part, entry)) = self.info(name) else {
            let names = names::in_file(name, self.architecture());
            let tensor = names.into_iter().next().unwrap_or_else(|| name.to_owned());
            return Err(CandleError::MissingTensor { folder: self.path.clone(), tensor });
        };
        let path = part.path.clone();
        if entry.shape != shape {
            let (found, expected) = (entry.shape.clone(), shape.to_vec());
            return Err(CandleError::TensorShape { path, tensor, found, expected });
        }
        let Some(kind) = Kind::of(entry.kind) else {
            let (found, read) = (kinds::name(entry.kind), kinds::read());
            return Err(CandleError::GgufFormat { path, tensor, found, read });
        };
        match part.data(entry, kind) {
            Some(data) => Ok(Stored { path, layout: Layout::of(self, name, shape), name: tensor, kind, data }),
            None => {
                let message = format!("tensor {tensor} reaches beyond its end, or does not consist of whole blocks");
                Err(CandleError::BrokenGguf { path, message })
            }
        }
    }
}

fn blocks(stored: &Stored<'_>, format: Format, outputs: usize, inputs: usize) -> Result<Quantized, CandleError> {
    let (path, tensor) = (stored.path.clone(), stored.name.clone());
    if let Some((block, value)) = format.not_finite(stored.data) {
        return Err(CandleError::TensorNotFinite { path, tensor, index: block * format.span(), value });
    }
    let stride = inputs / format.span() * format.bytes();
    let message = format!("the rows of tensor {tensor} are not whole blocks of {}", format.span());
    let weights = Quantized::new(stored.layout.ordered(stored.data, stride), format, outputs, inputs);
    weights.ok_or(CandleError::BrokenGguf { path, message })
}

fn plain(stored: &Stored<'_>) -> Result<Vec<f32>, CandleError> {
    let halves = || stored.data.as_chunks::<2>().0.iter();
    let values: Vec<f32> = match stored.kind {
        Kind::F16 => halves().map(|b| f16::from_le_bytes(*b).to_f32()).collect(),
        Kind::BF16 => halves().map(|b| bf16::from_le_bytes(*b).to_f32()).collect(),
        Kind::F64 => stored.data.as_chunks::<8>().0.iter().map(|b| f64::from_le_bytes(*b) as f32).collect(),
        _ => stored.data.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
    };
    let (path, tensor) = (stored.path.clone(), stored.name.clone());
    match values.iter().position(|v| !v.is_finite()) {
        None => Ok(values),
        Some(index) => Err(CandleError::TensorNotFinite { path, tensor, index, value: values[index] }),
    }
}
