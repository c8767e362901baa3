//! The language model.

use crate::{
    Message, ModelError, ModelParts, RowSampler, Rows, SampleRequest, Sampled, SamplingSettings, TemplateNames, Token,
    Tokenizer,
    dense::{CpuDense, Dense},
    message::only_prompt,
};
use serde::{Deserialize, Serialize};
use std::{any::Any, collections::BTreeMap, sync::Arc};

/// A beam of one back end: a place in its KV cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BeamId(pub u64);

/// Which hidden state is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LatentSelector {
    /// The last layer after the final norm: what the LM head multiplies.
    #[default]
    FinalNorm,
    /// The output of this layer (0 = the first block), before any norm.
    Layer(u32),
}

/// What a model is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelInfo {
    /// Its name, for people.
    pub name: String,
    /// Logits per row.
    pub vocab: usize,
    /// Numbers per latent.
    pub hidden: usize,
    /// The most tokens a beam may have, prompt included.
    pub context: usize,
    /// Tokens that end an answer.
    pub eos: Vec<Token>,
    /// Special tokens, end tokens included: never penalised.
    pub special: Vec<Token>,
    /// How its authors sample from it: the default where a bundle and a request say nothing.
    #[serde(default)]
    pub sampling: SamplingSettings,
    /// A digest of everything that its answers depend on.
    pub fingerprint: String,
    /// Digests of its parts, as far as the back end gives them.
    pub parts: ModelParts,
}

impl ModelInfo {
    /// The digest by which networks name the model that they were made for.
    #[must_use]
    pub fn base(&self) -> &str {
        if self.parts.base.is_empty() { &self.fingerprint } else { &self.parts.base }
    }
}

/// A prompt on its way into a model. Dropping it frees what the back end keeps for it.
#[derive(Default)]
pub struct Reading {
    /// The prompt.
    pub prompt: Vec<Token>,
    /// Whose prompt it is. What a back end keeps of it for later prompts serves this tenant alone.
    pub tenant: Option<String>,
    /// How many of its tokens are read.
    pub read: usize,
    /// How many of its first tokens were not computed, because a prompt that the back end kept for the tenant begins with them.
    pub reused: usize,
    /// What the back end keeps between two pieces.
    pub kept: Option<Box<dyn Any + Send>>,
}

impl std::fmt::Debug for Reading {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Reading({} of {} tokens)", self.read, self.prompt.len())
    }
}

/// A language model whose beams fork.
///
/// A beam holds the tokens it was given by `prefill` and `step`. Its latent is that of its newest token. A back end
/// stores the prompt once, whatever the number of beams. An error leaves the beams named in the call unusable (they may
/// still be released) and all others as they were.
pub trait Model: Send {
    /// What it is.
    fn info(&self) -> &ModelInfo;

    /// Its tokenizer.
    fn tokenizer(&self) -> Arc<dyn Tokenizer>;

    /// Renders one user turn with the model's chat template and encodes it, ready for [`Model::prefill`].
    ///
    /// # Errors
    /// When the template or the tokenizer fails.
    fn encode_prompt(&self, prompt: &str) -> Result<Vec<Token>, ModelError>;

    /// Renders and encodes a conversation that ends with a turn of the user. Back ends without a chat template take one turn of
    /// the user and nothing else.
    ///
    /// # Errors
    /// As [`Model::encode_prompt`]; [`ModelError::Conversation`] for turns that the template does not take.
    fn encode_chat(&self, messages: &[Message]) -> Result<Vec<Token>, ModelError> {
        only_prompt(messages).map_or_else(|| Err(one_turn()), |prompt| self.encode_prompt(prompt))
    }

    /// Which template makes prompts of conversations, as bundles name it; nothing, for back ends that have no choice.
    fn templates(&self) -> TemplateNames {
        TemplateNames::default()
    }

    /// Runs the prompt; returns its beam and its latent (one row, `[1, hidden]`).
    ///
    /// # Errors
    /// [`ModelError::EmptyPrompt`], [`ModelError::ContextExceeded`], [`ModelError::UnknownToken`] or a failure below.
    fn prefill(&mut self, prompt: &[Token]) -> Result<(BeamId, Rows), ModelError>;

    /// One new beam for each entry of `parents`, equal to it (a parent may occur many times). Parents stay as they are.
    ///
    /// # Errors
    /// [`ModelError::UnknownBeam`] or a failure below.
    fn fork(&mut self, parents: &[BeamId]) -> Result<Vec<BeamId>, ModelError>;

    /// Appends one token to each beam (no beam twice) and returns their latents, `[rows, hidden]`, in order. Beams of
    /// different prompts and lengths may be mixed; the result does not depend on the mix beyond rounding.
    ///
    /// # Errors
    /// [`ModelError::UnknownBeam`], [`ModelError::ContextExceeded`], [`ModelError::UnknownToken`] or a failure below.
    fn step(&mut self, rows: &[(BeamId, Token)]) -> Result<Rows, ModelError>;

    /// Logits of latents: `[rows, hidden]` to `[rows, vocab]`. Takes rows of its own kind and rows on the host.
    ///
    /// # Errors
    /// [`ModelError::Shape`] or a failure below.
    fn project(&mut self, latents: &Rows) -> Result<Rows, ModelError>;

    /// Rows picked from several tables of latents, in order: `(table, row)`.
    ///
    /// # Errors
    /// [`ModelError::Shape`] when a row does not exist, or a failure below.
    fn gather(&mut self, tables: &[&Rows], picks: &[(usize, usize)]) -> Result<Rows, ModelError> {
        gather_on_host(tables, picks)
    }

    /// As [`Model::prefill`], by pieces: reads about `most` tokens more of the prompt, and gives beam and latent once all are
    /// read. The numbers are those of [`Model::prefill`], whatever the pieces. The default reads all at once.
    ///
    /// # Errors
    /// As [`Model::prefill`].
    fn prefill_part(&mut self, reading: &mut Reading, most: usize) -> Result<Option<(BeamId, Rows)>, ModelError> {
        let _ = most;
        reading.read = reading.prompt.len();
        self.prefill(&reading.prompt).map(Some)
    }

    /// How many inner layers [`Model::layer_latents`] can read. With 0, the default, bundles that read inner layers are refused:
    /// models that implement [`Model::layer_latents`] give their number here.
    fn layers(&self) -> u32 {
        0
    }

    /// The engine and its version, for records and people, such as `candle 0.11`.
    fn engine(&self) -> String {
        "native".to_owned()
    }

    /// The latents of a layer at the newest position of each beam, as of its last step, `[rows, width]`. Back ends
    /// without inner layers refuse everything but [`LatentSelector::FinalNorm`]. Bundles reach it only where
    /// [`Model::layers`] is more than 0.
    ///
    /// # Errors
    /// [`ModelError::Unsupported`], [`ModelError::UnknownBeam`].
    fn layer_latents(&mut self, _beams: &[BeamId], layer: u32) -> Result<Rows, ModelError> {
        Err(ModelError::Unsupported(format!("give the latents of layer {layer}; use the final norm")))
    }

    /// One draw per request. Equal to [`sample_row`](crate::sample_row) on the host up to rounding.
    ///
    /// # Errors
    /// [`ModelError::Shape`] for a row that does not exist, [`ModelError::NotFinite`], or a failure below.
    fn sample(&mut self, logits: &Rows, requests: &[(usize, SampleRequest)]) -> Result<Vec<Sampled>, ModelError> {
        sample_on_host(logits, requests)
    }

    /// Frees beams. Unknown beams are ignored.
    fn release(&mut self, beams: &[BeamId]);

    /// How many beams are held, for tests of leaks.
    fn live_beams(&self) -> usize;

    /// The device that runs networks of costs, critics and steering. The default is the reference on the processor.
    fn dense(&self) -> Arc<dyn Dense> {
        Arc::new(CpuDense)
    }

    /// What its rounding can do to a sum of costs that read latents, logits or log-probabilities, when the same tokens run
    /// in another batch: the part of `1 + budget` by which two sums may differ, in [0, 1). 0: a row's numbers do not depend
    /// on the batch.
    fn rounding(&self) -> f64 {
        0.0
    }
}

/// The reference: one row after the other.
fn sample_on_host(logits: &Rows, requests: &[(usize, SampleRequest)]) -> Result<Vec<Sampled>, ModelError> {
    let data = logits.to_host()?;
    let mut samplers = BTreeMap::new();
    for (row, _) in requests {
        if !samplers.contains_key(row) {
            samplers.insert(*row, RowSampler::new(row_of(logits, &data, *row)?)?);
        }
    }
    requests.iter().map(|(row, request)| samplers[row].sample(request)).collect()
}

pub(crate) fn one_turn() -> ModelError {
    ModelError::Conversation("this back end takes one turn of the user and nothing else".to_owned())
}

fn gather_on_host(tables: &[&Rows], picks: &[(usize, usize)]) -> Result<Rows, ModelError> {
    let width = tables.first().map_or(0, |t| t.width());
    if let Some(other) = tables.iter().find(|t| t.width() != width) {
        let (expected, found) = (format!("rows of {width}"), format!("{other:?}"));
        return Err(ModelError::Shape { what: "tables to gather from", expected, found });
    }
    let host = tables.iter().map(|t| t.to_host()).collect::<Result<Vec<_>, _>>()?;
    let mut data = Vec::with_capacity(picks.len() * width);
    for &(table, row) in picks {
        let (Some(rows), Some(values)) = (tables.get(table), host.get(table)) else {
            return Err(missing("table", table, tables.len()));
        };
        data.extend_from_slice(row_of(rows, values, row)?);
    }
    Rows::host(picks.len(), width, data)
}

fn row_of<'a>(rows: &Rows, data: &'a [f32], row: usize) -> Result<&'a [f32], ModelError> {
    let width = rows.width();
    let inside = (row < rows.len()).then(|| row * width..(row + 1) * width);
    inside.and_then(|range| data.get(range)).ok_or_else(|| missing("row", row, rows.len()))
}

fn missing(what: &'static str, index: usize, len: usize) -> ModelError {
    ModelError::Shape { what, expected: format!("an index below {len}"), found: index.to_string() }
}
