//! What a model computes at every position of a text: for comparison with other implementations.

use crate::{
    CandleError, HfTokenizer, LoadOptions, ModelFiles, TemplateChoice,
    decoder::{Decoder, Keep},
    head::{LanguageHead, ScoreHead},
    load::Folder,
};
use candle_core::Tensor;
use inferenceguard_model::{ModelError, Token};
use safetensors::{Dtype, tensor::TensorView};
use std::path::Path;

/// A model of either kind, opened for probing.
pub struct Prober {
    decoder: Decoder,
    tokenizer: HfTokenizer,
    head: ProbeHead,
}

enum ProbeHead {
    Language(LanguageHead),
    Score(ScoreHead),
}

/// One number per position and column, row by row.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// Columns.
    pub width: usize,
    /// `positions * width` numbers.
    pub data: Vec<f32>,
}

/// What a model computes for a text.
#[derive(Debug, Clone, PartialEq)]
pub struct Probe {
    /// The text's tokens, with what the tokenizer puts around them.
    pub tokens: Vec<Token>,
    /// `[tokens, hidden]`: last hidden state after the final norm.
    pub latents: Table,
    /// `[tokens, vocab]`, language models only.
    pub logits: Option<Table>,
    /// One per token, score models only.
    pub scores: Option<Vec<f32>>,
}

impl Prober {
    /// Opens a folder.
    ///
    /// # Errors
    /// When the folder is not a model that can be loaded.
    pub fn load(folder: &Path, options: &LoadOptions) -> Result<Self, CandleError> {
        Self::load_files(&ModelFiles::folder(folder), options)
    }

    /// As [`Prober::load`], from files that may lie in memory.
    ///
    /// # Errors
    /// As [`Prober::load`].
    pub fn load_files(files: &ModelFiles, options: &LoadOptions) -> Result<Self, CandleError> {
        // No template is applied, so none is needed.
        let options = LoadOptions { template: TemplateChoice::Plain, ..options.clone() };
        let folder = Folder::open(files, &options)?;
        let head = match ScoreHead::load(&folder.decoder, &folder.weights)? {
            Some(score) => ProbeHead::Score(score),
            None => ProbeHead::Language(LanguageHead::load(&folder.decoder, &folder.weights)?),
        };
        Ok(Self { decoder: folder.decoder, tokenizer: folder.tokenizer, head })
    }

    /// The tokenizer.
    #[must_use]
    pub fn tokenizer(&self) -> &HfTokenizer {
        &self.tokenizer
    }

    /// Runs a text, without any template.
    ///
    /// # Errors
    /// When the text has no tokens or does not fit the context.
    pub fn run(&mut self, text: &str) -> Result<Probe, CandleError> {
        let tokens = self.tokenizer.encode_framed(text, true).map_err(ModelError::from)?;
        self.run_tokens(tokens)
    }

    /// Runs tokens.
    ///
    /// # Errors
    /// When there are no tokens, one is outside the vocabulary, or they do not fit the context.
    pub fn run_tokens(&mut self, tokens: Vec<Token>) -> Result<Probe, CandleError> {
        let latents = self.decoder.prefill(&tokens, Keep::All)?.1.latents;
        let (mut logits, mut scores) = (None, None);
        match &self.head {
            ProbeHead::Language(head) => logits = Some(table(&head.forward(&latents)?)?),
            ProbeHead::Score(head) => scores = Some(head.forward(&latents)?),
        }
        Ok(Probe { tokens, latents: table(&latents)?, logits, scores })
    }
}

fn table(tensor: &Tensor) -> Result<Table, CandleError> {
    Ok(Table { width: tensor.dim(1)?, data: tensor.flatten_all()?.to_vec1()? })
}

impl Probe {
    /// The probe as a safetensors file: `tokens` i64 `[T]`, `latents` f32 `[T, H]`, and `logits` f32 `[T, V]` or
    /// `scores` f32 `[T]`.
    ///
    /// # Errors
    /// When the numbers do not form tables; never for what [`Prober::run`] returned.
    pub fn to_safetensors(&self) -> Result<Vec<u8>, safetensors::SafeTensorError> {
        let n = self.tokens.len();
        let tokens: Vec<u8> = self.tokens.iter().flat_map(|t| i64::from(*t).to_le_bytes()).collect();
        let bytes = |data: &[f32]| data.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
        let mut tables = vec![("latents", vec![n, self.latents.width], bytes(&self.latents.data))];
        tables.extend(self.logits.as_ref().map(|t| ("logits", vec![n, t.width], bytes(&t.data))));
        tables.extend(self.scores.as_ref().map(|s| ("scores", vec![n], bytes(s))));
        let mut views = vec![("tokens", TensorView::new(Dtype::I64, vec![n], &tokens)?)];
        for (name, shape, data) in &tables {
            views.push((name, TensorView::new(Dtype::F32, shape.clone(), data)?));
        }
        safetensors::serialize(views, None)
    }
}
