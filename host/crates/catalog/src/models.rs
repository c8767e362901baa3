//! How models are loaded: on which device, in which number format, with which prompt template.

use crate::{CatalogError, Note, Templates, progress::while_waiting};
use inferenceguard_bundle::Manifest;
use inferenceguard_candle::{
    CandleModel, CandleScoreModel, DeviceChoice, Facts, LoadOptions, ModelFiles, Precision, PromptCache, PromptDate,
};
use inferenceguard_model::{Model, ScoreModel, Tokenizer};

/// What the command line says about loading models, as text.
#[derive(Debug, Clone)]
pub struct LoadingOptions {
    /// `cpu`, `cuda` or `cuda:N`.
    pub device: String,
    /// `f32`, `f16`, `bf16` or `q8_0`.
    pub precision: String,
    /// Which prompts each model keeps; if the operator does not say, none, except in a server that knows its tenants.
    pub prompt_cache: Option<PromptCache>,
    /// `[NAME=]TEMPLATE`, each for the language model or for the score model of this name.
    pub templates: Vec<String>,
    /// The date that chat templates show, such as `2024-07-26`.
    pub template_date: Option<String>,
    /// Whether every tensor is read for the full digest.
    pub full_digest: bool,
    /// Shows the warnings about models.
    pub note: Note,
}

impl LoadingOptions {
    /// These options with what `auto` stands for: as the device the first GPU that this build can use, else the processor; as the
    /// number format `bf16` on a GPU and `f32` on the processor. `q8_0` runs on the processor.
    #[must_use]
    pub fn resolve(mut self) -> Self {
        if self.device == AUTO {
            let best = if self.precision == "q8_0" { DeviceChoice::Cpu } else { DeviceChoice::best() };
            self.device = best.to_string();
        }
        if self.precision == AUTO {
            self.precision = if self.device == "cpu" { "f32" } else { "bf16" }.to_owned();
        }
        self
    }
}

/// Leaves a choice to the program.
const AUTO: &str = "auto";

/// How the models of one bundle are loaded.
#[derive(Debug, Clone)]
pub struct Loading {
    base: LoadOptions,
    /// From the command line.
    given: Templates,
    /// From the command line, else from the bundle.
    templates: Templates,
    note: Note,
}

impl Loading {
    /// Takes the options, and templates that they do not name from the bundle.
    ///
    /// # Errors
    /// An option that cannot be read, or a template that contradicts the bundle.
    pub fn new(options: &LoadingOptions, manifest: Option<&Manifest>) -> Result<Self, CatalogError> {
        let given = Templates::parse(&options.templates)?;
        let templates = manifest.map_or_else(|| Ok(given.clone()), |manifest| given.clone().or(manifest))?;
        Ok(Self { base: base(options)?, given, templates, note: options.note })
    }

    /// Checks that every template for a score model is for one of these.
    ///
    /// # Errors
    /// [`CatalogError::UnknownScoreModel`].
    pub fn check<'a>(&self, scores: impl Iterator<Item = &'a String> + Clone) -> Result<(), CatalogError> {
        self.templates.check(scores)
    }

    /// How the language model is loaded.
    #[must_use]
    pub fn language(&self) -> LoadOptions {
        let own_template = Some(self.given.language());
        LoadOptions { template: self.templates.language(), own_template, ..self.base.clone() }
    }

    /// How the score model of this name is loaded; costs use the same name.
    #[must_use]
    pub fn score(&self, name: &str) -> LoadOptions {
        let own_template = Some(self.given.score(name));
        LoadOptions { template: self.templates.score(name), own_template, name: name.to_owned(), ..self.base.clone() }
    }

    /// Where warnings go.
    #[must_use]
    pub fn note(&self) -> Note {
        self.note
    }

    /// Shows the warnings about a model.
    #[cfg(feature = "engines")]
    pub(crate) fn warn(&self, name: &str, facts: &Facts) {
        warn(name, facts, self.note);
    }
}

/// Opens a language model, and shows its warnings.
///
/// # Errors
/// [`CatalogError::Model`].
pub fn language_model(files: &ModelFiles, options: &LoadOptions, note: Note) -> Result<CandleModel, CatalogError> {
    let loading = format!("loading {}", files.name().unwrap_or_default());
    let model = while_waiting(&loading, note, || CandleModel::load_files(files, options))?;
    warn(&model.info().name, model.facts(), note);
    Ok(model)
}

/// Opens a score model beside a language model with this tokenizer, and shows its warnings.
///
/// # Errors
/// [`CatalogError::Model`].
pub fn score_model(
    files: &ModelFiles,
    options: &LoadOptions,
    language: &dyn Tokenizer,
    note: Note,
) -> Result<CandleScoreModel, CatalogError> {
    let loading = format!("loading {}", files.name().unwrap_or_default());
    let model = while_waiting(&loading, note, || CandleScoreModel::load_files(files, options, language))?;
    warn(&model.info().name, model.facts(), note);
    Ok(model)
}

fn warn(name: &str, facts: &Facts, note: Note) {
    for warning in facts.warnings() {
        // One line each, even where the model's files bring line breaks.
        note(&format!("warning: {name}: {warning}").replace('\n', "\\n").replace('\t', "\\t"));
    }
}

fn base(options: &LoadingOptions) -> Result<LoadOptions, CatalogError> {
    let precision = match options.precision.as_str() {
        "f32" => Precision::F32,
        "f16" => Precision::F16,
        "bf16" => Precision::BF16,
        "q8_0" => Precision::Q8_0,
        other => return Err(CatalogError::Precision { found: other.to_owned() }),
    };
    let prompt_cache = options.prompt_cache.unwrap_or_default();
    let date = options.template_date.as_deref().map_or_else(|| Ok(PromptDate::default()), str::parse)?;
    let (device, full_digest) = (options.device.parse()?, options.full_digest);
    Ok(LoadOptions { device, precision, prompt_cache, date, full_digest, ..LoadOptions::default() })
}
