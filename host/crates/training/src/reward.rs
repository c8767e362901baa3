//! A reward on a language model's own latents, from pairs or graded answers, and a bundle that ranks by it.

use crate::{Finished, GivenHeads, TrainingError, heads::write_score_model};
use indicatif::ProgressBar;
use inferenceguard_bundle::{Bundle, Digest, MANIFEST, Network};
use inferenceguard_catalog::{
    REWARD,
    bundles::{self, Fallback},
    with_reward, write_file,
};
use inferenceguard_critic::cost::{
    RewardObjective, RewardOptions, ScoreFolder, Unit,
    reward::{self, RewardReport},
};
use inferenceguard_model::{Generator, Native};
use std::path::{Path, PathBuf};

/// A training, as an operator names it.
#[derive(Debug, Clone)]
pub struct Given {
    /// Answers, model and heads.
    pub heads: GivenHeads,
    /// What the heads learn.
    pub objective: RewardObjective,
    /// The folder of a bundle that ranks by the reward from then on.
    pub bundle: Option<PathBuf>,
}

/// A training whose answers were read and whose model is open.
pub struct RewardRun {
    options: RewardOptions,
    bundle: Option<(PathBuf, Bundle)>,
    score_model: Option<ScoreFolder>,
    units: Vec<Unit>,
    model: Native,
}

/// A trained reward.
#[derive(Debug, Clone)]
pub struct TrainedReward {
    /// The head.
    pub network: Network,
    /// How good it is.
    pub report: RewardReport,
}

impl RewardRun {
    /// Reads the bundle and the answers, and opens the model.
    ///
    /// # Errors
    /// A bundle that ranks by something else, is signed, or is for another model; answers and models that cannot be read.
    pub fn open(given: Given) -> Result<Self, TrainingError> {
        let bundle = given.bundle.map(open_bundle).transpose()?;
        let units = reward::read(&given.heads.data, &given.heads.text_prompt)?;
        let (model, heads, score_model) = given.heads.open(None)?;
        if let Some((_, bundle)) = &bundle {
            check_model(bundle, model.info().base())?;
        }
        let options = RewardOptions { heads, objective: given.objective };
        Ok(Self { options, bundle, score_model, units, model })
    }

    /// Trains, measures and writes.
    ///
    /// # Errors
    /// [`TrainingError::Critic`].
    pub fn train(&mut self, progress: &ProgressBar) -> Result<TrainedReward, TrainingError> {
        let (network, report) = reward::train(&self.options, &mut self.model, &self.units, progress)?;
        Ok(TrainedReward { network, report })
    }

    /// [`RewardRun::train`] and [`RewardRun::write_bundle`], and the score model that was asked for, with what was written.
    ///
    /// # Errors
    /// Those of both.
    pub fn finish(&mut self, progress: &ProgressBar) -> Result<Finished<RewardReport>, TrainingError> {
        let trained = self.train(progress)?;
        let bundle = self.write_bundle(&trained)?;
        let mut notes: Vec<String> =
            bundle.map(|(folder, digest)| format!("{}: {digest}", folder.display())).into_iter().collect();
        let settings = reward::settings(&trained.report, REWARD).map(|(name, text)| format!("{name} = {text:?}"));
        let (network, settings) = (self.network(), settings.join(", "));
        notes.push(format!("{}: settings of linear-cost.wasm: {{ {settings} }}", network.display()));
        notes.extend(write_score_model(self.score_model.as_ref(), &trained.network, "reward", &self.model)?);
        Ok(Finished { report: trained.report, notes })
    }

    /// The file of the trained network.
    #[must_use]
    pub fn network(&self) -> PathBuf {
        self.options.heads.out.join(reward::NETWORK)
    }

    /// Writes the reward into the bundle that was named, if the two make one. Gives its folder and digest.
    ///
    /// # Errors
    /// A bundle that does not hold, or cannot be written.
    pub fn write_bundle(&self, trained: &TrainedReward) -> Result<Option<(&Path, Digest)>, TrainingError> {
        let Some((folder, bundle)) = &self.bundle else { return Ok(None) };
        let settings = reward::settings(&trained.report, REWARD);
        let text = with_reward(bundle.text(), reward::COMPONENT, reward::NETWORK, &settings)?;
        let bytes = trained.network.to_bytes()?;
        let mut files = bundles::first_party();
        files.extend(bundle.files().clone());
        files.insert(reward::NETWORK.to_owned(), bytes.clone());
        let whole = Bundle::from_parts(&text, &files)?;
        write_file(&folder.join(reward::NETWORK), &bytes)?;
        write_file(&folder.join(MANIFEST), text.as_bytes())?;
        Ok(Some((folder.as_path(), whole.digest())))
    }
}

/// The bundle of a folder that may take a reward: found out before the training, not after it.
fn open_bundle(folder: PathBuf) -> Result<(PathBuf, Bundle), TrainingError> {
    if !folder.join(MANIFEST).is_file() {
        return Err(TrainingError::NoBundle { folder });
    }
    let bundle = bundles::open(Some(folder.as_path()), Fallback::Plain)?;
    if bundle.signature().is_some() {
        return Err(TrainingError::Signed { folder });
    }
    let manifest = bundle.manifest();
    let ours = manifest.networks.get(REWARD).is_some_and(|network| network.file == reward::NETWORK);
    match manifest.task.as_deref() {
        Some(REWARD) if ours => {}
        Some(found) => return Err(TrainingError::OtherTask { found: found.to_owned(), folder }),
        None if manifest.costs.contains_key(REWARD) || manifest.networks.contains_key(REWARD) => {
            return Err(TrainingError::NameTaken { folder });
        }
        None => {}
    }
    Ok((folder, bundle))
}

/// Refuses a bundle with a network for another model: no model could open both.
fn check_model(bundle: &Bundle, expected: &str) -> Result<(), TrainingError> {
    for (name, network) in bundle.networks().iter().filter(|(name, _)| *name != REWARD) {
        if let Some(found) = network.metadata.get("model").filter(|found| *found != expected) {
            let (network, found, expected) = (name.clone(), found.clone(), expected.to_owned());
            return Err(TrainingError::OtherModel { network, found, expected });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use inferenceguard_bundle::{
        Signature,
        network::{Layer, LayerActivation},
    };
    use std::{collections::BTreeMap, fs};

    const TEXT: &str = "name = \"x\"\nversion = \"1.0.0\"\n\n[policy]\ncomponent = \"inference-guard.wasm\"\n\n\
                        [tracker]\ncomponent = \"safety-budget.wasm\"\n\n[costs.harm]\n\
                        component = \"linear-cost.wasm\"\nsettings = { network = \"cost\" }\n\n\
                        [networks.cost]\nfile = \"cost.safetensors\"\n\n\
                        [[constraints]]\nname = \"harm\"\ncost = \"harm\"\nbudget = 1.0\n";

    fn folder(text: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let layer = Layer { weights: vec![1.0; 4], bias: vec![0.0], activation: LayerActivation::Identity };
        let metadata = BTreeMap::from([("model".to_owned(), "sha256:a".to_owned())]);
        let network = Network { layers: [layer].into(), metadata }.to_bytes().unwrap();
        fs::write(folder.path().join(MANIFEST), text).unwrap();
        for file in ["cost.safetensors", reward::NETWORK] {
            fs::write(folder.path().join(file), &network).unwrap();
        }
        folder
    }

    #[test]
    fn a_bundle_takes_a_reward_only_where_it_replaces_nothing_else() {
        let opened = |text: &str| open_bundle(folder(text).path().to_owned());
        assert!(opened(TEXT).is_ok());
        let settings = [("network", REWARD.to_owned()), ("kind", "task".to_owned())];
        let ours = with_reward(TEXT, reward::COMPONENT, reward::NETWORK, &settings).unwrap();
        assert!(opened(&ours).is_ok(), "what an earlier training wrote is replaced");
        let other = TEXT.replace("[policy]", "task = \"harm\"\n\n[policy]");
        assert!(matches!(opened(&other), Err(TrainingError::OtherTask { .. })));
        let taken =
            TEXT.replace("networks.cost", "networks.reward").replace("network = \"cost\"", "network = \"reward\"");
        assert!(matches!(opened(&taken), Err(TrainingError::NameTaken { .. })));
        let none = tempfile::tempdir().unwrap();
        assert!(matches!(open_bundle(none.path().to_owned()), Err(TrainingError::NoBundle { .. })));
    }

    #[test]
    fn a_signed_bundle_takes_no_reward() {
        let folder = folder(TEXT);
        for name in [Signature::STATEMENT, Signature::FILE] {
            fs::write(folder.path().join(name), "x\n").unwrap();
        }
        let error = open_bundle(folder.path().to_owned()).unwrap_err();
        assert!(matches!(error, TrainingError::Signed { .. }), "{error}");
    }

    #[test]
    fn a_bundle_for_another_model_is_refused() {
        let folder = folder(TEXT);
        let (_, bundle) = open_bundle(folder.path().to_owned()).unwrap();
        check_model(&bundle, "sha256:a").unwrap();
        let error = check_model(&bundle, "sha256:b").unwrap_err().to_string();
        assert!(error.contains("`cost`") && error.contains("sha256:a") && error.contains("sha256:b"), "{error}");
    }
}
