//! Fuzz targets: one function for each kind of bytes from outside, and the inputs that it starts from.
//!
//! A target takes any bytes. It panics where the product breaks a promise: it panics itself, accepts what it should refuse,
//! or gives an answer that another part contradicts. `tests/replay.rs` runs every target over its seeds, over mutations of
//! them and over all earlier finds on a stable compiler; `run` does the same for hours with coverage as its guide.
//!
//! | target | what the bytes are |
//! |---|---|
//! | [`archive`] | a packed bundle |
//! | [`lists`] | the file of a bundle's word list |
//! | [`manifest`] | `bundle.toml`, `layer.toml`, `trust.toml`, keys and signatures |
//! | [`weights`] | the header of a safetensors file: a language model, its index, a network of a bundle |
//! | [`model_files`] | `config.json`, `generation_config.json`, `tokenizer_config.json`, and two more files of tokens |
//! | [`tokenizer`] | `tokenizer.json`, and texts to encode |
//! | [`chat_template`] | a chat template, and a conversation |
//! | [`gguf`] | the header of a GGUF file, of one or of two parts |
//! | [`record`] | lines of a record file; headers and bodies whose hashes are right |
//! | [`registry`] | a manifest of a registry, and whether its files are the right ones |
//! | [`request`] | the body of a client's or an administrator's HTTP request |
//! | [`heads`] | the head of an HTTP request: key, origin, encoding, trace |
//! | [`settings`] | `server.toml`; a probe of an engine |
//! | [`state`] | `active.json` and `swaps.jsonl`, which a server leaves for the next one |
//! | [`training`] | shards and checkpoints of a training |
//! | [`times`] | measured times for `simulate`, and what a peer of `bench` prints |
//! | [`data`] | prompts, labelled answers, and the files of an evaluation: `answers.jsonl`, `run.json` |
//! | [`gateway`] | what gateways send: bodies, streams of events, chats, Envoy's messages |
//! | [`engine`] | what vLLM and llama.cpp's server answer: tokens, scores and latents |
//! | [`component`] | a core module or a component |
//! | [`search`] | what roles written in Rust answer to a search |
//! | [`returned`] | values that a wasm component of each role returns |

pub mod archive;
pub mod chat_template;
pub mod component;
pub mod data;
pub mod engine;
pub mod gateway;
pub mod gguf;
pub mod heads;
pub mod lists;
pub mod manifest;
pub mod model_files;
pub mod record;
pub mod registry;
pub mod request;
pub mod returned;
pub mod search;
pub mod settings;
pub mod state;
pub mod times;
pub mod tokenizer;
pub mod training;
pub mod weights;

mod bytes;
mod golden;
mod guests;
mod scratch;

/// One target.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name, as `cargo fuzz run` knows it.
    pub name: &'static str,
    /// Tries one input.
    pub run: fn(&[u8]),
    /// Valid inputs to start from.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All targets.
pub const TARGETS: [Target; 22] = [
    Target { name: "archive", run: archive::run, seeds: archive::seeds },
    Target { name: "chat_template", run: chat_template::run, seeds: chat_template::seeds },
    Target { name: "component", run: component::run, seeds: component::seeds },
    Target { name: "data", run: data::run, seeds: data::seeds },
    Target { name: "engine", run: engine::run, seeds: engine::seeds },
    Target { name: "gateway", run: gateway::run, seeds: gateway::seeds },
    Target { name: "gguf", run: gguf::run, seeds: gguf::seeds },
    Target { name: "heads", run: heads::run, seeds: heads::seeds },
    Target { name: "lists", run: lists::run, seeds: lists::seeds },
    Target { name: "manifest", run: manifest::run, seeds: manifest::seeds },
    Target { name: "model_files", run: model_files::run, seeds: model_files::seeds },
    Target { name: "record", run: record::run, seeds: record::seeds },
    Target { name: "registry", run: registry::run, seeds: registry::seeds },
    Target { name: "request", run: request::run, seeds: request::seeds },
    Target { name: "returned", run: returned::run, seeds: returned::seeds },
    Target { name: "search", run: search::run, seeds: search::seeds },
    Target { name: "settings", run: settings::run, seeds: settings::seeds },
    Target { name: "state", run: state::run, seeds: state::seeds },
    Target { name: "times", run: times::run, seeds: times::seeds },
    Target { name: "tokenizer", run: tokenizer::run, seeds: tokenizer::seeds },
    Target { name: "training", run: training::run, seeds: training::seeds },
    Target { name: "weights", run: weights::run, seeds: weights::seeds },
];

/// Makes a target ready to be fuzzed: writes its seeds into the folder that the variable `INFERENCEGUARD_SEEDS` names, if it is
/// set, before the fuzzer reads its corpus from there; and lets a panic that the product catches pass.
///
/// # Panics
/// If no target has this name, or the folder cannot be written.
pub fn prepare(name: &str) {
    // The fuzzer's hook aborts at every panic. Those that nobody catches it sees without a hook, too.
    drop(std::panic::take_hook());
    let Some(folder) = std::env::var_os("INFERENCEGUARD_SEEDS") else { return };
    let target = TARGETS.iter().find(|target| target.name == name).expect("a target of this name");
    for (at, seed) in (target.seeds)().iter().enumerate() {
        std::fs::write(std::path::Path::new(&folder).join(format!("seed-{at}")), seed).expect("the seeds' folder");
    }
}
