//! The candle back end: Hugging Face folders in, latents, logits and scores out.
//!
//! # Key types
//! - [`CandleModel`]: a language model; implements `Model`.
//! - [`CandleScoreModel`]: a reward or cost model; implements `ScoreModel`.
//! - [`AnswerText`]: an answer in the tokens of a score model that another program runs.
//! - [`TextSide`]: tokenizer, template and configuration of a folder whose weights another program runs.
//! - [`ModelFiles`]: a folder, a GGUF file, or files in memory.
//! - [`LoadOptions`]: device, number format, prompt template; [`PromptCache`]: which prompts are kept.
//! - [`Facts`]: what was taken from which file.
//! - [`Marked`]: a text, and which parts of it are words of clients or models.
//! - [`Prober`]: what a model computes at every position of a text.
//! - [`DeviceDense`]: networks of components on the model's device.
//! - [`Roofline`], [`Demand`]: what the hardware allows, and what a model asks for.
//! - [`Survey`]: which files a folder holds and lacks, and how much memory they take, by headers alone.
//! - [`DecoderConfig`]: config.json of Llama 1 to 3, Mistral, Qwen 2, Qwen 3 and Gemma 3.
//!
//! **Invariant**: no network here; a model is a folder that exists, or files in memory. One unsafe spot: weights are mapped
//! into memory. Products on the processor come from the crate `kernels`.

mod added;
mod added_spans;
mod answer_text;
mod attention;
mod batch;
mod config;
mod config_file;
mod continued;
mod decoder;
mod dense;
mod device;
mod device_draw;
mod direct;
mod draw;
mod error;
mod facts;
mod fields;
mod files;
mod fingerprint;
mod gemma;
mod generation_config;
mod gguf;
mod head;
mod inner;
mod jinja;
mod kv;
mod language;
mod layer_angles;
mod layers;
mod linear;
mod load;
mod loader;
mod marked;
mod panics;
mod probe;
mod recent;
mod retokenized;
mod roofline;
mod rope;
mod rows;
mod score;
mod score_open;
mod special;
mod spelling;
mod split_names;
mod stored;
mod survey;
mod template;
mod template_choice;
mod text_side;
mod tokenizer;
mod tokenizer_config;
mod weights;
mod windows;
mod words;

pub use answer_text::AnswerText;
pub use config::{DecoderConfig, Family, Head, Normalizer};
pub use dense::DeviceDense;
pub use device::{DeviceChoice, Kernels, Precision};
pub use error::CandleError;
pub use facts::{Fact, Facts};
pub use files::ModelFiles;
pub use gemma::Gemma;
pub use generation_config::GenerationConfig;
pub use jinja::{NoDate, PromptDate};
pub use kv::HeldMemory;
pub use language::CandleModel;
pub use load::LoadOptions;
pub use marked::Marked;
pub use probe::{Probe, Prober, Table};
pub use recent::PromptCache;
pub use roofline::{Demand, Roofline};
pub use rope::{Rope, RopeScaling};
pub use score::CandleScoreModel;
pub use survey::Survey;
pub use template::{Rendered, Template};
pub use template_choice::{NoTemplate, TemplateChoice};
pub use text_side::TextSide;
pub use tokenizer::HfTokenizer;
