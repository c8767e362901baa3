//! A cost on a language model's own latents, from labelled answers, and a bundle around it.

use crate::{TrainingError, files};
use indicatif::ProgressBar;
use inferenceguard_bundle::{Bundle, Digest, MANIFEST, Network};
use inferenceguard_catalog::{Loading, LoadingOptions, bundles, language_model, write_file};
use inferenceguard_critic::{
    Recipe, Shares,
    cost::{self, BundleOptions, CostObjective, CostOptions, CostReport, Places, Source, Unit},
};
use inferenceguard_model::{Generator, Native};
use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

/// A training, as an operator names it.
#[derive(Debug, Clone)]
pub struct Given {
    /// Files of labelled answers.
    pub data: Vec<Source>,
    /// The question that texts without a prompt count as an answer to.
    pub text_prompt: String,
    /// A folder, a GGUF file or a hub id; the demonstration model if `None`.
    pub model: Option<String>,
    /// How the model is loaded.
    pub loading: LoadingOptions,
    /// Receives latents, checkpoints, the network, the report and its plot.
    pub out: PathBuf,
    /// What the heads learn.
    pub objective: CostObjective,
    /// What each head reads.
    pub readings: Vec<Places>,
    /// The most tokens of an answer that are read.
    pub max_tokens: usize,
    /// The least harm of a harmful answer.
    pub harmful_from: f64,
    /// Whether harmful and harmless answers count as much in sum.
    pub balanced: bool,
    /// How prompts are split.
    pub shares: Shares,
    /// How heads are trained.
    pub recipe: Recipe,
    /// The bundle to write as well.
    pub bundle: Option<GivenBundle>,
}

/// A bundle around the cost.
#[derive(Debug, Clone, PartialEq)]
pub struct GivenBundle {
    /// A new folder, or the folder of such a bundle.
    pub folder: PathBuf,
    /// The budget of the cost; the report's if `None`.
    pub budget: Option<f64>,
    /// Candidates per chunk.
    pub candidates: u32,
    /// Tokens of a chunk.
    pub chunk: u32,
    /// How it samples; as the model's files say if `None`.
    pub temperature: Option<f64>,
    /// How much probability the sampled tokens hold; as the model's files say if `None`.
    pub top_p: Option<f64>,
}

/// A training whose answers were read and whose model is open.
pub struct CostRun {
    options: CostOptions,
    bundle: Option<GivenBundle>,
    units: Vec<Unit>,
    model: Native,
}

/// A trained cost.
#[derive(Debug, Clone)]
pub struct Trained {
    /// The head.
    pub network: Network,
    /// How good it is.
    pub report: CostReport,
}

impl CostRun {
    /// Reads the answers and opens the model.
    ///
    /// # Errors
    /// A folder that no bundle may be written to; answers and models that cannot be read.
    pub fn open(given: Given) -> Result<Self, TrainingError> {
        given.bundle.as_ref().map_or(Ok(()), |bundle| check_folder(&bundle.folder))?;
        let units = cost::read(&given.data, &given.text_prompt)?;
        let load = Loading::new(&given.loading, None)?;
        let files = files::of_language(given.model.as_deref(), load.note())?;
        let model = Native::new(Box::new(language_model(&files, &load.language(), load.note())?));
        let options = CostOptions {
            out: given.out,
            objective: given.objective,
            readings: given.readings,
            max_tokens: given.max_tokens,
            threshold: given.harmful_from,
            balanced: given.balanced,
            shares: given.shares,
            recipe: given.recipe,
            device: load.language().device,
        };
        Ok(Self { options, bundle: given.bundle, units, model })
    }

    /// Trains, measures and writes.
    ///
    /// # Errors
    /// [`TrainingError::Critic`].
    pub fn train(&mut self, progress: &ProgressBar) -> Result<Trained, TrainingError> {
        let (network, report) = cost::train(&self.options, &mut self.model, &self.units, progress)?;
        Ok(Trained { network, report })
    }

    /// The file of the trained network.
    #[must_use]
    pub fn network(&self) -> PathBuf {
        self.options.out.join(cost::NETWORK)
    }

    /// Writes manifest and network of the bundle that was asked for, if they make one. Gives its folder and digest.
    ///
    /// # Errors
    /// [`TrainingError::Critic`] where the report has no budget; a bundle that does not hold, or cannot be written.
    pub fn write_bundle(&self, trained: &Trained) -> Result<Option<(&Path, Digest)>, TrainingError> {
        let Some(GivenBundle { folder, budget, candidates, chunk, temperature, top_p }) = &self.bundle else {
            return Ok(None);
        };
        // Hazards of longer answers than those that were read are not calibrated.
        let max_tokens = u32::try_from(self.options.max_tokens).unwrap_or(u32::MAX);
        let options = BundleOptions {
            name: bundle_name(folder)?,
            budget: *budget,
            candidates: *candidates,
            chunk: *chunk,
            max_tokens,
            temperature: *temperature,
            top_p: *top_p,
        };
        let text = cost::manifest(&trained.report, self.model.info(), &options)?;
        let bytes = trained.network.to_bytes()?;
        let mut all = BTreeMap::from([(cost::NETWORK.to_owned(), bytes.clone())]);
        all.extend(bundles::first_party());
        let bundle = Bundle::from_parts(&text, &all)?;
        fs::create_dir_all(folder).map_err(|source| TrainingError::Folder { folder: folder.clone(), source })?;
        write_file(&folder.join(cost::NETWORK), &bytes)?;
        write_file(&folder.join(MANIFEST), text.as_bytes())?;
        Ok(Some((folder.as_path(), bundle.digest())))
    }
}

/// Refuses a folder without a name, and one with a bundle that this did not write: before the training, not after it.
fn check_folder(folder: &Path) -> Result<(), TrainingError> {
    bundle_name(folder)?;
    let path = folder.join(MANIFEST);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(TrainingError::ManifestFile { path, source }),
    };
    let wrong = |source| TrainingError::ManifestText { path, source: Box::new(source) };
    let manifest: toml::Table = toml::from_str(&text).map_err(wrong)?;
    let is_trained = manifest.get("networks").is_some_and(|networks| networks.get("cost").is_some());
    is_trained.then_some(()).ok_or_else(|| TrainingError::OtherBundle { folder: folder.to_owned() })
}

fn bundle_name(folder: &Path) -> Result<String, TrainingError> {
    let name = folder.file_name().map(|name| name.to_string_lossy().into_owned());
    name.ok_or_else(|| TrainingError::NoName { folder: folder.to_owned() })
}
