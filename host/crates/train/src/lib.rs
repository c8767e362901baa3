//! The demo world, its independent judge, the training of the small demo models, and that of critics for any model.
//!
//! - [`world`]: prompts and answers with ground truth, pure and seeded;
//! - [`judge`]: grades any text by likeness to the world's safe and unsafe advice;
//! - [`tokenizer`], [`llama`], [`training`], [`sample`]: the tokenizer and the trainable network;
//! - [`demo`]: trains the demo models, measures them and writes their folders;
//! - [`critic`]: trains critics and value networks for a language model, on its own answers.

pub mod critic;
pub mod demo;
mod dice;
mod error;
pub mod judge;
pub mod llama;
pub mod sample;
pub mod tokenizer;
pub mod training;
pub mod world;

pub use dice::Dice;
pub use error::{Error, Result};
