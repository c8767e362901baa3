//! What can go wrong while a model folder is read or a model runs.

use inferenceguard_model::ModelError;
use std::path::PathBuf;

/// An error of the candle back end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CandleError {
    /// A file that every model folder needs is not there.
    #[error("{}: not found; a model folder holds {what}", path.display())]
    MissingFile {
        /// Where it was looked for.
        path: PathBuf,
        /// What the file is.
        what: &'static str,
    },
    /// The weights are pickled.
    #[error(
        "{}: pickled weights are not read, because reading them can run code that the file holds; write them as safetensors once, \
         with the script of this project: python3 host/examples/convert/to_safetensors.py {}",
        path.display(),
        folder.display()
    )]
    Pickled {
        /// The first such file.
        path: PathBuf,
        /// Its folder.
        folder: PathBuf,
    },
    /// A file cannot be read.
    #[error("{}: cannot be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is not the JSON it should be.
    #[error("{}: malformed JSON: {source}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
    /// A setting of config.json is missing or impossible.
    #[error("{}: `{field}` is {found}, expected {expected}", path.display())]
    Field {
        /// The file.
        path: PathBuf,
        /// The key.
        field: String,
        /// What it holds.
        found: String,
        /// What it should hold.
        expected: String,
    },
    /// The folder holds a model of a kind that is not implemented.
    #[error("{}: architecture {found} is not supported; supported are {supported}", path.display())]
    Architecture {
        /// The file.
        path: PathBuf,
        /// What `architectures` says.
        found: String,
        /// What it may say.
        supported: String,
    },
    /// The folder holds the other kind of model.
    #[error("{}: {found} is {is}, expected {expected}", folder.display())]
    Kind {
        /// The folder.
        folder: PathBuf,
        /// The architecture found.
        found: String,
        /// What that is.
        is: &'static str,
        /// What was asked for.
        expected: &'static str,
    },
    /// A weights file is not a safetensors file, or it is cut short.
    #[error("{}: broken weights: {source}; download or copy the file again", path.display())]
    BrokenWeights {
        /// The file.
        path: PathBuf,
        /// Why.
        source: safetensors::SafeTensorError,
    },
    /// A tensor is not in the weights.
    #[error("{}: tensor {tensor} is missing; configuration and weights do not belong together", folder.display())]
    MissingTensor {
        /// The folder.
        folder: PathBuf,
        /// The tensor.
        tensor: String,
    },
    /// A tensor has another shape than the configuration says.
    #[error("{}: tensor {tensor} has shape {found:?}, the configuration asks for {expected:?}", path.display())]
    TensorShape {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// The shape found.
        found: Vec<usize>,
        /// The shape expected.
        expected: Vec<usize>,
    },
    /// A tensor has a number format that is not read.
    #[error("{}: tensor {tensor} is {found}; only F32, F16 and BF16 are read", path.display())]
    TensorFormat {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// The format found.
        found: String,
    },
    /// A tensor holds NaN or infinity.
    #[error("{}: tensor {tensor} holds {value} at {index}; the weights are damaged", path.display())]
    TensorNotFinite {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// The position of the first such number, in storage order.
        index: usize,
        /// The number.
        value: f32,
    },
    /// A file is not a GGUF file, or it is cut short.
    #[error("{}: broken GGUF file: {message}; download or copy the file again", path.display())]
    BrokenGguf {
        /// The file.
        path: PathBuf,
        /// Why.
        message: String,
    },
    /// A tensor of a GGUF file is quantised in a way that is not read.
    #[error("{}: tensor {tensor} is {found}, which is not read; read are {read}", path.display())]
    GgufFormat {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// The format found.
        found: String,
        /// The formats that are read.
        read: String,
    },
    /// A GGUF model in several files is not complete, or its files do not belong together.
    #[error("{}: a split GGUF model: {message}", path.display())]
    SplitGguf {
        /// The file that was named, or the wrong one.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// A GGUF file and the config.json beside it describe different models.
    #[error("{}: `{key}` is {metadata}, but `{field}` in the config.json beside it is {value}; they belong to different models", gguf.display())]
    Disagreement {
        /// The GGUF file.
        gguf: PathBuf,
        /// The key of its metadata.
        key: String,
        /// What it holds.
        metadata: String,
        /// The key of config.json.
        field: &'static str,
        /// What that holds.
        value: String,
    },
    /// A GGUF file and the tokenizer.json beside it have different tokens.
    #[error("{}: token {id} is {metadata:?}, but {value} in the tokenizer.json beside it; they belong to different models", gguf.display())]
    OtherTokens {
        /// The GGUF file.
        gguf: PathBuf,
        /// The token's id.
        id: usize,
        /// Its spelling in the metadata.
        metadata: String,
        /// What the other file says.
        value: String,
    },
    /// A folder holds several GGUF files, and none is called model.gguf.
    #[error("{}: holds {found}; name one of them, or call it model.gguf", folder.display())]
    ManyGguf {
        /// The folder.
        folder: PathBuf,
        /// The files.
        found: String,
    },
    /// tokenizer.json is not usable.
    #[error("{}: {message}", path.display())]
    Tokenizer {
        /// The file.
        path: PathBuf,
        /// Why.
        message: String,
    },
    /// The chat template does not take the turns of a conversation.
    #[error("{}: chat template: {message}", folder.display())]
    Conversation {
        /// The folder.
        folder: PathBuf,
        /// Why.
        message: String,
    },
    /// The chat template is missing, malformed, or cannot be rendered.
    #[error("{}: chat template: {message}", folder.display())]
    Template {
        /// The folder.
        folder: PathBuf,
        /// Why, and what to do.
        message: String,
    },
    /// The device cannot be used.
    #[error("device {device}: {message}")]
    Device {
        /// What was asked for.
        device: String,
        /// Why, and what to do.
        message: String,
    },
    /// The tensor library failed.
    #[error("tensor library: {0}")]
    Tensor(#[from] candle_core::Error),
    /// The request does not fit the model.
    #[error(transparent)]
    Model(#[from] ModelError),
}

impl From<CandleError> for ModelError {
    fn from(error: CandleError) -> Self {
        match error {
            CandleError::Model(inner) => inner,
            CandleError::Conversation { message, .. } => Self::Conversation(message),
            other => Self::Backend(Box::new(other)),
        }
    }
}

/// A candle error at the trait's surface.
pub(crate) fn backend(error: candle_core::Error) -> ModelError {
    ModelError::Backend(Box::new(error))
}
