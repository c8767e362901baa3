//! What can be said to `bench`.

use super::shape::Shape;
use crate::args::DeviceArguments;
use clap::Args;
use std::path::PathBuf;

/// See `bench`.
#[derive(Debug, Args)]
pub(crate) struct BenchArguments {
    /// A Hugging Face folder, a GGUF file, or an id: org/name[@revision][:FILE.gguf]; the demonstration model if not given
    #[arg(long, value_name = "DIR|ID")]
    pub(crate) model: Option<String>,
    /// A score model under the name that the default bundle uses: reward=DIR and cost=DIR
    #[arg(long = "score", value_name = "NAME=DIR|ID")]
    pub(crate) scores: Vec<String>,
    /// Random weights of this shape for all three models, instead of a checkpoint
    #[arg(long, conflicts_with_all = ["model", "scores"])]
    pub(crate) shape: Option<Shape>,
    /// Where models of a shape are written, or found from an earlier run; a temporary folder if not given
    #[arg(long, value_name = "DIR", requires = "shape")]
    pub(crate) keep: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) device: DeviceArguments,
    /// The methods to measure
    #[arg(long, value_delimiter = ',', default_value = "base,best-of-n,beam,inference-guard")]
    pub(crate) methods: Vec<String>,
    /// Numbers of candidates
    #[arg(long = "n", value_delimiter = ',', default_value = "1,8,32")]
    pub(crate) ns: Vec<u32>,
    /// Tokens of the prompt
    #[arg(long, value_delimiter = ',', default_value = "64")]
    pub(crate) prompt_tokens: Vec<usize>,
    /// Requests at once
    #[arg(long, value_delimiter = ',', default_value = "1,4")]
    pub(crate) concurrency: Vec<usize>,
    /// Tokens of the answer; no token ends it earlier
    #[arg(long, default_value_t = 128)]
    pub(crate) depth: u32,
    /// Seconds that each row is measured for at least; and two requests, unless one took longer
    #[arg(long, default_value_t = 2.0)]
    pub(crate) seconds: f64,
    /// Another program to measure on the same weights: it is given --model DIR --reward DIR --cost DIR --method M --n N
    /// --prompt-tokens P --depth D --dtype F --device D --threads T, save what the command says itself, and prints a JSON
    /// object with `seconds_per_prompt`
    #[arg(long = "peer", value_name = "NAME=COMMAND")]
    pub(crate) peers: Vec<String>,
    /// Draws where the time of each row went: FILE.svg or FILE.png
    #[arg(long, value_name = "FILE")]
    pub(crate) plot: Option<PathBuf>,
    /// Prints one JSON object instead of the table
    #[arg(long)]
    pub(crate) json: bool,
}
