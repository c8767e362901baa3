//! The probes that the command line names: which model each belongs to.

use crate::{CatalogError, EngineOptions, Loading, remote::read};
use inferenceguard_engines::{Probe, Remote};
use std::{collections::BTreeSet, path::Path};

/// The name of the probe of the servers of `--latents`.
pub(crate) const LATENTS: &str = "latents";

impl EngineOptions {
    /// The probe of this name.
    pub(crate) fn probe(&self, name: Option<&str>) -> Result<Option<Probe>, CatalogError> {
        let found = self.probes.iter().map(|text| split(text)).find(|(found, _)| *found == name);
        let Some((_, path)) = found else { return Ok(None) };
        let text = read(Path::new(path))?;
        let probe = Probe::parse(text.as_bytes());
        Ok(Some(probe.map_err(|source| CatalogError::Probe { path: path.into(), source })?))
    }

    /// Checks that every probe is that of a model in an engine: the language model, `latents`, or one of these score models.
    ///
    /// # Errors
    /// [`CatalogError::UnknownProbe`], [`CatalogError::ProbeTwice`].
    pub(crate) fn check_probes<'a>(&self, scores: impl Iterator<Item = &'a String>) -> Result<(), CatalogError> {
        let mut known: BTreeSet<Option<&str>> = scores.map(|name| Some(name.as_str())).collect();
        known.extend(self.engine.is_some().then_some(None));
        known.extend(self.latents.is_some().then_some(Some(LATENTS)));
        let mut found = BTreeSet::new();
        for text in &self.probes {
            let (name, _) = split(text);
            if !known.contains(&name) {
                return Err(CatalogError::UnknownProbe { found: text.clone(), known: listed(&known) });
            }
            if !found.insert(name) {
                return Err(CatalogError::ProbeTwice { found: text.clone() });
            }
        }
        Ok(())
    }
}

/// The name and the file of `[NAME=]FILE`. A name holds no `/`: what is before `=` then belongs to the file's folder.
fn split(text: &str) -> (Option<&str>, &str) {
    match text.split_once('=') {
        Some((name, path)) if !name.contains('/') => (Some(name), path),
        _ => (None, text),
    }
}

/// The probes that may be given, for an error.
fn listed(known: &BTreeSet<Option<&str>>) -> String {
    let one = |name: &Option<&str>| name.map_or_else(|| "FILE".to_owned(), |name| format!("{name}=FILE"));
    if known.is_empty() { "none".to_owned() } else { known.iter().map(one).collect::<Vec<_>>().join(", ") }
}

/// Shows that nothing recognises the model of an engine.
pub(crate) fn unprobed(remote: &Remote, option: &str, name: &str, loading: &Loading) {
    if remote.probe.is_none() {
        let remedy = format!("make a probe with `inferguard model probe` and give it with --probe {name}FILE");
        (loading.note())(&format!("warning: {option}: nothing checks which weights the engine serves; {remedy}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_probe_that_nothing_uses_is_refused() {
        let options = |probes: &[&str]| EngineOptions {
            engine: Some("vllm=http://a".into()),
            probes: probes.iter().map(|text| (*text).to_owned()).collect(),
            ..EngineOptions::default()
        };
        let cost = ["cost".to_owned()];
        let check = |options: &EngineOptions| options.check_probes(cost.iter()).map_err(|error| error.to_string());
        assert_eq!(check(&options(&["a.json", "cost=b.json", "models/x=1/c.json"])).unwrap_err(), twice());
        assert_eq!(check(&options(&["models/x=1/c.json", "cost=b.json"])), Ok(()));
        let latents = EngineOptions { latents: Some("http://b".into()), ..options(&["latents=b.json"]) };
        assert_eq!(check(&latents), Ok(()));
        for (given, known) in [("csot=b.json", "FILE, cost=FILE"), ("latents=b.json", "FILE, cost=FILE")] {
            let error = check(&options(&[given])).unwrap_err();
            assert!(error.contains(given) && error.contains(known), "{error}");
        }
        let alone = EngineOptions { probes: vec!["a.json".into()], ..EngineOptions::default() };
        let error = alone.check_probes([].iter()).unwrap_err().to_string();
        assert!(error.contains("a.json") && error.contains("none"), "{error}");
    }

    fn twice() -> String {
        CatalogError::ProbeTwice { found: "models/x=1/c.json".into() }.to_string()
    }

    #[test]
    fn a_probe_belongs_to_the_model_that_it_names() {
        let folder = std::env::temp_dir().join(format!("inferenceguard-probe-{}", std::process::id()));
        let json = r#"{"model":"m","precision":"f32","sequences":[{"prompt":[1],"tokens":[2],"values":[-1.5]}]}"#;
        fs::write(&folder, json).unwrap();
        let options = EngineOptions { probes: vec![format!("cost={}", folder.display())], ..EngineOptions::default() };
        let found = [options.probe(Some("cost")), options.probe(None), options.probe(Some("reward"))];
        fs::remove_file(&folder).unwrap();
        assert_eq!(found.map(|probe| probe.unwrap().is_some()), [true, false, false]);
    }
}
