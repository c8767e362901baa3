//! Prices texts by a bundle whose costs read text alone. No model is loaded.

use crate::{CatalogError, cache, with_components};
use inferenceguard_bundle::Bundle;
use inferenceguard_host::{EngineBuilder, EngineError, OWN_METHOD, RolesFactory};
use inferenceguard_sandbox::Sandbox;
use inferenceguard_search::{PricedText, SearchConfig, TextPiece, price_text, reads_text_alone};
use std::sync::Arc;

/// A bundle that prices texts.
pub struct TextJudge {
    config: SearchConfig,
    roles: Arc<dyn RolesFactory>,
}

impl std::fmt::Debug for TextJudge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TextJudge").field("config", &self.config).finish_non_exhaustive()
    }
}

impl TextJudge {
    /// Compiles and configures the bundle's components.
    ///
    /// # Errors
    /// [`CatalogError::ReadsModel`] with the first cost of a constraint that reads more than text; [`EngineError::Unguarded`] for
    /// a bundle without constraints; what keeps a component from running.
    pub fn open(bundle: &Bundle) -> Result<Self, CatalogError> {
        let sandbox = Sandbox::new(bundle.manifest().limits.clone(), cache().as_deref())?;
        let builder = with_components(EngineBuilder::new().bundle(bundle).sandbox(sandbox));
        let roles = builder.build_roles(OWN_METHOD)?;
        let (config, opened) = (bundle.manifest().search_config(), roles.open()?);
        if config.constraints.is_empty() {
            return Err(EngineError::Unguarded.into());
        }
        for priced in &config.constraints {
            if opened.costs.get(&priced.cost).is_some_and(|cost| !reads_text_alone(cost.needs())) {
                let (bundle, cost) = (bundle.manifest().name.clone(), priced.cost.clone());
                return Err(CatalogError::ReadsModel { bundle, cost });
            }
        }
        Ok(Self { config, roles })
    }

    /// What a text costs under every constraint, as the answer to a prompt.
    ///
    /// # Errors
    /// [`CatalogError::Engine`] where no instance is free, [`CatalogError::Priced`] where a component fails.
    pub fn price(&self, prompt: &str, pieces: &[TextPiece]) -> Result<Vec<PricedText>, CatalogError> {
        let mut roles = self.roles.open()?;
        Ok(price_text(&self.config, &mut *roles.tracker, &mut roles.costs, prompt, pieces)?)
    }
}

/// A text in words, each with the white space before it: pieces for a text that no model has written.
#[must_use]
pub fn words(text: &str) -> Vec<TextPiece> {
    let mut pieces: Vec<TextPiece> = Vec::new();
    let mut inside = false;
    for character in text.chars() {
        let begins = character.is_whitespace() && inside;
        inside = !character.is_whitespace();
        match pieces.last_mut().filter(|_| !begins) {
            Some((_, piece)) => piece.push(character),
            None => pieces.push((pieces.len() as u32, character.to_string())),
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_lose_nothing_and_begin_with_their_white_space() {
        let texts = |text: &str| words(text).into_iter().map(|(_, piece)| piece).collect::<Vec<_>>();
        assert_eq!(texts("How to  hack?\n"), ["How", " to", "  hack?", "\n"]);
        assert_eq!(texts(" a"), [" a"]);
        assert!(texts("").is_empty());
        let ids: Vec<u32> = words("a b c").into_iter().map(|(id, _)| id).collect();
        assert_eq!(ids, [0, 1, 2]);
    }
}
