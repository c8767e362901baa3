//! Model folders: what is in them, and a digest of it.

use crate::{
    CandleError, DecoderConfig, DeviceChoice, Facts, GenerationConfig, HfTokenizer, Kernels, ModelFiles, Precision,
    Template, TemplateChoice,
    config::Head,
    decoder::Decoder,
    device::Rounded,
    fingerprint::{self, Subject},
    gguf::Gguf,
    jinja::PromptDate,
    loader::Format,
    recent::PromptCache,
    special::{Basics, Special},
    tokenizer_config::{SpecialNames, TokenizerConfig},
    weights::Weights,
};
use candle_core::Device;
use inferenceguard_model::{Message, ModelError, ModelParts};

/// How a folder is loaded.
#[derive(Debug, Clone, Default)]
pub struct LoadOptions {
    /// Where it runs.
    pub device: DeviceChoice,
    /// The number format of weights and KV cache.
    pub precision: Precision,
    /// What computes, if that is the CPU.
    pub kernels: Kernels,
    /// The prompt template.
    pub template: TemplateChoice,
    /// The template for bundles that name none; the same as `template` if not given.
    pub own_template: Option<TemplateChoice>,
    /// The date that chat templates see.
    pub date: PromptDate,
    /// Which prompts' keys and values are kept for later prompts with the same beginning; none by default.
    pub prompt_cache: PromptCache,
    /// Its name; the folder's if empty.
    pub name: String,
    /// Also reads every tensor whole for [`ModelParts::full`], which takes as long as reading the files.
    pub full_digest: bool,
}

/// Everything of a folder, checked, before it becomes a model.
pub(crate) struct Folder {
    pub(crate) decoder: Decoder,
    pub(crate) weights: Weights,
    pub(crate) tokenizer: HfTokenizer,
    pub(crate) template: Template,
    pub(crate) generation: GenerationConfig,
    /// Tokens that end an answer.
    pub(crate) eos: Vec<u32>,
    pub(crate) name: String,
    pub(crate) fingerprint: String,
    /// Where all this was taken from.
    pub(crate) facts: Facts,
    pub(crate) parts: ModelParts,
}

impl Folder {
    pub(crate) fn open(files: &ModelFiles, options: &LoadOptions) -> Result<Self, CandleError> {
        let mut facts = Facts::default();
        // What is read from here on is what the fingerprint covers.
        let files = &files.unread();
        let config = DecoderConfig::read(files)?;
        let mut tokenizer = HfTokenizer::of(files)?;
        let weights = Weights::open(files)?;
        sources(files, &config, weights.gguf(), &mut facts)?;
        let generation = GenerationConfig::read_for(files, config.head == Head::Language, &mut facts)?;
        let special =
            Special::read(files, weights.gguf(), &tokenizer, (Basics::from(&config), &generation), &mut facts)?;
        let mut about = TokenizerConfig::read(files, SpecialNames::of(&special), &mut facts)?;
        if let Some(gguf) = weights.gguf() {
            about.or_from(gguf, &mut facts);
        }
        let template_from = about.from().to_owned();
        let eos = special.ends;
        tokenizer.keep_from_words(&eos).map_err(ModelError::from)?;
        let template = Template::new(files.path(), options, about, fallback(config.head))?;
        match template.choice() {
            TemplateChoice::Chat => facts.take("template", "chat", &template_from),
            chosen => facts.assume("template", chosen),
        }
        for warning in warnings(files, &template, &tokenizer, config.vocab)? {
            facts.warn(warning);
        }
        let (device, format) = placed(options, &weights)?;
        let mut decoder = Decoder::load(config, &weights, &device, format)?;
        decoder.keep_prompts(options.prompt_cache);
        let parts = Subject { files, config: &decoder.config, weights: &weights, tokenizer: &tokenizer }.parts(
            template.digest(),
            options,
            format.rounded == Rounded::Q8_0,
        );
        let (name, fingerprint) = (name(files, options), fingerprint::of(&parts));
        Ok(Self { decoder, weights, tokenizer, template, generation, eos, name, fingerprint, parts, facts })
    }
}

/// The template of a folder that has none.
fn fallback(head: Head) -> Option<TemplateChoice> {
    match head {
        Head::Language => Some(TemplateChoice::Plain),
        Head::Score(_) => Some(TemplateChoice::Beaver),
        Head::Classification => None,
    }
}

/// The device of these weights, and how it holds and multiplies their numbers.
fn placed(options: &LoadOptions, weights: &Weights) -> Result<(Device, Format), CandleError> {
    let device = options.device.open(options.precision)?;
    if weights.gguf().is_some() && !device.is_cpu() {
        let message = "GGUF files are for the CPU; use --device cpu, or the safetensors of this model".into();
        return Err(CandleError::Device { device: options.device.to_string(), message });
    }
    let direct = device.is_cpu() && options.kernels == Kernels::Direct;
    let rounded = if direct { options.precision.rounded() } else { Rounded::No };
    let format = Format { dtype: options.precision.dtype_on(&device), direct, rounded };
    Ok((device, format))
}

/// Warnings: no template, or tokens that the model does not have. A prompt that needs such a token is an error at once, and so
/// is a tokenizer that encodes words into tokens outside the vocabulary.
pub(crate) fn warnings(
    files: &ModelFiles,
    template: &Template,
    tokenizer: &HfTokenizer,
    vocab: usize,
) -> Result<Vec<String>, CandleError> {
    let (words, added) = tokenizer.beyond(vocab);
    let spelled = |ids: &[u32]| {
        let spelled: Vec<_> = ids.iter().take(4).filter_map(|id| tokenizer.spelling(*id)).collect();
        format!("{} ({})", ids.len(), spelled.join(", "))
    };
    let wrong = |found: &[u32], what: &str| CandleError::Tokenizer {
        path: files.path().join("tokenizer.json"),
        message: format!("the model has {vocab} tokens, and {what} has more: {}", spelled(found)),
    };
    if !words.is_empty() {
        return Err(wrong(&words, "the tokenizer's vocabulary"));
    }
    let rendered = template.render(&[Message::user("Hello.")])?;
    let tokens = tokenizer.encode_marked(&rendered.text, rendered.frame).map_err(ModelError::from)?;
    let missing: Vec<u32> = tokens.into_iter().filter(|token| *token as usize >= vocab).collect();
    if !missing.is_empty() {
        return Err(wrong(&missing, "its prompt template"));
    }
    let mut warnings = Vec::new();
    if template.is_missing() {
        warnings
            .push("there is no chat template: prompts are given as bare text; choose one with --template".to_owned());
    }
    if !added.is_empty() {
        warnings.push(format!("the tokenizer has tokens that the model has not: {}", spelled(&added)));
    }
    Ok(warnings)
}

pub(crate) fn name(files: &ModelFiles, options: &LoadOptions) -> String {
    if !options.name.is_empty() {
        return options.name.clone();
    }
    files.name().unwrap_or_else(|| "model".into())
}

/// Notes where the configuration and the tokenizer come from.
fn sources(
    files: &ModelFiles,
    config: &DecoderConfig,
    gguf: Option<&Gguf>,
    facts: &mut Facts,
) -> Result<(), CandleError> {
    const TOKENIZER: &str = "tokenizer.json";
    let settings = gguf.map_or_else(|| Ok("config.json".to_owned()), |gguf| gguf.settings(files))?;
    let inside = gguf.filter(|_| !files.has(TOKENIZER)).map(Gguf::name);
    facts.take("architecture", &config.architecture, &settings);
    facts.take("rope", format!("theta {}, {:?}", config.rope.theta, config.rope.scaling), &settings);
    if let Some(gemma) = &config.gemma {
        facts.take("rope of layers with a window", format!("theta {}", gemma.local.theta), &settings);
    }
    let (kind, from) = inside.as_deref().map_or(("a file", TOKENIZER), |name| ("in the metadata", name));
    facts.take("tokenizer", kind, from);
    for key in gguf.filter(|_| inside.is_some()).into_iter().flat_map(Gguf::unknown_keys) {
        facts.warn(format!("{from}: tokenizer.ggml.{key:?} is not understood"));
    }
    // Where config.json describes the model, it decides, and keys of the metadata are not named.
    if let Some(gguf) = gguf.filter(|gguf| gguf.name() == settings) {
        let unknown = gguf.unknown_settings();
        unknown.for_each(|key| facts.warn(format!("{settings}: {key:?} is not understood, and not honoured")));
    }
    Ok(())
}
