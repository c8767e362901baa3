//! A model's folder without its weights, which another program runs: tokenizer, prompt template, and what the files say.
//!
//! The architecture does not matter here, so config.json is read for a few numbers only.

use crate::{
    CandleError, DecoderConfig, Facts, GenerationConfig, HfTokenizer, LoadOptions, ModelFiles, Template,
    TemplateChoice,
    fields::Fields,
    fingerprint,
    gguf::Gguf,
    load::{name, warnings},
    special::{Basics, Special},
    tokenizer_config::{SpecialNames, TokenizerConfig},
};
use inferenceguard_model::{Message, ModelError, ModelInfo, Token};
use std::sync::Arc;

const CONFIG: &str = "config.json";

/// The texts of a model: how they are cut into tokens, and how a conversation becomes a prompt.
pub struct TextSide {
    tokenizer: Arc<HfTokenizer>,
    template: Template,
    info: ModelInfo,
    facts: Facts,
}

/// A few numbers of a configuration.
struct Numbers {
    vocab: usize,
    hidden: usize,
    eos: Vec<Token>,
}

impl TextSide {
    /// Reads a folder, or a GGUF file. `score` says that it is a score model's, whose template has another default.
    ///
    /// # Errors
    /// When a file is missing or damaged, or files contradict each other.
    pub fn open(files: &ModelFiles, options: &LoadOptions, score: bool) -> Result<Self, CandleError> {
        let mut facts = Facts::default();
        // What is read from here on is what the digests cover.
        let files = &files.unread();
        let gguf = Gguf::find(files)?;
        let numbers = Numbers::read(files, gguf.as_ref())?;
        let mut tokenizer = HfTokenizer::of(files)?;
        let generation = GenerationConfig::read_for(files, !score, &mut facts)?;
        let basics = Basics { vocab: numbers.vocab, eos: &numbers.eos, generates: !score };
        let special = Special::read(files, gguf.as_ref(), &tokenizer, (basics, &generation), &mut facts)?;
        let mut about = TokenizerConfig::read(files, SpecialNames::of(&special), &mut facts)?;
        if let Some(gguf) = &gguf {
            about.or_from(gguf, &mut facts);
        }
        tokenizer.keep_from_words(&special.ends).map_err(ModelError::from)?;
        let fallback = if score { TemplateChoice::Beaver } else { TemplateChoice::Plain };
        let template_from = about.from().to_owned();
        let template = Template::new(files.path(), options, about, Some(fallback))?;
        match template.choice() {
            TemplateChoice::Chat => facts.take("template", "chat", &template_from),
            chosen => facts.assume("template", chosen),
        }
        warnings(files, &template, &tokenizer, numbers.vocab)?.into_iter().for_each(|warning| facts.warn(warning));
        let mut info = info(&numbers, &tokenizer, special.ends, &generation);
        info.name = name(files, options);
        info.parts = fingerprint::texts(files, &tokenizer, gguf.as_ref(), template.digest());
        info.fingerprint = fingerprint::of(&info.parts);
        Ok(Self { tokenizer: Arc::new(tokenizer), template, info, facts })
    }

    /// What the files say. The context is the engine's to say, and so are weights and precision.
    #[must_use]
    pub fn info(&self) -> &ModelInfo {
        &self.info
    }

    /// Its tokenizer.
    #[must_use]
    pub fn tokenizer(&self) -> Arc<HfTokenizer> {
        Arc::clone(&self.tokenizer)
    }

    /// Its template.
    #[must_use]
    pub fn template(&self) -> &Template {
        &self.template
    }

    /// What was taken from which file.
    #[must_use]
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// The tokens of a conversation that ends with a turn of the user.
    ///
    /// # Errors
    /// [`ModelError::Conversation`] for turns that the template does not take; a failure of template or tokenizer.
    pub fn encode_chat(&self, messages: &[Message]) -> Result<Vec<Token>, ModelError> {
        let rendered = self.template.render(messages)?;
        Ok(self.tokenizer.encode_marked(&rendered.text, rendered.frame)?)
    }
}

impl Numbers {
    fn read(files: &ModelFiles, gguf: Option<&Gguf>) -> Result<Self, CandleError> {
        if gguf.is_some() {
            let config = DecoderConfig::read(files)?;
            return Ok(Self { vocab: config.vocab, hidden: config.hidden, eos: config.eos });
        }
        let value = files.json(CONFIG, "the model's configuration")?;
        let whole = Fields::new(&files.path().join(CONFIG), &value)?;
        // Models that read images too keep these numbers one level deeper.
        let inner = whole.inside("text_config")?;
        let fields = inner.as_ref().unwrap_or(&whole);
        let eos = if fields.get("eos_token_id").is_some() { fields } else { &whole };
        let (vocab, hidden) = (fields.size("vocab_size")?, fields.size("hidden_size")?);
        Ok(Self { vocab, hidden, eos: eos.token_ids("eos_token_id")? })
    }
}

fn info(numbers: &Numbers, tokenizer: &HfTokenizer, eos: Vec<Token>, generation: &GenerationConfig) -> ModelInfo {
    let inside = |id: &Token| (*id as usize) < numbers.vocab;
    let mut special: Vec<Token> =
        tokenizer.special().iter().copied().filter(inside).chain(eos.iter().copied()).collect();
    special.sort_unstable();
    special.dedup();
    ModelInfo {
        name: String::new(),
        vocab: numbers.vocab,
        hidden: numbers.hidden,
        context: usize::MAX,
        eos,
        special,
        sampling: generation.sampling,
        fingerprint: String::new(),
        parts: inferenceguard_model::ModelParts::default(),
    }
}
