//! What a back end must do to run under InferenceGuard.
//!
//! # Key types
//! - [`Model`]: a language model whose beams fork; `step` gives latents, `project` turns them into logits.
//! - [`Generator`]: a back end that grows whole chunks; [`BackEnd`] gives every request its own handle.
//! - [`Native`]: a [`Model`] as a [`Generator`], for one caller or under a scheduler.
//! - [`ScoreModel`]: a model that scores an answer position by position (reward, cost).
//! - [`Tokenizer`]: text to tokens and back, pure.
//! - [`GrowingText`]: the text of tokens that come one after the other; it only grows.
//! - [`ModelIdentity`]: which model, by digest, part by part.
//! - [`Rows`]: a table of f32, on the host or on a device.
//! - [`sample_row`]: the reference sampler, the same on every back end for the same numbers.
//! - [`dense`]: networks of components on the back end's device.
//! - [`LockedBackEnd`]: a model for several callers, without a thread.
//! - [`lock`], [`unpoisoned`]: locks that outlive a panic; [`from_boxed!`], [`from_through!`]: errors that hold others;
//! - [`with_causes`]: an error on one line.
//! - [`toy`]: a scripted back end in memory.
//! - [`fake`]: a remote engine for tests that gives bad answers.
//! - [`conformance`]: what every back end must show.
//!
//! **Invariant**: no machine-learning and no wasm library here, no clock, no thread, no file.

#![deny(clippy::disallowed_methods)]

pub mod conformance;
pub mod dense;
pub mod fake;

mod boxed;
mod caller;
mod causes;
mod error;
mod generator;
mod grow;
mod identity;
mod language;
mod locked;
mod locks;
mod logits;
mod message;
mod native;
mod owned;
mod replicas;
mod rows;
mod sample_request;
mod sampling;
mod score;
mod settings;
mod template_names;
mod text;
mod tokenizer;
pub mod toy;

pub use caller::{Caller, Cancel, OnCancel};
pub use causes::with_causes;
pub use error::ModelError;
pub use generator::{Abilities, BackEnd, Effort, Generator, GrownRow, KeptTokens, Likely, ScoreBackEnd};
pub use grow::{GrowRow, Grown, Growth};
pub use identity::{ModelIdentity, ModelParts, OtherModel};
pub use language::{BeamId, LatentSelector, Model, ModelInfo, Reading};
pub use locked::LockedBackEnd;
pub use locks::{lock, unpoisoned};
pub use logits::{log_softmax, top_k};
pub use message::Message;
pub use native::{Appending, Growing, Native, Phase, Turn};
pub use owned::{ForeignRows, Holding, OwnBeams};
pub use replicas::{Drain, ReplicaReport, ReplicaRole, ReplicaState};
pub use rows::{DeviceRows, Rows};
pub use sample_request::{Pick, REPETITION_PENALTIES, SampleRequest, Sampled};
pub use sampling::{RowSampler, sample_row};
pub use score::{ScoreId, ScoreInfo, ScoreModel, ScoreOpening, ScoreRow, Scored};
pub use settings::SamplingSettings;
pub use template_names::TemplateNames;
pub use text::{ByteText, GrowingText, stop_at};
pub use tokenizer::{SpellState, Token, Tokenizer, TokenizerError};
