//! Which prompt template each model gets: as the command line says, else as the bundle says.

use anyhow::{Context, bail, ensure};
use inferenceguard_bundle::Manifest;
use inferenceguard_candle::TemplateChoice;
use std::collections::BTreeMap;

/// The templates that were chosen; models that are not named here get their own.
#[derive(Debug, Clone, Default)]
pub(crate) struct Templates {
    language: Option<TemplateChoice>,
    scores: BTreeMap<String, TemplateChoice>,
}

impl Templates {
    /// `--template [NAME=]…`, NAME being a score model's.
    pub(crate) fn parse(given: &[String]) -> anyhow::Result<Self> {
        let mut templates = Self::default();
        for text in given {
            let (name, template) = split(text);
            let template = template.parse().with_context(|| format!("--template {text}"))?;
            let twice = match name {
                None => templates.language.replace(template).is_some(),
                Some(name) => templates.scores.insert(name.to_owned(), template).is_some(),
            };
            ensure!(!twice, "--template {text}: this model has been given a template already");
        }
        Ok(templates)
    }

    /// The same, with what a bundle says where nothing was said. What contradicts the bundle is an error.
    pub(crate) fn or(mut self, manifest: &Manifest) -> anyhow::Result<Self> {
        if let Some(text) = &manifest.model.template {
            let own: TemplateChoice = text.parse().context("the bundle's `model.template`")?;
            let said = self.language.get_or_insert(own.clone());
            ensure!(*said == own, "--template {said}: the bundle has `{own}`; it was made for that one");
        }
        for (name, entry) in &manifest.scores {
            let Some(text) = &entry.template else { continue };
            let own: TemplateChoice = text.parse().with_context(|| format!("the bundle's `scores.{name}.template`"))?;
            let said = self.scores.entry(name.clone()).or_insert_with(|| own.clone());
            ensure!(*said == own, "--template {name}={said}: the bundle has `{own}`; it was made for that one");
        }
        Ok(self)
    }

    /// Writes them into a bundle's settings, over those that are there.
    pub(crate) fn write(&self, manifest: &mut Manifest) {
        // A bundle that names none leaves it to the model.
        let named = |template: &TemplateChoice| (*template != TemplateChoice::Auto).then(|| template.to_string());
        if let Some(template) = &self.language {
            manifest.model.template = named(template);
        }
        for (name, template) in &self.scores {
            manifest.scores.entry(name.clone()).or_default().template = named(template);
        }
    }

    /// Whether all names are those of score models that are there.
    pub(crate) fn check<'a>(&self, known: impl Iterator<Item = &'a String> + Clone) -> anyhow::Result<()> {
        if let Some(name) = self.scores.keys().find(|name| !known.clone().any(|one| one == *name)) {
            let known: Vec<&str> = known.map(String::as_str).collect();
            bail!("--template {name}=…: no score model is called `{name}`; there are: {}", known.join(", "));
        }
        Ok(())
    }

    /// The language model's.
    pub(crate) fn language(&self) -> TemplateChoice {
        self.language.clone().unwrap_or_default()
    }

    /// A score model's.
    pub(crate) fn score(&self, name: &str) -> TemplateChoice {
        self.scores.get(name).cloned().unwrap_or_default()
    }
}

/// What stands before the first `=`, if it is a name.
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

    fn parse(given: &[&str]) -> anyhow::Result<Templates> {
        Templates::parse(&given.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn templates_are_told_by_model() {
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
