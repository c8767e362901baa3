//! Back ends over engines that run elsewhere: vLLM, llama.cpp's server.
//!
//! # Key types
//! - [`vllm::Vllm`]: a language model on one or more vLLM servers; implements `BackEnd`.
//! - [`vllm::Scores`]: a score model on vLLM servers that pool; implements `ScoreBackEnd`.
//! - [`llamacpp::LlamaCpp`]: a language model on llama.cpp's server; implements `BackEnd`.
//! - [`Local`]: tokenizer, prompt template and configuration of a model, which stay on this side.
//! - [`Probe`]: token sequences with log-probabilities, which the model of an engine must give again.
//! - [`RemoteError`]: an engine's URL, what is wrong there, and what the operator can do.
//!
//! **Invariant**: token ids travel, and text is made on this side. Nothing that an engine answers is used unchecked.
//!
//! **Invariant**: a key is never shown, in errors, logs or the output of `Debug`.

mod authority;
mod beams;
mod checks;
mod contradiction;
mod deadlines;
mod endpoint;
mod engine;
mod error;
mod fleet;
mod handle;
mod health;
mod http;
mod identity;
pub mod llamacpp;
mod local;
mod measure;
mod open;
mod probe;
mod probe_maker;
mod replica;
mod sampling;
mod stops;
mod tolerance;
pub mod vllm;
mod worker;

pub use authority::Authority;
pub use contradiction::Contradiction;
pub use deadlines::Deadlines;
pub use endpoint::{Endpoint, Key};
pub use error::{Fault, RemoteError};
pub use local::{Local, Prompts};
pub use open::Remote;
pub use probe::{Probe, ProbeError, Sequence};
pub use tolerance::Tolerance;
