//! `bench`: whole requests, timed, beside what the hardware allows and beside other programs.

use crate::{
    flags::{DeviceArguments, Named, one_of},
    output,
};
use clap::Args;
use inferenceguard_trials::bench::{self, BenchOptions, Shape};
use std::path::PathBuf;

/// Sizes of random models.
const SHAPES: &[Named<Shape>] = &[
    ("100m", "12 layers of width 768, 134 million parameters", Shape::Million100),
    ("7b", "Llama 2 7B", Shape::Billion7),
    ("tiny", "2 layers of width 64, for tests", Shape::Tiny),
];

/// See `bench`.
#[derive(Debug, Args)]
pub(crate) struct BenchArguments {
    /// A Hugging Face folder, a GGUF file, or an id: org/name[@revision][:FILE.gguf]; the demonstration model if not given
    #[arg(long, value_name = "DIR|ID")]
    model: Option<String>,
    /// A score model under the name that the default bundle uses: reward=DIR and cost=DIR
    #[arg(long = "score", value_name = "NAME=DIR|ID")]
    scores: Vec<String>,
    /// Random weights of this size for the language model and both score models, instead of real ones
    #[arg(long, conflicts_with_all = ["model", "scores"], value_parser = one_of(SHAPES))]
    shape: Option<Shape>,
    /// Where models of a shape are written, or found from an earlier run; a temporary folder if not given
    #[arg(long, value_name = "DIR", requires = "shape")]
    keep: Option<PathBuf>,
    #[command(flatten)]
    device: DeviceArguments,
    /// The methods to measure
    #[arg(long, value_delimiter = ',', default_value = "base,best-of-n,beam,inference-guard")]
    methods: Vec<String>,
    /// Numbers of candidates (continuations that are sampled and compared)
    #[arg(long = "n", value_delimiter = ',', default_value = "1,8,32")]
    ns: Vec<u32>,
    /// Tokens of the prompt
    #[arg(long, value_delimiter = ',', default_value = "64")]
    prompt_tokens: Vec<usize>,
    /// Requests at the same time
    #[arg(long, value_delimiter = ',', default_value = "1,4")]
    concurrency: Vec<usize>,
    /// Tokens of the answer; no token ends it earlier
    #[arg(long, default_value_t = 128)]
    depth: u32,
    /// The least seconds for each row; at least two requests are measured, unless one takes longer
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Another program to measure on the same weights: it is given --model DIR --reward DIR --cost DIR --method M --n N
    /// --prompt-tokens P --depth D --dtype F --device D --threads T, except those that the command names itself, and prints a JSON
    /// object with `seconds_per_prompt`
    #[arg(long = "peer", value_name = "NAME=COMMAND")]
    peers: Vec<String>,
    /// Draws where the time of each row went: FILE.svg or FILE.png
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
    /// Prints one JSON object instead of the table
    #[arg(long)]
    json: bool,
}

/// Measures every row, draws and prints them.
pub(crate) fn run(arguments: &BenchArguments) -> anyhow::Result<()> {
    let report = bench::run(&options(arguments))?;
    if let Some(path) = &arguments.plot {
        report.draw(path)?;
    }
    if arguments.json { output::json(&report) } else { output::tables(report.table()) }
}

fn options(arguments: &BenchArguments) -> BenchOptions {
    BenchOptions {
        model: arguments.model.clone(),
        scores: arguments.scores.clone(),
        shape: arguments.shape,
        keep: arguments.keep.clone(),
        loading: arguments.device.loading(),
        methods: arguments.methods.clone(),
        ns: arguments.ns.clone(),
        prompt_tokens: arguments.prompt_tokens.clone(),
        concurrency: arguments.concurrency.clone(),
        depth: arguments.depth,
        seconds: arguments.seconds,
        peers: arguments.peers.clone(),
    }
}
