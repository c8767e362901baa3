//! Checks that the models build prompts by the templates that a bundle names.

use crate::{EngineError, back_ends::Handles};
use inferenceguard_bundle::Manifest;
use inferenceguard_model::TemplateNames;

/// Compares the templates of a bundle, or the models' own where it names none, with those that the models were loaded
/// with. So a bundle finds the same templates whether it is the first one or a later one. A missing score model is not
/// compared: another check refuses the role that reads it.
pub(crate) fn check(manifest: &Manifest, models: &Handles) -> Result<(), EngineError> {
    let named = manifest.model.template.as_deref();
    compare("the language model", named, models.language.templates())?;
    for (name, score) in &models.scores {
        let named = manifest.scores.get(name).and_then(|entry| entry.template.as_deref());
        compare(&format!("the score model `{name}`"), named, score.templates())?;
    }
    Ok(())
}

fn compare(whose: &str, named: Option<&str>, names: TemplateNames) -> Result<(), EngineError> {
    let TemplateNames { chosen: found, own } = names;
    let (whose, shown) = (whose.to_owned(), found.clone().unwrap_or_else(|| "no choice of templates".to_owned()));
    match named {
        Some(named) if found.as_deref() != Some(named) => {
            Err(EngineError::OtherTemplate { whose, expected: named.to_owned(), found: shown })
        }
        None if found != own => Err(EngineError::NoTemplate { whose, found: shown }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::{TemplateNames, compare};

    #[test]
    fn a_bundle_finds_the_templates_that_it_would_find_as_the_first() {
        let text = |text: &str| Some(text.to_owned());
        let fits = |named, chosen, own| compare("the language model", named, TemplateNames { chosen, own }).is_ok();
        assert!(fits(Some("beaver"), text("beaver"), text("chat")));
        assert!(!fits(Some("beaver"), text("chat"), text("chat")) && !fits(Some("chat"), None, None));
        assert!(fits(None, text("chat"), text("chat")) && fits(None, None, None));
        // Another bundle names it, or it would have none.
        assert!(!fits(None, text("beaver"), text("chat")) && !fits(None, text("hh"), None));
    }
}
