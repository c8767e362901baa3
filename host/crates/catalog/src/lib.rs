//! What a name stands for: models, bundles and components, as commands and their users name them.
//!
//! - [`embedded`]: the components, demonstration models and bundles that the program carries;
//! - [`hub`]: a model's folder or file, fetched from the Hugging Face hub where the name is a hub id;
//! - [`Loading`], [`Templates`]: how models are loaded, and which prompt template each of them uses;
//! - [`EngineOptions`], [`remote`]: models that run in engines elsewhere;
//! - [`inspect()`], [`probe`]: what a model is, and what it computes along a text;
//! - [`bundles`], [`Starter`]: a bundle by folder or file, or the demonstration's; first bundles of one's own;
//! - [`TextJudge`]: a bundle that prices texts without a model;
//! - [`keys`], [`journals`], [`write_file`]: keys, files of records and other files by path;
//! - [`SignsOfLife`], [`progress_line`]: words to the person who waits;
//! - [`Choice`]: a model, its score models and a bundle, and the engine that they make; [`pin()`] pins the bundle to the models.
//!
//! **Invariant**: only [`hub`] uses the network, and only for a name that is neither a folder nor a file; and [`remote`], for the
//! engines that the operator names.

pub mod bundles;
pub mod embedded;
mod engine_options;
#[cfg(feature = "engines")]
mod engine_probes;
mod engines;
mod error;
mod files;
pub mod hub;
mod inspect;
pub mod journals;
pub mod keys;
mod language;
mod models;
mod pin;
pub mod probe;
mod progress;
mod rank;
#[cfg(feature = "engines")]
pub mod remote;
#[cfg(not(feature = "engines"))]
#[path = "without_engines.rs"]
pub mod remote;
#[cfg(feature = "engines")]
mod remote_probe;
#[cfg(feature = "engines")]
mod remote_texts;
mod starters;
mod templates;
mod text_judge;

pub use engine_options::{EngineOptions, ProbeKind};
pub use engines::{Choice, build, cache, language_files, score_files, score_places, with_components};
pub use error::CatalogError;
pub use files::write_file;
pub use inferenceguard_candle::PromptCache;
pub use inspect::{ModelReport, inspect};
pub use language::Language;
pub use models::{Loading, LoadingOptions, language_model, score_model};
pub use pin::{Pinned, pin};
pub use progress::{SignsOfLife, progress_line};
pub use rank::{REWARD, with_reward};
pub use starters::Starter;
pub use templates::Templates;
pub use text_judge::{TextJudge, words};

/// Shows one message, such as a warning about a model, to the person at the terminal.
pub type Note = fn(&str);
