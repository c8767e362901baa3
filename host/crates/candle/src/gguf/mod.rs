//! GGUF files: metadata, and tensors under the names and in the layout of Hugging Face folders.
//!
//! The tensor library reads the header; tensors are taken from the file here, each checked as those of safetensors are.

mod config;
mod names;

use crate::{
    CandleError, DecoderConfig, ModelFiles,
    files::Content,
    quantized::{Format, Quantized},
};
use candle_core::quantized::{
    GgmlDType,
    gguf_file::{self, TensorInfo, Value},
};
use half::{bf16, f16};
use names::Layout;
use std::{
    io::Cursor,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
};

/// The longest header that is read: vocabularies take some 10 MB. Keeps a damaged file from filling the memory.
const HEADER: usize = 32 << 20;

/// A GGUF file, mapped or in memory.
pub(crate) struct Gguf {
    path: PathBuf,
    bytes: Content,
    header: gguf_file::Content,
}

/// A tensor as it lies in the file.
struct Stored<'a> {
    /// Its name there.
    name: String,
    kind: GgmlDType,
    data: &'a [u8],
    layout: Layout,
}

impl Gguf {
    /// The GGUF file of a model, if its weights are one.
    pub(crate) fn find(files: &ModelFiles) -> Result<Option<Self>, CandleError> {
        let Some(name) = files.gguf()? else { return Ok(None) };
        let path = files.path().join(&name);
        let bytes = files.open(&name)?;
        let header = read_header(&bytes).map_err(|message| broken_header(path.clone(), message))?;
        Ok(Some(Self { path, bytes, header }))
    }

    /// The configuration: config.json where it is there, else what the metadata say.
    pub(crate) fn config(&self, files: &ModelFiles) -> Result<DecoderConfig, CandleError> {
        config::read(self, files)
    }

    /// The header, and all bytes.
    pub(crate) fn parts(&self) -> (&[u8], &[u8]) {
        let end = usize::try_from(self.header.tensor_data_offset).unwrap_or(usize::MAX);
        (&self.bytes[..end.min(self.bytes.len())], &self.bytes)
    }

    /// Whether a tensor is there, by its Hugging Face name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.info(name).is_some()
    }

    fn info(&self, name: &str) -> Option<(String, &TensorInfo)> {
        let names = names::in_file(name).into_iter();
        names.into_iter().find_map(|name| self.header.tensor_infos.get(&name).map(|info| (name, info)))
    }

    fn value(&self, key: &str) -> Option<&Value> {
        self.header.metadata.get(key)
    }

    /// The chat template of its authors.
    pub(crate) fn chat_template(&self) -> Option<String> {
        match self.value("tokenizer.chat_template") {
            Some(Value::String(template)) => Some(template.clone()),
            _ => None,
        }
    }

    /// A token that the tokenizer's part of the metadata names.
    pub(crate) fn token_id(&self, key: &str) -> Option<u32> {
        self.value(&format!("tokenizer.ggml.{key}")).and_then(|value| value.to_u32().ok())
    }

    /// What `general.architecture` says.
    fn architecture(&self) -> &str {
        match self.value("general.architecture") {
            Some(Value::String(name)) => name,
            _ => "",
        }
    }

    /// A tensor as f32, in the order of Hugging Face; exactly what its blocks say.
    pub(crate) fn values(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, CandleError> {
        let stored = self.stored(name, shape)?;
        let inputs = shape.last().copied().unwrap_or(0);
        if format(stored.kind).is_some() {
            let rows = shape.iter().product::<usize>().checked_div(inputs).unwrap_or(0);
            let weights = self.blocks(&stored, rows, inputs)?;
            let mut values = Vec::with_capacity(rows * inputs);
            (0..rows).for_each(|row| weights.push_row(row, &mut values));
            return Ok(values);
        }
        let values = self.plain(&stored)?;
        let width = if shape.len() == 1 { 1 } else { inputs };
        Ok(stored.layout.ordered(&values, width))
    }

    /// A matrix `[outputs, inputs]` as it is quantised; `None` if its numbers are floats.
    pub(crate) fn quantized(
        &self,
        name: &str,
        outputs: usize,
        inputs: usize,
    ) -> Result<Option<Quantized>, CandleError> {
        let stored = self.stored(name, &[outputs, inputs])?;
        match format(stored.kind) {
            Some(_) => self.blocks(&stored, outputs, inputs).map(Some),
            None => Ok(None),
        }
    }

    /// A tensor's bytes, once name, shape, format and place are found right.
    fn stored(&self, name: &str, shape: &[usize]) -> Result<Stored<'_>, CandleError> {
        let path = self.path.clone();
        let Some((tensor, info)) = self.info(name) else {
            let tensor = names::in_file(name).into_iter().next().unwrap_or_else(|| name.to_owned());
            return Err(CandleError::MissingTensor { folder: path, tensor });
        };
        if info.shape.dims() != shape {
            let (found, expected) = (info.shape.dims().to_vec(), shape.to_vec());
            return Err(CandleError::TensorShape { path, tensor, found, expected });
        }
        let kind = info.ggml_dtype;
        if format(kind).is_none() && !matches!(kind, GgmlDType::F32 | GgmlDType::F16 | GgmlDType::BF16) {
            let (tensor, found) = (format!("tensor {tensor}"), format!("{kind:?}"));
            return Err(CandleError::GgufFormat { path, tensor, found });
        }
        let data = self.data(info).ok_or_else(|| {
            let message = format!("tensor {tensor} reaches beyond its end, or does not consist of whole blocks");
            CandleError::BrokenGguf { path, message }
        })?;
        Ok(Stored { layout: Layout::of(self, name, shape), name: tensor, kind, data })
    }

    fn data(&self, info: &TensorInfo) -> Option<&[u8]> {
        let numbers = info.shape.dims().iter().try_fold(1usize, |n, dim| n.checked_mul(*dim))?;
        let (span, size) = (info.ggml_dtype.block_size(), info.ggml_dtype.type_size());
        let bytes = numbers.is_multiple_of(span).then(|| (numbers / span).checked_mul(size))??;
        let start = usize::try_from(self.header.tensor_data_offset.checked_add(info.offset)?).ok()?;
        self.bytes.get(start..start.checked_add(bytes)?)
    }

    fn blocks(&self, stored: &Stored<'_>, outputs: usize, inputs: usize) -> Result<Quantized, CandleError> {
        let Stored { name, kind, data, layout } = stored;
        let (path, tensor) = (self.path.clone(), name.clone());
        let Some(format) = format(*kind) else {
            return Err(CandleError::GgufFormat { path, tensor, found: format!("{kind:?}") });
        };
        if let Some((block, value)) = format.not_finite(data) {
            return Err(CandleError::TensorNotFinite { path, tensor, index: block * format.span(), value });
        }
        let stride = inputs / format.span() * format.bytes();
        let message = format!("the rows of tensor {tensor} are not whole blocks of {}", format.span());
        let weights = Quantized::new(layout.ordered(data, stride), format, outputs, inputs);
        weights.ok_or(CandleError::BrokenGguf { path, message })
    }

    fn plain(&self, stored: &Stored<'_>) -> Result<Vec<f32>, CandleError> {
        let halves = || stored.data.as_chunks::<2>().0.iter();
        let values: Vec<f32> = match stored.kind {
            GgmlDType::F16 => halves().map(|b| f16::from_le_bytes(*b).to_f32()).collect(),
            GgmlDType::BF16 => halves().map(|b| bf16::from_le_bytes(*b).to_f32()).collect(),
            _ => stored.data.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
        };
        let (path, tensor) = (self.path.clone(), stored.name.clone());
        match values.iter().position(|v| !v.is_finite()) {
            None => Ok(values),
            Some(index) => Err(CandleError::TensorNotFinite { path, tensor, index, value: values[index] }),
        }
    }
}

fn format(kind: GgmlDType) -> Option<Format> {
    match kind {
        GgmlDType::Q8_0 => Some(Format::Q8_0),
        GgmlDType::Q4_0 => Some(Format::Q4_0),
        GgmlDType::Q5_0 => Some(Format::Q5_0),
        GgmlDType::Q4K => Some(Format::Q4K),
        GgmlDType::Q5K => Some(Format::Q5K),
        GgmlDType::Q6K => Some(Format::Q6K),
        _ => None,
    }
}

/// The library checks counts and lengths against what it is given, but panics on some nonsense.
fn read_header(bytes: &[u8]) -> Result<gguf_file::Content, String> {
    // It would divide by this.
    let zero = || "general.alignment is 0".to_owned();
    let start = &bytes[..bytes.len().min(HEADER)];
    let read = catch_unwind(AssertUnwindSafe(|| gguf_file::Content::read(&mut Cursor::new(start))));
    read.map_err(|_| zero())?.map_err(|error| error.to_string())
}

/// Formats that the library has no name for, by their number.
const UNKNOWN: [(u32, &str); 12] = [
    (16, "IQ2_XXS"),
    (17, "IQ2_XS"),
    (18, "IQ3_XXS"),
    (19, "IQ1_S"),
    (20, "IQ4_NL"),
    (21, "IQ3_S"),
    (22, "IQ2_S"),
    (23, "IQ4_XS"),
    (29, "IQ1_M"),
    (34, "TQ1_0"),
    (35, "TQ2_0"),
    (39, "MXFP4"),
];

fn broken_header(path: PathBuf, message: String) -> CandleError {
    let number = message.lines().next().and_then(|line| line.rsplit_once("unknown dtype for tensor "));
    match number.and_then(|(_, number)| number.trim().parse::<u32>().ok()) {
        None => CandleError::BrokenGguf { path, message },
        Some(number) => {
            let known = UNKNOWN.iter().find(|(n, _)| *n == number);
            let found = known.map_or_else(|| format!("of type {number}"), |(_, name)| (*name).to_owned());
            CandleError::GgufFormat { path, tensor: "a tensor".into(), found }
        }
    }
}
