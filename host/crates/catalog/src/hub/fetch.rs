//! Fetches the files of a model from the hub.

use super::{HubError, Named, cached, fetching::Fetching, is_gguf, parts};
use crate::Note;
use hf_hub::{
    Cache,
    api::sync::{ApiBuilder, ApiRepo},
};
use std::path::{Path, PathBuf};

/// Fetches what is named; where the hub does not answer, what was fetched before.
///
/// # Errors
/// A hub that does not answer, or that lacks a file.
pub(super) fn fetch(named: &Named, note: Note) -> Result<PathBuf, HubError> {
    let token = std::env::var("HF_TOKEN").ok().filter(|token| !token.is_empty());
    let mut builder = ApiBuilder::from_env().with_user_agent("inferguard", env!("CARGO_PKG_VERSION"));
    if token.is_some() {
        builder = builder.with_token(token);
    }
    let api = builder.build().map_err(Box::new)?.repo(named.repo.clone());
    let info = match api.info() {
        Ok(info) => info,
        Err(error) => {
            let Some(found) = cached(named) else { return Err(Box::new(error).into()) };
            note(&format!("the hub does not answer ({error}); using what was fetched before"));
            return Ok(found);
        }
    };
    let names: Vec<String> = info.siblings.into_iter().map(|file| file.rfilename).collect();
    match &named.file {
        None => fetch_files((&api, note), named, &names),
        Some(file) => fetch_gguf((&api, note), named, &names, file),
    }
}

/// Fetches one GGUF file with the other parts of the same model, and no other file.
fn fetch_gguf(hub: (&ApiRepo, Note), named: &Named, names: &[String], file: &str) -> Result<PathBuf, HubError> {
    let mut first = None;
    for part in parts(file) {
        if !names.contains(&part) {
            return Err(HubError::NoPart { part, found: ggufs(names) });
        }
        let path = fetch_file(hub, named, &part)?;
        first.get_or_insert(path);
    }
    first.ok_or(HubError::NoFolder)
}

/// A file from the cache, or else from the hub; a file that was fetched in part is fetched to its end.
fn fetch_file((api, note): (&ApiRepo, Note), named: &Named, file: &str) -> Result<PathBuf, HubError> {
    if let Some(path) = Cache::from_env().repo(named.repo.clone()).get(file) {
        return Ok(path);
    }
    let fetched = api.download_with_progress(file, Fetching::new(note));
    fetched.map_err(|source| HubError::File { file: file.to_owned(), source: Box::new(source) })
}

fn ggufs(names: &[String]) -> String {
    let found: Vec<&str> = names.iter().map(String::as_str).filter(|name| is_gguf(name)).collect();
    if found.is_empty() { "none".to_owned() } else { found.join(", ") }
}

fn fetch_files(hub: (&ApiRepo, Note), named: &Named, names: &[String]) -> Result<PathBuf, HubError> {
    if !names.iter().any(|name| name == "config.json") && names.iter().any(|name| is_gguf(name)) {
        return Err(HubError::NoFileNamed { found: ggufs(names) });
    }
    for name in names.iter().filter(|name| wanted(name)) {
        fetch_file(hub, named, name)?;
    }
    fetch_file(hub, named, "config.json")?.parent().map(Path::to_owned).ok_or(HubError::NoFolder)
}

/// Whether a file belongs to a model folder; the same weights in other formats are not fetched.
fn wanted(name: &str) -> bool {
    const SETTINGS: [&str; 8] = [
        "config.json",
        "added_tokens.json",
        "special_tokens_map.json",
        "generation_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "chat_template.jinja",
        "model.safetensors.index.json",
    ];
    let weights = name.starts_with("model") && name.ends_with(".safetensors") && !name.contains('/');
    weights || SETTINGS.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_files_of_a_model_folder_are_fetched() {
        for name in ["config.json", "model-00001-of-00002.safetensors", "tokenizer.json", "special_tokens_map.json"] {
            assert!(wanted(name), "{name}");
        }
        for name in ["pytorch_model.bin", "consolidated.safetensors", "onnx/model.safetensors", "README.md"] {
            assert!(!wanted(name), "{name}");
        }
    }
}
