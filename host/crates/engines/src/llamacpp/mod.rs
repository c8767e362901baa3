//! llama.cpp's server: language models by `/completion`.
//!
//! A slot of the server keeps the keys and values of its last request only, so this side says which slot reads what: rows go where
//! most of their beginning lies, and where several rows have one parent, its state is saved once and restored in the other slots.
//! One slot is for checks alone, so that no check waits for a row, and no row loses what its slot has read.

mod check;
mod engine;
mod read;
mod server;
mod slots;
mod wire;

pub use server::LlamaCpp;

/// The slot for checks; rows have those after it.
const CHECKS: usize = 0;

/// The most bytes of an answer.
const LIMIT: usize = 32 << 20;

/// The likely tokens among which a drawn token is looked up where the server left its log-probability out.
const NAMED: u32 = 5000;

/// The likely tokens that are asked for at most.
const LIKELIEST: u32 = 100;
