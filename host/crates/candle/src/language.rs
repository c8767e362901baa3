//! A language model of a folder.

use crate::{
    CandleError, Facts, GenerationConfig, LoadOptions, ModelFiles, Template,
    config::Head,
    decoder::{Decoder, Keep, Pass, Prompt},
    dense,
    draw::sample,
    error::backend,
    head::LanguageHead,
    inner::Newest,
    kv::{Cache, HeldMemory, Key, Prefix},
    load::Folder,
    rows::{gather, to_rows, to_tensor},
    tokenizer::HfTokenizer,
};
use inferenceguard_model::{
    BeamId, Message, Model, ModelError, ModelInfo, Reading, Rows, SampleRequest, Sampled, TemplateNames, Token,
    Tokenizer, dense::Dense,
};
use std::{path::Path, sync::Arc};

/// A language model that runs on candle.
///
/// All its beams live in one cache; the memory of released beams is kept for the next ones.
pub struct CandleModel {
    decoder: Decoder,
    cache: Cache,
    /// The layers' outputs at the newest position of each beam.
    newest: Newest,
    head: LanguageHead,
    tokenizer: Arc<HfTokenizer>,
    template: Template,
    generation: GenerationConfig,
    info: ModelInfo,
    facts: Facts,
}

impl CandleModel {
    /// Loads a folder.
    ///
    /// # Errors
    /// When a file is missing or damaged, the architecture is not supported, it is a score model, or the device cannot
    /// be used.
    pub fn load(folder: &Path, options: &LoadOptions) -> Result<Self, CandleError> {
        Self::load_files(&ModelFiles::folder(folder), options)
    }

    /// As [`CandleModel::load`], from files that may lie in memory.
    ///
    /// # Errors
    /// As [`CandleModel::load`].
    pub fn load_files(files: &ModelFiles, options: &LoadOptions) -> Result<Self, CandleError> {
        let folder = Folder::open(files, options)?;
        let config = &folder.decoder.config;
        if config.head != Head::Language {
            return Err(CandleError::Kind {
                folder: files.path().to_owned(),
                found: config.architecture.clone(),
                is: "a score model",
                expected: "a language model (…ForCausalLM)",
            });
        }
        let head = LanguageHead::load(&folder.decoder, &folder.weights)?;
        let info = info(&folder);
        let (cache, newest) = (folder.decoder.cache(), Newest::default());
        let Folder { decoder, tokenizer, template, generation, facts, .. } = folder;
        let tokenizer = Arc::new(tokenizer);
        Ok(Self { decoder, cache, newest, head, tokenizer, template, generation, info, facts })
    }

    /// How a conversation becomes a prompt.
    #[must_use]
    pub fn template(&self) -> &Template {
        &self.template
    }

    /// Warnings about it, such as that it has no chat template.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        self.facts.warnings()
    }

    /// How the authors sample from it.
    #[must_use]
    pub fn generation_config(&self) -> &GenerationConfig {
        &self.generation
    }

    /// What was taken from which file.
    #[must_use]
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// What the keys and values of its beams take.
    #[must_use]
    pub fn held_memory(&self) -> HeldMemory {
        self.cache.memory()
    }
}

fn info(folder: &Folder) -> ModelInfo {
    let config = &folder.decoder.config;
    let inside = |id: &&Token| (**id as usize) < config.vocab;
    let mut special: Vec<Token> = folder.tokenizer.special().iter().filter(inside).copied().collect();
    special.extend(&folder.eos);
    special.sort_unstable();
    special.dedup();
    ModelInfo {
        name: folder.name.clone(),
        vocab: config.vocab,
        hidden: config.hidden,
        context: config.context,
        eos: folder.eos.clone(),
        sampling: folder.generation.sampling,
        special,
        fingerprint: folder.fingerprint.clone(),
        parts: folder.parts.clone(),
    }
}

impl CandleModel {
    /// The beam of a prompt that is read.
    fn opened(&mut self, prefix: Arc<Prefix>, pass: Pass) -> Result<(BeamId, Rows), ModelError> {
        let rows = to_rows(&pass.latents)?;
        let key = self.cache.insert(prefix).map_err(backend)?;
        self.newest.set([key], pass.inner);
        Ok((BeamId(key), rows))
    }
}

fn keys(beams: &[BeamId]) -> Vec<Key> {
    beams.iter().map(|beam| beam.0).collect()
}

impl Model for CandleModel {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn tokenizer(&self) -> Arc<dyn Tokenizer> {
        self.tokenizer.clone()
    }

    fn encode_prompt(&self, prompt: &str) -> Result<Vec<Token>, ModelError> {
        self.encode_chat(&[Message::user(prompt)])
    }

    fn encode_chat(&self, messages: &[Message]) -> Result<Vec<Token>, ModelError> {
        let rendered = self.template.render(messages)?;
        Ok(self.tokenizer.encode_marked(&rendered.text, rendered.frame)?)
    }

    fn templates(&self) -> TemplateNames {
        self.template.names()
    }

    fn prefill(&mut self, prompt: &[Token]) -> Result<(BeamId, Rows), ModelError> {
        let (prefix, pass) = self.decoder.prefill(prompt, Keep::Last)?;
        self.opened(prefix, pass)
    }

    fn prefill_part(&mut self, reading: &mut Reading, most: usize) -> Result<Option<(BeamId, Rows)>, ModelError> {
        let begun = reading.kept.take().and_then(|kept| kept.downcast::<Prompt>().ok());
        let mut prompt = match begun {
            Some(prompt) => prompt,
            None => Box::new(self.decoder.begin(&reading.prompt, Keep::Last, reading.tenant.as_deref())?),
        };
        reading.reused = prompt.reused;
        let pass = self.decoder.read(&mut prompt, &reading.prompt, most)?;
        reading.read = prompt.read;
        match pass {
            Some(pass) => self.opened(prompt.prefix, pass).map(Some),
            None => {
                reading.kept = Some(prompt);
                Ok(None)
            }
        }
    }

    fn layers(&self) -> u32 {
        u32::try_from(self.decoder.config.layers).unwrap_or(u32::MAX)
    }

    fn engine(&self) -> String {
        format!("candle of InferenceGuard {}", env!("CARGO_PKG_VERSION"))
    }

    fn fork(&mut self, parents: &[BeamId]) -> Result<Vec<BeamId>, ModelError> {
        let parents = keys(parents);
        let children = self.cache.fork(&parents)?;
        self.newest.fork(&parents, &children);
        Ok(children.into_iter().map(BeamId).collect())
    }

    fn step(&mut self, rows: &[(BeamId, Token)]) -> Result<Rows, ModelError> {
        let rows: Vec<(Key, &[Token])> =
            rows.iter().map(|(beam, token)| (beam.0, std::slice::from_ref(token))).collect();
        let pass = self.decoder.extend(&mut self.cache, &rows)?;
        self.newest.set(rows.iter().map(|(key, _)| *key), pass.inner);
        to_rows(&pass.latents)
    }

    fn project(&mut self, latents: &Rows) -> Result<Rows, ModelError> {
        if latents.width() != self.info.hidden {
            let (expected, found) = (self.info.hidden.to_string(), latents.width().to_string());
            return Err(ModelError::Shape { what: "latents", expected, found });
        }
        if latents.is_empty() {
            return Rows::host(0, self.info.vocab, Vec::new());
        }
        let latents = to_tensor(latents, &self.decoder.device)?;
        to_rows(&self.head.forward(&latents).map_err(backend)?)
    }

    fn gather(&mut self, tables: &[&Rows], picks: &[(usize, usize)]) -> Result<Rows, ModelError> {
        gather(tables, picks, &self.decoder.device)
    }

    fn sample(&mut self, logits: &Rows, requests: &[(usize, SampleRequest)]) -> Result<Vec<Sampled>, ModelError> {
        sample(logits, requests)
    }

    fn layer_latents(&mut self, beams: &[BeamId], layer: u32) -> Result<Rows, ModelError> {
        let layers = self.decoder.config.layers;
        if layer as usize >= layers {
            let found = format!("give the latents of layer {layer}; its layers are 0 to {}", layers - 1);
            return Err(ModelError::Unsupported(found));
        }
        self.newest.read(&keys(beams), layer as usize, &self.decoder.device)
    }

    fn release(&mut self, beams: &[BeamId]) {
        self.newest.release(&keys(beams));
        self.cache.release(keys(beams));
    }

    fn live_beams(&self) -> usize {
        self.cache.len()
    }

    fn dense(&self) -> Arc<dyn Dense> {
        dense::dense(&self.decoder.device)
    }

    fn rounding(&self) -> f64 {
        self.decoder.format.rounding()
    }
}
