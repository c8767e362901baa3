//! The models of an evaluation by their headers: files, sizes, templates, and how long prompts are in their tokens.

use super::{PromptsAhead, missing_program};
use crate::{
    TrialError,
    eval::{EvalOptions, judge_choice::JudgeChoice, under_test::Bundled},
};
use inferenceguard_candle::{LoadOptions, ModelFiles, Survey, TextSide};
use inferenceguard_catalog::{CatalogError, Loading, embedded, hub, score_places};
use inferenceguard_eval::Dataset;
use inferenceguard_model::{Message, with_causes};
use serde::Serialize;
use std::{
    cell::RefCell,
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// One model, as its headers describe it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelAhead {
    /// `language model`, `score model` or `judge`.
    pub role: &'static str,
    /// Its name in this evaluation.
    pub name: String,
    /// Its folder, or the folder of its file.
    pub place: PathBuf,
    /// Its files, with their bytes.
    pub found: Vec<(String, u64)>,
    /// Numbers in all tensors.
    pub numbers: u64,
    /// Bytes of the weights in memory.
    pub weight_bytes: u64,
    /// Bytes of the keys and values of one token.
    pub token_bytes: u64,
    /// The most tokens of prompt and answer; 0 if nothing states it.
    pub context: usize,
    /// The prompt template, if the texts could be opened.
    pub template: Option<String>,
    /// Where the template stands: a file, or nothing where an option, a bundle or a default chose it.
    pub template_from: Vec<String>,
}

/// A model, and its texts.
pub(super) struct Ahead {
    pub(super) about: ModelAhead,
    texts: Option<TextSide>,
}

/// Where names of models are looked up: on this machine alone.
#[derive(Default)]
pub(super) struct Looked {
    /// Why a name stands for no files here.
    absent: RefCell<BTreeMap<String, String>>,
}

/// What a model is for, and how it would be loaded.
struct Part<'a> {
    role: &'static str,
    name: &'a str,
    load: LoadOptions,
}

impl Looked {
    /// The files of a name. Nothing is fetched: of a name without files here the reason is kept.
    pub(super) fn files(&self, name: &str) -> ModelFiles {
        match hub::here(name) {
            Ok(path) => ModelFiles::folder(&path),
            Err(error) => {
                let files = ModelFiles::folder(Path::new(name));
                self.absent.borrow_mut().insert(key(&files), with_causes(&error));
                files
            }
        }
    }

    /// The language models and the score models.
    pub(super) fn models(
        &self,
        options: &EvalOptions,
        bundled: &[Bundled],
        problems: &mut Vec<String>,
    ) -> Result<Vec<Ahead>, TrialError> {
        let mut models = Vec::new();
        for one in bundled {
            let loading = Loading::new(&options.choice.loading, Some(one.bundle.manifest()))?;
            let (name, files) = one.model();
            let part = Part { role: "language model", name, load: loading.language() };
            models.push(self.model(&part, files, problems));
            for (name, files) in self.scores(options)? {
                let part = Part { role: "score model", name: &name, load: loading.score(&name) };
                models.push(self.model(&part, &files, problems));
            }
        }
        Ok(models)
    }

    fn scores(&self, options: &EvalOptions) -> Result<BTreeMap<String, ModelFiles>, TrialError> {
        let (here, _) = score_places(&options.choice.scores);
        let demo = ["reward", "cost"].into_iter().filter(|_| options.is_demo());
        let mut all: BTreeMap<String, ModelFiles> =
            demo.filter_map(|name| Some((name.to_owned(), embedded::model(name)?))).collect();
        for text in here {
            let split = text.split_once('=').filter(|(name, _)| !name.is_empty());
            let (name, place) = split.ok_or_else(|| CatalogError::Score { found: text.clone() })?;
            all.insert(name.to_owned(), self.files(place));
        }
        Ok(all)
    }

    /// The judges that are models; of a judge that is a program, whether it is there.
    pub(super) fn judges(
        &self,
        options: &EvalOptions,
        judges: &[JudgeChoice],
        problems: &mut Vec<String>,
    ) -> Result<Vec<Ahead>, TrialError> {
        let loading = Loading::new(&options.choice.loading, None)?;
        let mut models = Vec::new();
        for judge in judges {
            match judge {
                JudgeChoice::Demo => {}
                JudgeChoice::Command { words, .. } => problems.extend(missing_program(words)),
                JudgeChoice::Score { name, place, .. } => {
                    let part = Part { role: "judge", name, load: loading.score(name) };
                    models.push(self.model(&part, &self.files(place), problems));
                }
            }
        }
        Ok(models)
    }

    fn model(&self, part: &Part<'_>, files: &ModelFiles, problems: &mut Vec<String>) -> Ahead {
        let is_score = part.role != "language model";
        if let Some(why) = self.absent.borrow().get(&key(files)) {
            problems.push(why.clone());
            return Ahead { about: about(part, files, &Survey::default()), texts: None };
        }
        let survey = Survey::of(files, true);
        problems.extend(survey.problems.iter().cloned());
        let whole = survey.problems.is_empty();
        let texts = whole.then(|| TextSide::open(files, &part.load, is_score)).and_then(|texts| {
            texts.map_err(|error| problems.push(format!("{}: {}", part.name, with_causes(&error)))).ok()
        });
        let mut about = about(part, files, &survey);
        if let Some(texts) = &texts {
            about.template = Some(texts.template().choice().to_string());
            about.template_from = template_from(texts);
        }
        Ahead { about, texts }
    }

    /// How long the prompts are for the first language model, and how many do not fit it.
    pub(super) fn prompts(&self, dataset: &Dataset, models: &[Ahead], options: &EvalOptions) -> PromptsAhead {
        let language = models.iter().find(|one| one.about.role == "language model");
        let texts = language.and_then(|one| one.texts.as_ref());
        let length = |text: &str| Some(texts?.encode_chat(&[Message::user(text)]).ok()?.len());
        let lengths: Vec<usize> = dataset.prompts.iter().filter_map(|prompt| length(&prompt.text)).collect();
        let context = language.map_or(0, |one| one.about.context);
        PromptsAhead {
            name: dataset.name.clone(),
            count: dataset.prompts.len(),
            seeds: options.seeds.len(),
            longest: lengths.iter().copied().max(),
            too_long: lengths.iter().filter(|length| context > 0 && **length >= context).count(),
        }
    }
}

/// Tells files apart.
fn key(files: &ModelFiles) -> String {
    format!("{} {}", files.path().display(), files.name().unwrap_or_default())
}

/// The files that state the template.
fn template_from(texts: &TextSide) -> Vec<String> {
    let facts = texts.facts().all().iter().find(|fact| fact.name == "template");
    facts.map(|fact| fact.from.clone()).unwrap_or_default()
}

fn about(part: &Part<'_>, files: &ModelFiles, survey: &Survey) -> ModelAhead {
    let (precision, device) = (part.load.precision, part.load.device);
    ModelAhead {
        role: part.role,
        name: part.name.to_owned(),
        place: files.path().to_owned(),
        found: survey.found.clone(),
        numbers: survey.numbers(),
        weight_bytes: survey.weight_bytes(precision, device),
        token_bytes: survey.token_bytes(precision, device),
        context: survey.config.as_ref().map_or(0, |config| config.context),
        template: None,
        template_from: Vec::new(),
    }
}
