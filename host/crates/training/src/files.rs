//! The files of a language model that is trained for.

use inferenceguard_candle::ModelFiles;
use inferenceguard_catalog::{CatalogError, Note, embedded, language_files};

/// The files of a model that is named by a folder, a hub id, or the name of a demonstration model.
pub(crate) fn of_language(model: Option<&str>, note: Note) -> Result<ModelFiles, CatalogError> {
    model.and_then(embedded::model).map_or_else(|| language_files(model, note), Ok)
}
