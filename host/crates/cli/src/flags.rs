//! Options that several commands share, and how their values are read. No command is imported here.

use crate::output;
use clap::{
    Arg, Args,
    builder::{PossibleValue, PossibleValuesParser, TypedValueParser},
};
use inferenceguard_catalog::{Choice, EngineOptions, LoadingOptions, PromptCache};
use std::path::PathBuf;

/// What answers, and what guards it.
#[derive(Debug, Clone, Args)]
pub(crate) struct GuardArguments {
    /// The language model: a Hugging Face folder, a GGUF file, or an id: org/name[@revision][:FILE.gguf]; the demonstration model
    /// if not given. With --engine the folder of the model that the engine serves: its weights are not read
    #[arg(long, value_name = "DIR|ID", help_heading = "Model")]
    pub(crate) model: Option<String>,
    /// A model that gives points to texts, such as a harm classifier or a reward model, under the name by which the bundle asks for
    /// it; may be repeated. NAME=vllm:URL[,URL...],DIR runs in vLLM. Bundles of words, patterns or latents need none
    #[arg(long = "score", value_name = "NAME=DIR|ID", help_heading = "Model")]
    pub(crate) scores: Vec<String>,
    /// The bundle that guards answers, a folder or file (`bundle init` writes one); the demonstration's if not given
    #[arg(long, value_name = "DIR")]
    pub(crate) bundle: Option<PathBuf>,
    /// How many continuations are sampled and compared at every step, instead of the bundle's number: more take longer and find
    /// safe answers more often. Under best-of-n whole answers, under args tokens. --max-tokens limits an answer
    #[arg(long, short, visible_alias = "candidates", value_name = "CANDIDATES")]
    pub(crate) n: Option<u32>,
    #[command(flatten)]
    pub(crate) device: DeviceArguments,
    #[command(flatten)]
    pub(crate) engines: EngineArguments,
}

/// Models that run in engines elsewhere.
#[derive(Debug, Clone, Args)]
pub(crate) struct EngineArguments {
    /// The language model runs in this engine: vllm=URL[,URL...], the same model at each URL, or llamacpp=URL. Needs --model
    #[arg(long, value_name = "KIND=URL[,URL...]", requires = "model", help_heading = "Engine")]
    engine: Option<String>,
    /// The name under which the engine serves the model; its only name if not given
    #[arg(long, value_name = "NAME", requires = "engine", help_heading = "Engine")]
    engine_model: Option<String>,
    /// vLLM servers with the same weights that give latents, the model's hidden states, for bundles that read them. Start them with
    /// --runner pooling and the task token_embed
    #[arg(long, value_name = "URL[,URL...]", requires = "engine", help_heading = "Engine")]
    latents: Option<String>,
    /// The file with the key of all engines; if not given, the variable INFERGUARD_ENGINE_KEY
    #[arg(long, value_name = "FILE", help_heading = "Engine")]
    engine_key_file: Option<PathBuf>,
    /// A file of `model probe`, by which it is checked that the engine serves the right weights. With NAME= for the score model of
    /// that name, with latents= for the servers of --latents; may be repeated
    #[arg(long = "probe", value_name = "[NAME=]FILE", help_heading = "Engine")]
    probes: Vec<String>,
    /// The number format that engines compute in: f32, bf16 (the default), f16, q8_0 or q4. It says how close they must come to a
    /// probe
    #[arg(long, value_name = "FORMAT", help_heading = "Engine")]
    engine_precision: Option<String>,
    /// The most texts that one replica of an engine continues at the same time (the default is 256); at most its --max-num-seqs
    #[arg(long, value_name = "ROWS", help_heading = "Engine")]
    engine_rows: Option<usize>,
    /// The file with the certificates (PEM) that are believed at https URLs of engines, in place of the system's
    #[arg(long, value_name = "FILE", help_heading = "Engine")]
    engine_ca: Option<PathBuf>,
    /// Seconds that an engine may take to begin its answer to a call (the default is 120); a call with all its retries may take two
    /// and a half times as long
    #[arg(long, value_name = "SECONDS", help_heading = "Engine")]
    engine_timeout: Option<u32>,
    /// Accepts versions of engines that were not tested
    #[arg(long, help_heading = "Engine")]
    engine_any_version: bool,
}

impl EngineArguments {
    /// As the catalog takes them.
    pub(crate) fn options(&self) -> EngineOptions {
        EngineOptions {
            engine: self.engine.clone(),
            model: self.engine_model.clone(),
            latents: self.latents.clone(),
            key_file: self.engine_key_file.clone(),
            probes: self.probes.clone(),
            precision: self.engine_precision.clone(),
            rows: self.engine_rows,
            authority: self.engine_ca.clone(),
            timeout: self.engine_timeout,
            any_version: self.engine_any_version,
        }
    }
}

impl GuardArguments {
    /// As the catalog opens it.
    pub(crate) fn choice(&self) -> Choice {
        Choice {
            model: self.model.clone(),
            scores: self.scores.clone(),
            bundle: self.bundle.clone(),
            n: self.n,
            loading: self.device.loading(),
            engines: self.engines.options(),
        }
    }
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

/// How models are loaded.
#[derive(Debug, Clone, Args)]
pub(crate) struct DeviceArguments {
    /// Where models run: cpu, cuda or cuda:N; auto takes the first GPU that this build can use, else the CPU
    #[arg(long, default_value = "auto", help_heading = "Model")]
    pub(crate) device: String,
    /// The number format: f32, f16 or bf16 on a GPU; f32 on the CPU, or bf16 or q8_0, which round weights as they are loaded. auto
    /// takes bf16 on a GPU and f32 on the CPU; a GGUF file keeps the formats that are in it
    #[arg(long, visible_alias = "dtype", default_value = "auto", help_heading = "Model")]
    pub(crate) precision: String,
    /// Megabytes per model and tenant that keep recent prompts, so that a prompt of the same tenant with the same beginning is read
    /// from there on. 16 in a server with keys, else none: without keys a client could find out by timing what others asked
    #[arg(long, value_name = "MB", help_heading = "Model")]
    pub(crate) prompt_cache: Option<usize>,
    /// The prompt template: chat (the model's own), beaver, hh, plain, or a text with {prompt} in it; with NAME= for the score
    /// model of that name. The bundle's, or the model's own, if not given; may be repeated
    #[arg(long = "template", value_name = "[NAME=]T", help_heading = "Model")]
    pub(crate) templates: Vec<String>,
    /// The date that chat templates show, such as 2024-07-26 (the default). It is never today's, so that prompts can be repeated
    #[arg(long, value_name = "DATE", help_heading = "Model")]
    pub(crate) template_date: Option<String>,
    /// Also reads all of every model's files, to find out that they are the same to the last number: it takes as long as reading
    /// them. Needed for bundles that were pinned with it
    #[arg(long, help_heading = "Model")]
    pub(crate) full_digest: bool,
}

impl DeviceArguments {
    /// As the catalog loads models.
    pub(crate) fn loading(&self) -> LoadingOptions {
        LoadingOptions {
            device: self.device.clone(),
            precision: self.precision.clone(),
            prompt_cache: self.prompt_cache.map(PromptCache::megabytes),
            templates: self.templates.clone(),
            template_date: self.template_date.clone(),
            full_digest: self.full_digest,
            note: |text| output::note(text),
        }
        .resolve()
    }
}

/// A value of a library's type by its name, with the help text of each name.
pub(crate) type Named<T> = (&'static str, &'static str, T);

/// Reads one of some named values.
pub(crate) fn one_of<T: Clone + Send + Sync>(values: &'static [Named<T>]) -> impl TypedValueParser<Value = T> {
    let names = values.iter().map(|(name, help, _)| PossibleValue::new(*name).help(*help));
    PossibleValuesParser::new(names).try_map(move |found| {
        let value = values.iter().find(|(name, ..)| *name == found);
        value.map(|(.., value)| value.clone()).ok_or_else(|| format!("`{found}` is unknown"))
    })
}

/// Hides an option that a command does not take, and refuses it.
pub(crate) fn not_taken<T: Clone + Send + Sync + 'static>(arg: Arg) -> Arg {
    arg.hide(true).value_parser(|_: &str| Err::<T, _>("this command does not take it; leave it out"))
}
