//! A small trainable Llama.

mod config;
mod model;
mod ops;
mod weights;

pub use config::LlamaConfig;
pub use model::{Cache, Llama, scores};
pub(crate) use ops::cross_entropy;
pub use weights::{SCORE_HEAD, Weights};
