//! What can be said on the command line.

use crate::{
    bench::BenchArguments,
    bundle::args::BundleCommand,
    critic::CriticArguments,
    eval::EvalArguments,
    records::args::{ExplainArguments, ForgetArguments, ReplayArguments, VerifyArguments},
    serve::ServeArguments,
};
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// Guarded generation: safety policies as sandboxed WebAssembly components around a language model.
#[derive(Debug, Parser)]
#[command(name = "inferguard", version, about)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Answers a prompt under guard
    Run(RunArguments),
    /// Serves guarded answers over HTTP, as OpenAI's clients ask for them
    Serve(ServeArguments),
    /// Answers many prompts by several methods and models, and prints a table; with --out also figures and a report
    Eval(Box<EvalArguments>),
    /// Times whole requests, beside what the hardware allows and beside other programs
    Bench(Box<BenchArguments>),
    /// Trains models
    #[command(subcommand)]
    Train(TrainCommand),
    /// Makes, checks, signs and activates bundles
    #[command(subcommand)]
    Bundle(BundleCommand),
    /// Checks records: the chain, and that each answer's costs add up to what it claims
    Verify(VerifyArguments),
    /// Lets the components of a bundle decide again what records say they decided
    Replay(Box<ReplayArguments>),
    /// Tells why recorded answers are what they are: decisions, and where the budget went
    Explain(ExplainArguments),
    /// Removes prompts and answers from old records; what is left still verifies
    Forget(ForgetArguments),
    /// Shows what a model computes at every position of a text
    Probe(ProbeArguments),
    /// Looks at models
    #[command(subcommand)]
    Model(ModelCommand),
    /// Makes and checks components
    #[command(subcommand)]
    Component(ComponentCommand),
}

#[derive(Debug, Subcommand)]
pub(crate) enum TrainCommand {
    /// Trains the demonstration's models from text it generates itself, and measures them
    Demo(TrainDemoArguments),
    /// Trains a critic, or RE-Control's value network, for a model and a bundle, and measures it
    Critic(Box<CriticArguments>),
}

#[derive(Debug, Subcommand)]
pub(crate) enum ModelCommand {
    /// Loads a model folder, runs one token, and says what it is
    Check(ModelCheckArguments),
}

#[derive(Debug, Subcommand)]
pub(crate) enum ComponentCommand {
    /// Writes the crate of a new component
    New(NewArguments),
    /// Compiles a component's crate and checks the result
    Build(BuildArguments),
    /// Makes a component of a core module that another compiler has built for a world of the contract
    Encode(EncodeArguments),
    /// Checks a component: contract, imports, and that it answers the same twice
    Check(ComponentCheckArguments),
    /// Shows what a component is, without running it
    Inspect(FileArguments),
}

/// What answers, and what guards it.
#[derive(Debug, Clone, Args)]
pub(crate) struct GuardArguments {
    /// A Hugging Face folder, a GGUF file, or an id: org/name[@revision][:FILE.gguf]; the demonstration model if not given
    #[arg(long, value_name = "DIR|ID")]
    pub(crate) model: Option<String>,
    /// A score model under the name that the bundle's costs use; may be repeated
    #[arg(long = "score", value_name = "NAME=DIR|ID")]
    pub(crate) scores: Vec<String>,
    /// A bundle's folder or file; the demonstration's if not given
    #[arg(long, value_name = "DIR")]
    pub(crate) bundle: Option<PathBuf>,
    /// Candidates per chunk (best-of-n: answers; args: tokens tried), instead of the bundle's number
    #[arg(long, short)]
    pub(crate) n: Option<u32>,
    #[command(flatten)]
    pub(crate) device: DeviceArguments,
}

#[derive(Debug, Args)]
pub(crate) struct RunArguments {
    #[command(flatten)]
    pub(crate) guard: GuardArguments,
    /// The method, such as base, re-control, best-of-n, beam, args or inference-guard; the bundle's own if not given
    #[arg(long)]
    pub(crate) method: Option<String>,
    /// The budget of a constraint, of the first one if no name is given; may be repeated
    #[arg(long = "budget", value_name = "[NAME=]D", allow_hyphen_values = true)]
    pub(crate) budgets: Vec<String>,
    /// The seed of all draws: the same command with the same seed gives the same answer
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    /// The most answer tokens, at most the bundle's
    #[arg(long)]
    pub(crate) max_tokens: Option<u32>,
    /// Prints one JSON object
    #[arg(long)]
    pub(crate) json: bool,
    /// Also answers without guard, and shows both side by side
    #[arg(long)]
    pub(crate) compare: bool,
    /// Prints text as soon as all kept beams agree on it
    #[arg(long, conflicts_with_all = ["json", "compare"])]
    pub(crate) stream: bool,
    /// Appends a record of the answer to this file
    #[arg(long, value_name = "FILE", conflicts_with = "compare")]
    pub(crate) record: Option<PathBuf>,
    /// Signs the record with this key (its secret half; `bundle keygen` makes one)
    #[arg(long, value_name = "FILE", requires = "record")]
    pub(crate) record_key: Option<PathBuf>,
    /// What the user says
    pub(crate) prompt: String,
}

#[derive(Debug, Args)]
pub(crate) struct TrainDemoArguments {
    /// The folder to write: weak, tuned, reward, cost, world.toml, report.json, prompts.jsonl
    #[arg(long, value_name = "DIR", default_value = "demo")]
    pub(crate) out: PathBuf,
    /// Seconds of training instead of an hour; the models are of no use
    #[arg(long)]
    pub(crate) quick: bool,
    /// The seed of weights and examples
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
}

/// A model, and where it runs.
#[derive(Debug, Args)]
pub(crate) struct ModelArguments {
    /// A Hugging Face folder, a GGUF file, or an id: org/name[@revision][:FILE.gguf]
    #[arg(long, value_name = "DIR|ID")]
    pub(crate) model: String,
    #[command(flatten)]
    pub(crate) device: DeviceArguments,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct DeviceArguments {
    /// Where models run: cpu, cuda or cuda:N
    #[arg(long, default_value = "cpu")]
    pub(crate) device: String,
    /// The number format: f32, f16 or bf16 on a GPU; f32 on the CPU, or q8_0, which rounds weights as they are loaded
    #[arg(long, default_value = "f32")]
    pub(crate) precision: String,
    /// Megabytes of each model for recent prompts: one that begins as one of them is read from there on. Whoever can time
    /// answers can then tell whether a beginning was asked before
    #[arg(long, value_name = "MB", default_value_t = 0)]
    pub(crate) prompt_cache: usize,
    /// How prompts are put: chat (the model's own), beaver, hh, plain, or a text with {prompt} in it; of a score model with
    /// its NAME. What the bundle says, or the model's own, if not given; may be repeated
    #[arg(long = "template", value_name = "[NAME=]T")]
    pub(crate) templates: Vec<String>,
    /// The date that chat templates are told, as 2024-07-26 (the default): never the clock's, so that prompts can be repeated
    #[arg(long, value_name = "DATE")]
    pub(crate) template_date: Option<String>,
    /// Also reads every tensor whole, for the full digest of each model: as long as reading the files takes
    #[arg(long)]
    pub(crate) full_digest: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ProbeArguments {
    #[command(flatten)]
    pub(crate) model: ModelArguments,
    /// Prints one JSON object
    #[arg(long)]
    pub(crate) json: bool,
    /// Also writes tokens, latents, and logits or scores to this safetensors file
    #[arg(long, value_name = "FILE")]
    pub(crate) full: Option<PathBuf>,
    /// Also computes it there (cpu, cuda or cuda:N, in f32), and says how far the two are apart; more than 2 % is an error
    #[arg(long, value_name = "DEVICE", conflicts_with_all = ["json", "full"])]
    pub(crate) against: Option<String>,
    /// How many logits to show per position
    #[arg(long, default_value_t = 5)]
    pub(crate) top: usize,
    /// The text; no template is applied
    pub(crate) text: String,
}

#[derive(Debug, Args)]
pub(crate) struct ModelCheckArguments {
    /// A Hugging Face folder, a GGUF file, or an id: org/name[@revision][:FILE.gguf]
    #[arg(value_name = "DIR|ID")]
    pub(crate) model: String,
    #[command(flatten)]
    pub(crate) device: DeviceArguments,
    /// Prints one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct NewArguments {
    /// Its name: lower-case letters, digits and dashes
    pub(crate) name: String,
    /// policy, tracker, critic, cost or steering
    #[arg(long)]
    pub(crate) role: String,
    /// The folder to write; ./NAME if not given
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// The SDK's folder (`guest`); looked for above the current folder and the program if not given
    #[arg(long, value_name = "DIR")]
    pub(crate) sdk: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct BuildArguments {
    /// The crate's folder
    #[arg(default_value = ".")]
    pub(crate) dir: PathBuf,
    /// The file to write; DIR/PACKAGE.wasm if not given
    #[arg(long, short, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct EncodeArguments {
    /// The core module, with the world's metadata in it, as wit-bindgen's output has when it is compiled and linked
    pub(crate) module: PathBuf,
    /// The file to write
    #[arg(long, short, value_name = "FILE")]
    pub(crate) out: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct ComponentCheckArguments {
    /// A component's file, or the name of a first-party component
    pub(crate) component: String,
    /// A limit, as a bundle's `[limits]` would set it, such as fuel=1000000000; may be repeated
    #[arg(long = "limit", value_name = "NAME=VALUE")]
    pub(crate) limits: Vec<String>,
    /// Prints one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct FileArguments {
    /// A component's file, or the name of a first-party component
    pub(crate) component: String,
    /// Prints one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}
