//! What the command line says about models that run in engines elsewhere.

use std::path::PathBuf;

/// What marks a score model of `--score` that runs in vLLM.
pub(crate) const VLLM: &str = "vllm:";

/// What the command line says about engines elsewhere, as text.
#[derive(Debug, Clone, Default)]
pub struct EngineOptions {
    /// `vllm=URL[,URL...]` or `llamacpp=URL`: where the language model runs; here if `None`.
    pub engine: Option<String>,
    /// The name under which it is served; if `None`, the server must serve a single model.
    pub model: Option<String>,
    /// URLs of vLLM servers with the same weights that pool `token_embed`, with commas between them.
    pub latents: Option<String>,
    /// The file with the key of all engines; the variable `INFERGUARD_ENGINE_KEY` if `None`.
    pub key_file: Option<PathBuf>,
    /// `[NAME=]FILE`: the probe of the language model, or of the score model of this name.
    pub probes: Vec<String>,
    /// The number format that engines compute in.
    pub precision: Option<String>,
    /// The most rows in flight at one replica.
    pub rows: Option<usize>,
    /// The file with the certificates that are believed at URLs of `https`, in place of the system's.
    pub authority: Option<PathBuf>,
    /// Seconds from the request for a row to the first byte of its answer.
    pub timeout: Option<u32>,
    /// Whether versions that were not tested are accepted.
    pub any_version: bool,
}

/// What a probe is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProbeKind {
    /// Log-probabilities of a language model.
    Language,
    /// Latents of a language model.
    Latents,
    /// Scores of a score model, which is loaded here.
    Score,
}

/// Whether a place of `--score` is an engine's.
pub(crate) fn is_remote(place: &str) -> bool {
    place.starts_with(VLLM)
}
