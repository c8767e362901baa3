//! A cost on a language model's own latents, from labelled answers, and a bundle around it.

use crate::{Finished, GivenHeads, TrainingError, heads::write_score_model};
use indicatif::ProgressBar;
use inferenceguard_bundle::{Bundle, Digest, MANIFEST, Network, Signature};
use inferenceguard_catalog::{bundles, write_file};
use inferenceguard_critic::cost::{
    self, BudgetChoice, BundleOptions, CostObjective, CostOptions, CostReport, HarmlessPrompts, OwnOptions,
    ScoreFolder, Unit,
};
use inferenceguard_model::{Generator, Native};
use inferenceguard_search::{Sampling, SamplingSettings};
use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

/// A training, as an operator names it.
#[derive(Debug, Clone)]
pub struct Given {
    /// Answers, model and heads.
    pub heads: GivenHeads,
    /// What the heads learn.
    pub objective: CostObjective,
    /// The least harm of a harmful answer.
    pub harmful_from: f64,
    /// Whether harmful and harmless answers count as much in sum.
    pub balanced: bool,
    /// Prompts that ask for nothing harmful: the model's own answers to them are learnt from as harmless ones.
    pub harmless: Option<HarmlessPrompts>,
    /// How much each of those answers counts.
    pub harmless_weight: f64,
    /// How own answers and the bundle sample; as the model's files say where it says nothing.
    pub sampling: GivenSampling,
    /// The bundle to write as well.
    pub bundle: Option<GivenBundle>,
}

/// How tokens are sampled.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct GivenSampling {
    /// What divides the logits.
    pub temperature: Option<f64>,
    /// How much probability the sampled tokens hold.
    pub top_p: Option<f64>,
}

/// A bundle around the cost.
#[derive(Debug, Clone, PartialEq)]
pub struct GivenBundle {
    /// A new folder, or the folder of such a bundle.
    pub folder: PathBuf,
    /// The budget of the cost; the report's if `None`.
    pub budget: Option<BudgetChoice>,
    /// Candidates per chunk.
    pub candidates: u32,
    /// Tokens of a chunk.
    pub chunk: u32,
}

/// A training whose answers were read and whose model is open.
pub struct CostRun {
    options: CostOptions,
    own: Option<OwnOptions>,
    sampling: GivenSampling,
    bundle: Option<GivenBundle>,
    score_model: Option<ScoreFolder>,
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
    /// Reads answers and prompts, and opens the model.
    ///
    /// # Errors
    /// A folder that no bundle may be written to; answers, prompts and models that cannot be read; a sampler for nothing.
    pub fn open(given: Given) -> Result<Self, TrainingError> {
        let Given { heads, objective, harmful_from, balanced, harmless, harmless_weight, sampling, bundle } = given;
        bundle.as_ref().map_or(Ok(()), |bundle| check_folder(&bundle.folder))?;
        if sampling != GivenSampling::default() && bundle.is_none() && harmless.is_none() {
            return Err(TrainingError::NothingSampled);
        }
        let units = cost::read(&heads.data, &heads.text_prompt)?;
        let prompts = harmless.map(|harmless| harmless.read()).transpose()?;
        let (model, heads, score_model) = heads.open(Some(objective))?;
        let own = prompts.map(|prompts| OwnOptions {
            out: heads.out.clone(),
            prompts,
            sampling: sampling.over(model.info().sampling),
            max_tokens: heads.max_tokens,
            seed: heads.recipe.seed,
            weight: harmless_weight,
        });
        let alpha = bundle.as_ref().and_then(|bundle| bundle.budget?.alpha());
        let options = CostOptions { heads, objective, threshold: harmful_from, balanced, alpha };
        Ok(Self { options, own, sampling, bundle, score_model, units, model })
    }

    /// Lets the model answer the harmless prompts, trains, measures and writes.
    ///
    /// # Errors
    /// [`TrainingError::Critic`].
    pub fn train(&mut self, progress: &ProgressBar) -> Result<Trained, TrainingError> {
        let mut units = self.units.clone();
        if let Some(own) = &self.own {
            units.extend(cost::own_answers(&mut self.model, own, progress)?);
        }
        let (network, report) = cost::train(&self.options, &mut self.model, &units, progress)?;
        Ok(Trained { network, report })
    }

    /// [`CostRun::train`] and [`CostRun::write_bundle`], and the score model that was asked for, with what was written.
    ///
    /// # Errors
    /// Those of both.
    pub fn finish(&mut self, progress: &ProgressBar) -> Result<Finished<CostReport>, TrainingError> {
        let trained = self.train(progress)?;
        let own = self.own_answers();
        let own = own.map(|own| format!("{}: answers that count as harmless; read some", own.display()));
        let mut notes: Vec<String> = own.into_iter().collect();
        if let Some((folder, digest)) = self.write_bundle(&trained)? {
            notes.push(format!("{}: {digest}", folder.display()));
        }
        let settings = cost::settings(&trained.report, "cost");
        notes.push(format!("{}: settings of linear-cost.wasm: {settings}", self.network().display()));
        notes.extend(write_score_model(self.score_model.as_ref(), &trained.network, "cost", &self.model)?);
        Ok(Finished { report: trained.report, notes })
    }

    /// The file of the model's own answers, if it gives any: nobody has looked at them.
    #[must_use]
    pub fn own_answers(&self) -> Option<PathBuf> {
        self.own.as_ref().map(|own| own.out.join(cost::OWN))
    }

    /// The file of the trained network.
    #[must_use]
    pub fn network(&self) -> PathBuf {
        self.options.heads.out.join(cost::NETWORK)
    }

    /// Writes manifest and network of the bundle that was asked for, if they make one. Gives its folder and digest.
    ///
    /// # Errors
    /// [`TrainingError::Critic`] where the report has no budget; a bundle that does not hold, or cannot be written.
    pub fn write_bundle(&self, trained: &Trained) -> Result<Option<(&Path, Digest)>, TrainingError> {
        let Some(GivenBundle { folder, budget, candidates, chunk }) = &self.bundle else {
            return Ok(None);
        };
        // Hazards of longer answers than those that were read are not calibrated.
        let max_tokens = u32::try_from(self.options.heads.max_tokens).unwrap_or(u32::MAX);
        let options = BundleOptions {
            name: bundle_name(folder)?,
            budget: *budget,
            candidates: *candidates,
            chunk: *chunk,
            max_tokens,
            temperature: self.sampling.temperature,
            top_p: self.sampling.top_p,
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

impl GivenSampling {
    /// What it says, over what the model's authors say.
    fn over(self, authors: SamplingSettings) -> Sampling {
        let narrow = |value: f64| value as f32;
        let (temperature, top_p) = (self.temperature.map(narrow), self.top_p.map(narrow));
        SamplingSettings { temperature, top_p, ..SamplingSettings::default() }.or(authors).into()
    }
}

/// Refuses a folder without a name, one with a bundle that this did not write, one whose reward would be lost, and one whose
/// signature would not hold: before the training, not after it.
fn check_folder(folder: &Path) -> Result<(), TrainingError> {
    bundle_name(folder)?;
    let path = folder.join(MANIFEST);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return check_unsigned(folder),
        Err(source) => return Err(TrainingError::ManifestFile { path, source }),
    };
    let wrong = |source| TrainingError::ManifestText { path, source: Box::new(source) };
    let manifest: toml::Table = toml::from_str(&text).map_err(wrong)?;
    let is_trained = manifest.get("networks").is_some_and(|networks| networks.get("cost").is_some());
    match manifest.get("task") {
        _ if !is_trained => Err(TrainingError::OtherBundle { folder: folder.to_owned() }),
        Some(_) => Err(TrainingError::WouldDropReward { folder: folder.to_owned() }),
        None => check_unsigned(folder),
    }
}

/// Refuses a folder with both files of a signature: it would not hold for a new manifest.
fn check_unsigned(folder: &Path) -> Result<(), TrainingError> {
    match [Signature::STATEMENT, Signature::FILE].iter().all(|name| folder.join(name).exists()) {
        true => Err(TrainingError::Signed { folder: folder.to_owned() }),
        false => Ok(()),
    }
}

fn bundle_name(folder: &Path) -> Result<String, TrainingError> {
    let name = folder.file_name().map(|name| name.to_string_lossy().into_owned());
    name.ok_or_else(|| TrainingError::NoName { folder: folder.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_written_again_only_where_nothing_is_lost() {
        let folder = tempfile::tempdir().unwrap();
        let checked = |text: &str| {
            fs::write(folder.path().join(MANIFEST), text).unwrap();
            check_folder(folder.path())
        };
        check_folder(folder.path()).unwrap();
        let ours = "[networks.cost]\nfile = \"cost.safetensors\"\n";
        checked(ours).unwrap();
        assert!(matches!(checked("name = \"x\"\n"), Err(TrainingError::OtherBundle { .. })));
        let error = checked(&format!("task = \"reward\"\n\n{ours}")).unwrap_err();
        assert!(matches!(error, TrainingError::WouldDropReward { .. }), "{error}");
        assert!(error.to_string().contains("would drop"), "{error}");
    }

    #[test]
    fn a_signed_bundle_is_not_written_again() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write(Signature::STATEMENT, "name = \"x\"\n");
        check_folder(folder.path()).unwrap();
        write(Signature::FILE, "untrusted comment: x\n");
        // Also what is left of a signature would be about the new manifest.
        assert!(matches!(check_folder(folder.path()), Err(TrainingError::Signed { .. })));
        write(MANIFEST, "[networks.cost]\nfile = \"cost.safetensors\"\n");
        let error = check_folder(folder.path()).unwrap_err();
        assert!(matches!(error, TrainingError::Signed { .. }), "{error}");
        let words = error.to_string();
        assert!(words.contains("remove bundle.signed.toml and bundle.signed.toml.minisig"), "{words}");
        fs::remove_file(folder.path().join(Signature::FILE)).unwrap();
        check_folder(folder.path()).unwrap();
    }
}
