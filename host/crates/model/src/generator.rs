//! A back end whose unit of work is the chunk: an engine behind a network, or a [`Model`](crate::Model) under a scheduler.

use crate::{
    BeamId, Caller, Drain, GrowRow, Grown, Growth, LatentSelector, Message, ModelError, ModelInfo, ReplicaReport, Rows,
    SampleRequest, Sampled, TemplateNames, Token, Tokenizer,
    dense::{CpuDense, Dense},
};
use std::{ops::Range, sync::Arc, time::Duration};

/// What a back end can do beyond growing rows. What it cannot is refused by name when a bundle is activated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Abilities {
    /// The engine and its version, for records and people, such as `candle` or `vllm 0.32.0`.
    pub engine: String,
    /// Lowers tokens by offset under the mass cap, as retries ask for it.
    pub penalties: bool,
    /// [`Generator::logits`].
    pub logits: bool,
    /// The most of [`Generator::likeliest`]; 0: none.
    pub likeliest: u32,
    /// [`Generator::latents`] of the final norm.
    pub latents: bool,
    /// [`Generator::latents`] of inner layers.
    pub layers: bool,
    /// [`Generator::keep_latents`] and [`Generator::kept_latents`], of the places that the two above allow.
    pub token_latents: bool,
    /// [`Generator::sample`] after [`Generator::steer`].
    pub steering: bool,
    /// [`Generator::logprobs`].
    pub forced: bool,
    /// The same rows with the same seeds give the same tokens.
    pub repeats: bool,
}

/// What a back end did for one caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Effort {
    /// Forward passes that this caller's rows were part of, the prompt's counted as none.
    pub steps: u64,
    /// Positions of this caller's rows in them.
    pub positions: u64,
    /// The time of the model's work that this caller was part of: prompts, steps and projections. Zero where it is not
    /// measured.
    pub model: Duration,
    /// The time of drawing tokens that this caller was part of. Zero where it is not measured.
    pub sampling: Duration,
}

impl std::ops::AddAssign for Effort {
    fn add_assign(&mut self, more: Self) {
        self.steps += more.steps;
        self.positions += more.positions;
        self.model += more.model;
        self.sampling += more.sampling;
    }
}

/// One of the most likely next tokens.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Likely {
    /// The token.
    pub token: Token,
    /// Its raw logit; its log-probability where the back end has no logits.
    pub logit: f32,
    /// Its log-probability.
    pub logprob: f32,
}

/// A handle of one request on a back end: it makes beams, grows them and reads them. A beam holds the tokens it was given.
///
/// Dropping a handle frees its beams and ends what it still computes. A call that fails leaves the beams named in it unusable,
/// except for [`Generator::release`]. Calls fail with [`ModelError::Cancelled`] once the caller has cancelled.
pub trait Generator: Send {
    /// What the model is.
    fn info(&self) -> &ModelInfo;

    /// What the back end can do.
    fn abilities(&self) -> &Abilities;

    /// The model's tokenizer, on this side.
    fn tokenizer(&self) -> Arc<dyn Tokenizer>;

    /// The tokens of a conversation that ends with a turn of the user, by the model's chat template.
    ///
    /// # Errors
    /// [`ModelError::Conversation`] for turns that the template does not take; a failure of template or tokenizer.
    fn encode_chat(&self, messages: &[Message]) -> Result<Vec<Token>, ModelError>;

    /// Which template makes prompts of conversations, as bundles name it; nothing, for back ends that have no choice.
    fn templates(&self) -> TemplateNames {
        TemplateNames::default()
    }

    /// Makes the beam of a prompt.
    ///
    /// # Errors
    /// [`ModelError::EmptyPrompt`], [`ModelError::ContextExceeded`], [`ModelError::UnknownToken`] or a failure below.
    fn open(&mut self, prompt: &[Token]) -> Result<BeamId, ModelError>;

    /// One new beam for each entry of `parents`, equal to it.
    ///
    /// # Errors
    /// [`ModelError::UnknownBeam`] or a failure below.
    fn fork(&mut self, parents: &[BeamId]) -> Result<Vec<BeamId>, ModelError>;

    /// Appends one given token to each beam (no beam twice).
    ///
    /// # Errors
    /// [`ModelError::UnknownBeam`], [`ModelError::ContextExceeded`], [`ModelError::UnknownToken`] or a failure below.
    fn append(&mut self, rows: &[(BeamId, Token)]) -> Result<(), ModelError>;

    /// Grows a new beam for each row, in order. The new beam holds all tokens of its row but the last: the model has not read
    /// that one yet, and [`Generator::append`] gives it.
    ///
    /// A row that could not be grown is an error of its own; it has no beam. Other rows do not depend on it.
    ///
    /// # Errors
    /// When no row could be grown: [`ModelError::UnknownBeam`], [`ModelError::ContextExceeded`] or a failure below.
    fn grow(&mut self, growth: &Growth, rows: Vec<GrowRow>) -> Result<Vec<GrownRow>, ModelError>;

    /// One draw per request, from the newest position of a beam; after [`Generator::steer`], from the steered latent.
    ///
    /// # Errors
    /// [`ModelError::Unsupported`] without [`Abilities::steering`]; [`ModelError::NotFinite`] or a failure below.
    fn sample(&mut self, requests: &[(BeamId, SampleRequest)]) -> Result<Vec<Sampled>, ModelError>;

    /// Replaces the latents (`[beams, hidden]`) from which the next tokens of these beams are drawn. What other calls read stays
    /// as the model gave it, so that no edit hides anything from costs and critics.
    ///
    /// # Errors
    /// [`ModelError::Unsupported`] without [`Abilities::steering`]; [`ModelError::Shape`].
    fn steer(&mut self, beams: &[BeamId], latents: Rows) -> Result<(), ModelError>;

    /// The latents at the newest position of these beams, one row each, finite.
    ///
    /// # Errors
    /// [`ModelError::Unsupported`] without [`Abilities::latents`] or [`Abilities::layers`]; [`ModelError::NotFinite`] or a
    /// failure below.
    fn latents(&mut self, beams: &[BeamId], selector: LatentSelector) -> Result<Vec<Arc<[f32]>>, ModelError>;

    /// From now on these beams, and beams that are made of them, keep the latents of every token that they are given: 4 bytes per
    /// number, token and place, until the beam is released. Beams with one parent share those of its tokens.
    ///
    /// # Errors
    /// [`ModelError::Unsupported`] without [`Abilities::token_latents`], or for a layer that the model does not have;
    /// [`ModelError::UnknownBeam`].
    fn keep_latents(&mut self, _beams: &[BeamId], _places: &[LatentSelector]) -> Result<(), ModelError> {
        Err(ModelError::Unsupported("keep the latents of every token".to_owned()))
    }

    /// Kept latents of some tokens of each beam, finite; token 0 is the first after the call of [`Generator::keep_latents`]. One
    /// row per beam, token after token; those of one token lie side by side, in the order of `places`.
    ///
    /// # Errors
    /// [`ModelError::Shape`] for tokens or places that were not kept; [`ModelError::NotFinite`] or a failure below.
    fn kept_latents(
        &mut self,
        _rows: &[KeptTokens],
        _places: &[LatentSelector],
    ) -> Result<Vec<Arc<[f32]>>, ModelError> {
        Err(ModelError::Unsupported("give the latents of every token".to_owned()))
    }

    /// The logits at the newest position of these beams, before steering, one row each: finite or negative infinity.
    ///
    /// # Errors
    /// [`ModelError::Unsupported`] without [`Abilities::logits`]; [`ModelError::NotFinite`] or a failure below.
    fn logits(&mut self, beams: &[BeamId]) -> Result<Vec<Arc<[f32]>>, ModelError>;

    /// The `k` most likely next tokens of these beams, best first, ties by token.
    ///
    /// # Errors
    /// [`ModelError::Unsupported`] for a `k` beyond [`Abilities::likeliest`]; a failure below.
    fn likeliest(&mut self, beams: &[BeamId], k: u32) -> Result<Vec<Vec<Likely>>, ModelError>;

    /// The log-probabilities of given next tokens, one per row, at the newest position of its beam. Nothing is appended.
    ///
    /// # Errors
    /// [`ModelError::Unsupported`] without [`Abilities::forced`]; a failure below.
    fn logprobs(&mut self, rows: &[(BeamId, Token)]) -> Result<Vec<f32>, ModelError>;

    /// Frees beams. Unknown beams are ignored.
    fn release(&mut self, beams: &[BeamId]);

    /// What it did since this was last asked.
    fn take_effort(&mut self) -> Effort;
}

/// Tokens of a beam whose latents are kept, counted from where [`Generator::keep_latents`] began.
pub type KeptTokens = (BeamId, Range<usize>);

/// What became of one row of [`Generator::grow`].
pub type GrownRow = Result<(BeamId, Grown), ModelError>;

/// A language model that many requests use at once.
pub trait BackEnd: Send + Sync {
    /// What the model is.
    fn info(&self) -> &ModelInfo;

    /// What it can do.
    fn abilities(&self) -> &Abilities;

    /// A handle for one request.
    fn handle(&self, caller: &Caller) -> Box<dyn Generator>;

    /// How many beams all handles hold, for tests of leaks.
    fn live_beams(&self) -> usize;

    /// Why it can give no answer until an operator acts, such as a model that panicked or is another than it was.
    fn broken(&self) -> Option<String>;

    /// The device that runs networks of costs, critics and steering; the processor, unless the back end has another one.
    fn dense(&self) -> Arc<dyn Dense> {
        Arc::new(CpuDense)
    }

    /// As [`Model::rounding`](crate::Model::rounding).
    fn rounding(&self) -> f64;

    /// How many tokens of prompts were not computed so far, because a prompt that is kept for the same tenant begins with them; 0
    /// where nothing is kept, or nobody counts.
    fn reused_positions(&self) -> u64 {
        0
    }

    /// The replicas on which it computes; none where it computes in this process.
    fn replicas(&self) -> Vec<ReplicaReport> {
        Vec::new()
    }

    /// Takes the replica of this URL out, or uses it again. A replica that is taken out gets no new calls; those that it computes
    /// end there.
    fn drain(&self, url: &str, drained: bool) -> Drain {
        let _ = (url, drained);
        Drain::Unknown
    }
}

/// A score model that many requests use at once.
pub trait ScoreBackEnd: Send + Sync {
    /// What it is.
    fn info(&self) -> &crate::ScoreInfo;

    /// A handle for one request; handles on one back end share nothing but the weights.
    fn handle(&self, caller: &Caller) -> Box<dyn crate::ScoreModel>;

    /// How many scored beams all handles hold, for tests of leaks.
    fn live_rows(&self) -> usize;

    /// As [`BackEnd::broken`].
    fn broken(&self) -> Option<String>;

    /// How many answer tokens it was given so far.
    fn positions(&self) -> u64;

    /// Whether the same answers get the same scores, whatever else is scored; as [`Abilities::repeats`].
    fn repeats(&self) -> bool;

    /// As [`BackEnd::replicas`].
    fn replicas(&self) -> Vec<ReplicaReport> {
        Vec::new()
    }

    /// As [`BackEnd::drain`].
    fn drain(&self, url: &str, drained: bool) -> Drain {
        let _ = (url, drained);
        Drain::Unknown
    }
}
