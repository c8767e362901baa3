//! Which prompt template each model uses: the command line's, else the bundle's, else its own.

use crate::CatalogError;
use inferenceguard_bundle::Manifest;
use inferenceguard_candle::TemplateChoice;
use std::collections::BTreeMap;

/// The templates that were chosen, by model. A model without a choice uses its own template.
#[derive(Debug, Clone, Default)]
pub struct Templates {
    language: Option<TemplateChoice>,
    scores: BTreeMap<String, TemplateChoice>,
}

impl Templates {
    /// Reads `[NAME=]TEMPLATE`, each for the language model or for the score model of this name.
    ///
    /// # Errors
    /// [`CatalogError::Template`], [`CatalogError::TemplateTwice`].
    pub fn parse(given: &[String]) -> Result<Self, CatalogError> {
        let mut templates = Self::default();
        for text in given {
            let (name, template) = split(text);
            let wrong = |source| CatalogError::Template { found: text.clone(), source };
            let template = template.parse().map_err(wrong)?;
            let twice = match name {
                None => templates.language.replace(template).is_some(),
                Some(name) => templates.scores.insert(name.to_owned(), template).is_some(),
            };
            if twice {
                return Err(CatalogError::TemplateTwice { found: text.clone() });
            }
        }
        Ok(templates)
    }

    /// These templates; where none was chosen, the bundle's.
    ///
    /// # Errors
    /// [`CatalogError::OtherTemplate`] if the bundle names another template than the chosen one.
    pub fn or(mut self, manifest: &Manifest) -> Result<Self, CatalogError> {
        if let Some(text) = &manifest.model.template {
            let own = of_bundle(text, || "model.template".to_owned())?;
            let chosen = self.language.get_or_insert(own.clone());
            same(chosen, &own, "")?;
        }
        for (name, entry) in &manifest.scores {
            let Some(text) = &entry.template else { continue };
            let own = of_bundle(text, || format!("scores.{name}.template"))?;
            let chosen = self.scores.entry(name.clone()).or_insert_with(|| own.clone());
            same(chosen, &own, &format!("{name}="))?;
        }
        Ok(self)
    }

    /// Writes them into a bundle's settings, over those that are there.
    pub fn write(&self, manifest: &mut Manifest) {
        // `auto` is written by leaving the key out.
        let named = |template: &TemplateChoice| (*template != TemplateChoice::Auto).then(|| template.to_string());
        if let Some(template) = &self.language {
            manifest.model.template = named(template);
        }
        for (name, template) in &self.scores {
            manifest.scores.entry(name.clone()).or_default().template = named(template);
        }
    }

    /// Checks that every score model with a template is one of `known`.
    ///
    /// # Errors
    /// [`CatalogError::UnknownScoreModel`].
    pub fn check<'a>(&self, known: impl Iterator<Item = &'a String> + Clone) -> Result<(), CatalogError> {
        match self.scores.keys().find(|name| !known.clone().any(|one| one == *name)) {
            Some(name) => {
                let known = known.map(String::as_str).collect::<Vec<_>>().join(", ");
                Err(CatalogError::UnknownScoreModel { name: name.clone(), known })
            }
            None => Ok(()),
        }
    }

    /// The language model's.
    #[must_use]
    pub fn language(&self) -> TemplateChoice {
        self.language.clone().unwrap_or_default()
    }

    /// A score model's.
    #[must_use]
    pub fn score(&self, name: &str) -> TemplateChoice {
        self.scores.get(name).cloned().unwrap_or_default()
    }
}

/// Reads a template in a bundle's manifest; `key` says where it stands.
fn of_bundle(text: &str, key: impl Fn() -> String) -> Result<TemplateChoice, CatalogError> {
    text.parse().map_err(|source| CatalogError::BundleTemplate { key: key(), source })
}

fn same(chosen: &TemplateChoice, own: &TemplateChoice, name: &str) -> Result<(), CatalogError> {
    if chosen == own {
        return Ok(());
    }
    Err(CatalogError::OtherTemplate { found: format!("{name}{chosen}"), expected: own.to_string() })
}

/// Splits `NAME=TEMPLATE`; text before the first `=` that is not a name belongs to the template.
fn split(text: &str) -> (Option<&str>, &str) {
    let is_name = |name: &str| !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || "-_.".contains(c));
    match text.split_once('=') {
        Some((name, template)) if is_name(name) => (Some(name), template),
        _ => (None, text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(given: &[&str]) -> Result<Templates, CatalogError> {
        Templates::parse(&given.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn each_template_belongs_to_a_model() {
        let found = parse(&["beaver", "reward=hh", "cost=Q: {prompt}\nA="]).unwrap();
        assert_eq!(found.language(), TemplateChoice::Beaver);
        assert_eq!(found.score("reward"), TemplateChoice::Hh);
        assert_eq!(found.score("cost"), TemplateChoice::Format("Q: {prompt}\nA=".into()));
        assert_eq!(found.score("other"), TemplateChoice::Auto);
        assert_eq!(parse(&["a b={prompt}"]).unwrap().language(), TemplateChoice::Format("a b={prompt}".into()));
    }

    #[test]
    fn what_is_no_template_is_refused() {
        for wrong in ["", "Beaver", "reward=", "reward=x", "no place", "{prompt}{prompt}", "{prompt}\\n"] {
            assert!(parse(&[wrong]).is_err(), "{wrong}");
        }
        assert!(parse(&["chat", "plain"]).is_err() && parse(&["a=chat", "a=chat"]).is_err());
        let known = ["reward".to_owned()];
        assert!(parse(&["reward=hh"]).unwrap().check(known.iter()).is_ok());
        assert!(parse(&["rewrad=hh"]).unwrap().check(known.iter()).is_err());
    }
}
