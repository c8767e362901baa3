//! What a fake server is.

use crate::model::Weights;

/// What a fake server is.
#[derive(Clone)]
pub struct Kind {
    pub plugin: bool,
    pub weights: Weights,
    pub fingerprint: String,
    pub version: String,
    pub context: usize,
    pub max_logprobs: usize,
    pub key: Option<String>,
    /// Whether `/pooling` leaves out the rows of texts that it read before.
    pub prefix: bool,
    /// Numbers per row of `/pooling`.
    pub width: usize,
    /// What llama.cpp's server calls its build, if it names it.
    pub build: Option<String>,
    /// The number of llama.cpp's slots.
    pub slots: usize,
    /// Whether llama.cpp's slots can be saved.
    pub saves: bool,
    /// The name under which the model is served.
    pub model: String,
}

impl Default for Kind {
    fn default() -> Self {
        Self {
            plugin: true,
            weights: Weights(1),
            fingerprint: "vllm-0.32.0-aaaa".into(),
            version: "0.32.0".into(),
            context: 2048,
            max_logprobs: 20,
            key: None,
            prefix: true,
            width: 1,
            build: Some("b11434-0b5f9d6".into()),
            slots: 5,
            saves: true,
            model: "smol".into(),
        }
    }
}
