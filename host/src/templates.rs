//! Whether models make prompts as a bundle wants them made.

use crate::{EngineError, scores::ScoreModels};
use inferenceguard_bundle::Manifest;
use inferenceguard_model::Model;

/// Compares what a bundle says, or leaves to the model, with how the models were loaded: the same bundle must find the
/// same templates when it is the first one. Score models that are not there are not compared: a role that reads one is
/// refused elsewhere.
pub(crate) fn check(manifest: &Manifest, model: &dyn Model, scores: &ScoreModels) -> Result<(), EngineError> {
    let said = manifest.model.template.as_deref();
    compare("the language model", said, model.template(), model.own_template())?;
    for (name, score) in scores {
        let said = manifest.scores.get(name).and_then(|entry| entry.template.as_deref());
        compare(&format!("the score model `{name}`"), said, score.template(), score.own_template())?;
    }
    Ok(())
}

fn compare(whose: &str, said: Option<&str>, found: Option<String>, own: Option<String>) -> Result<(), EngineError> {
    let (whose, shown) = (whose.to_owned(), found.clone().unwrap_or_else(|| "no choice of templates".to_owned()));
    match said {
        Some(said) if found.as_deref() != Some(said) => {
            Err(EngineError::OtherTemplate { whose, expected: said.to_owned(), found: shown })
        }
        None if found != own => Err(EngineError::NoTemplate { whose, found: shown }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::compare;

    #[test]
    fn a_bundle_finds_the_templates_that_it_would_find_as_the_first() {
        let text = |text: &str| Some(text.to_owned());
        let fits = |said, found, own| compare("the language model", said, found, own).is_ok();
        assert!(fits(Some("beaver"), text("beaver"), text("chat")));
        assert!(!fits(Some("beaver"), text("chat"), text("chat")) && !fits(Some("chat"), None, None));
        assert!(fits(None, text("chat"), text("chat")) && fits(None, None, None));
        // Another bundle names it, or it would have none.
        assert!(!fits(None, text("beaver"), text("chat")) && !fits(None, text("hh"), None));
    }
}
