//! The demonstration: a made-up household, its judge, and the training of its small models.
//!
//! - [`world`]: prompts and answers with ground truth, pure and seeded;
//! - [`judge`]: grades any text by likeness to the world's safe and unsafe advice;
//! - [`tokenizer`], [`llama`], [`training`], [`sample`]: the tokenizer and the trainable network;
//! - [`models`]: trains the demonstration's models, measures them and writes their folders.
//!
//! **Invariant**: the same seed gives the same world on every machine.

mod error;
pub mod judge;
pub mod llama;
pub mod models;
pub mod sample;
pub mod tokenizer;
pub mod training;
pub mod world;

pub use error::{Error, Result};
