//! Whether models make prompts as a bundle wants them made.

use crate::{EngineError, scores::ScoreModels};
use inferenceguard_bundle::Manifest;
use inferenceguard_model::Model;

/// Compares what a bundle says with how the models were loaded. Score models that are not there are not compared: a role
/// that reads one is refused elsewhere.
pub(crate) fn check(manifest: &Manifest, model: &dyn Model, scores: &ScoreModels) -> Result<(), EngineError> {
    compare("the language model", manifest.model.template.as_deref(), model.template())?;
    for (name, entry) in &manifest.scores {
        if let Some(score) = scores.get(name) {
            compare(&format!("the score model `{name}`"), entry.template.as_deref(), score.template())?;
        }
    }
    Ok(())
}

fn compare(whose: &str, expected: Option<&str>, found: Option<String>) -> Result<(), EngineError> {
    match expected {
        Some(expected) if found.as_deref() != Some(expected) => {
            let (whose, expected) = (whose.to_owned(), expected.to_owned());
            let found = found.unwrap_or_else(|| "no choice of templates".to_owned());
            Err(EngineError::OtherTemplate { whose, expected, found })
        }
        _ => Ok(()),
    }
}
