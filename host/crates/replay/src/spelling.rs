//! The model that answered, for the spelling of tokens that no cost read as text.

use crate::ReplayError;
use inferenceguard_catalog::{CatalogError, Loading, LoadingOptions, language_files, language_model};
use inferenceguard_model::{Model, ModelIdentity, Tokenizer};
use inferenceguard_record::Body;
use std::{cell::OnceCell, sync::Arc};

/// A model's tokenizer, and which model it is.
pub type Language = (Arc<dyn Tokenizer>, ModelIdentity);

/// Spells tokens by a model, which is loaded when a record needs it first.
pub struct Speller {
    model: Option<String>,
    loading: LoadingOptions,
    loaded: OnceCell<Option<Language>>,
}

impl Speller {
    /// By a folder, a GGUF file or a hub id; by the demonstration model if `None`.
    #[must_use]
    pub fn new(model: Option<String>, loading: LoadingOptions) -> Self {
        Self { model, loading, loaded: OnceCell::new() }
    }

    /// The model for the tokens of a record; none where a cost read all of its text, or where this build carries no model.
    ///
    /// # Errors
    /// [`ReplayError::Catalog`] for a model that cannot be opened.
    pub fn of(&self, body: &Body) -> Result<Option<&Language>, ReplayError> {
        // The record's own text will do where a cost read all of it.
        if body.nearest().is_none_or(|nearest| nearest.texts.is_some()) {
            return Ok(None);
        }
        if let Some(language) = self.loaded.get() {
            return Ok(language.as_ref());
        }
        let language = self.load()?;
        Ok(self.loaded.get_or_init(|| language).as_ref())
    }

    fn load(&self) -> Result<Option<Language>, ReplayError> {
        let loading = Loading::new(&self.loading, None)?;
        let files = match language_files(self.model.as_deref(), loading.note()) {
            Err(CatalogError::NoDemoModel) => return Ok(None),
            files => files?,
        };
        let model = language_model(&files, &loading.language(), loading.note())?;
        Ok(Some((model.tokenizer(), ModelIdentity::from(model.info()))))
    }
}
