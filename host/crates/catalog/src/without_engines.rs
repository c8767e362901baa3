//! Takes the place of `remote` in builds without the feature `engines`: every model runs here.

use crate::{CatalogError, Choice, EngineOptions, Loading, ProbeKind};
use inferenceguard_model::{BackEnd, ScoreBackEnd, Tokenizer};
use std::sync::Arc;

impl EngineOptions {
    /// Nothing: the language model runs here.
    ///
    /// # Errors
    /// [`CatalogError::NoEngines`] if the options name an engine.
    pub fn language(&self, _: Option<&str>, _: &Loading) -> Result<Option<Arc<dyn BackEnd>>, CatalogError> {
        let named = [("--engine", self.engine.is_some()), ("--latents", self.latents.is_some())];
        let found = named.into_iter().find(|(_, is_there)| *is_there);
        found.map_or(Ok(None), |(option, _)| Err(refused(option)))
    }

    /// No score model: those of engines are refused.
    ///
    /// # Errors
    /// [`CatalogError::NoEngines`].
    pub fn score(
        &self,
        name: &str,
        place: &str,
        _: &Loading,
        _: &dyn Tokenizer,
    ) -> Result<Option<Arc<dyn ScoreBackEnd>>, CatalogError> {
        Err(refused(&format!("--score {name}={place}")))
    }

    /// Refuses probes, which only the models of engines have.
    ///
    /// # Errors
    /// [`CatalogError::NoEngines`].
    pub(crate) fn check_probes<'a>(&self, _: impl Iterator<Item = &'a String>) -> Result<(), CatalogError> {
        if self.probes.is_empty() { Ok(()) } else { Err(refused("--probe")) }
    }
}

/// No probe: nothing in this build could use one.
///
/// # Errors
/// [`CatalogError::NoEngines`].
pub fn probe_of(_: &Choice, _: ProbeKind) -> Result<String, CatalogError> {
    Err(refused("model probe"))
}

fn refused(option: &str) -> CatalogError {
    CatalogError::NoEngines { option: option.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_needs_an_engine_is_refused_by_its_name() {
        let probes = EngineOptions { probes: vec!["a.json".to_owned()], ..EngineOptions::default() };
        let error = probes.check_probes([].iter()).unwrap_err().to_string();
        assert!(error.contains("--probe") && error.contains("feature engines"), "{error}");
        assert!(EngineOptions::default().check_probes([].iter()).is_ok());
    }
}
