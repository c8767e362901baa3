//! From `--model` to a folder: a path as it is, or files fetched from the Hugging Face hub into its usual cache.
//!
//! Honours HF_HOME, HF_ENDPOINT, HF_TOKEN and HF_HUB_OFFLINE.

use crate::output;
use anyhow::{Context, bail};
use hf_hub::{
    Cache, Repo, RepoType,
    api::sync::{ApiBuilder, ApiRepo},
};
use std::path::{Path, PathBuf};

/// The folder of a model named by folder or hub id; a GGUF file stays as it is named.
pub(crate) fn folder(model: &str) -> anyhow::Result<PathBuf> {
    let path = Path::new(model);
    let gguf = path.extension().is_some_and(|end| end.eq_ignore_ascii_case("gguf"));
    if path.is_dir() || (gguf && path.is_file()) {
        return Ok(path.to_owned());
    }
    let Some(repo) = parse(model) else {
        bail!("{model}: no such model folder, and not a hub id (org/name or org/name@revision)");
    };
    if offline() {
        return cached(&repo).with_context(|| {
            format!("{model} is no folder here and not in the hub cache, and HF_HUB_OFFLINE forbids fetching it")
        });
    }
    fetch(&repo).with_context(|| format!("{model} is no folder here and could not be fetched from the hub"))
}

/// `org/name` or `org/name@revision`.
fn parse(id: &str) -> Option<Repo> {
    let (name, revision) = id.split_once('@').unwrap_or((id, "main"));
    let (org, model) = name.split_once('/')?;
    let word = |text: &str| {
        let mut letters = text.chars();
        letters.next().is_some_and(char::is_alphanumeric)
            && letters.all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
    };
    let good = word(org) && word(model) && revision.split('/').all(word);
    good.then(|| Repo::with_revision(name.to_owned(), RepoType::Model, revision.to_owned()))
}

fn offline() -> bool {
    std::env::var("HF_HUB_OFFLINE")
        .is_ok_and(|value| !matches!(value.to_lowercase().as_str(), "" | "0" | "false" | "no" | "off"))
}

/// The snapshot that was fetched before, by branch or by commit.
fn cached(repo: &Repo) -> Option<PathBuf> {
    let cache = Cache::from_env();
    let by_branch = cache.repo(repo.clone()).get("config.json");
    let by_commit = cache.path().join(repo.folder_name()).join("snapshots").join(repo.revision()).join("config.json");
    let config = by_branch.or_else(|| by_commit.is_file().then_some(by_commit))?;
    config.parent().map(Path::to_owned)
}

fn fetch(repo: &Repo) -> anyhow::Result<PathBuf> {
    let token = std::env::var("HF_TOKEN").ok().filter(|token| !token.is_empty());
    let mut builder = ApiBuilder::from_env().with_user_agent("inferguard", env!("CARGO_PKG_VERSION"));
    if token.is_some() {
        builder = builder.with_token(token);
    }
    let api = builder.build()?.repo(repo.clone());
    let info = match api.info() {
        Ok(info) => info,
        Err(error) => {
            let Some(folder) = cached(repo) else { return Err(error.into()) };
            output::note(format_args!("the hub does not answer ({error}); using what was fetched before"));
            return Ok(folder);
        }
    };
    let names: Vec<String> = info.siblings.into_iter().map(|file| file.rfilename).collect();
    fetch_files(&api, &names)
}

fn fetch_files(api: &ApiRepo, names: &[String]) -> anyhow::Result<PathBuf> {
    for name in names.iter().filter(|name| wanted(name)) {
        api.get(name).with_context(|| format!("fetching {name}"))?;
    }
    let config = api.get("config.json").context("fetching config.json")?;
    config.parent().map(Path::to_owned).context("the hub cache has no folder for it")
}

/// The files a model folder is made of; other formats of the same weights stay where they are.
fn wanted(name: &str) -> bool {
    const SETTINGS: [&str; 6] = [
        "config.json",
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
    fn ids_are_told_from_paths() {
        let repo = parse("org/name@v1.0").unwrap();
        assert_eq!((repo.url().as_str(), repo.revision()), ("org/name", "v1.0"));
        assert_eq!(parse("org/name").unwrap().revision(), "main");
        for path in ["./org/name", "/org/name", "../name", "name", "a/b/c", "a/b@", "a/b@../x", "a b/c", ""] {
            assert!(parse(path).is_none(), "{path}");
        }
    }

    #[test]
    fn only_the_files_of_a_model_folder_are_fetched() {
        for name in ["config.json", "model-00001-of-00002.safetensors", "model.safetensors", "tokenizer.json"] {
            assert!(wanted(name), "{name}");
        }
        for name in ["pytorch_model.bin", "consolidated.safetensors", "onnx/model.safetensors", "README.md"] {
            assert!(!wanted(name), "{name}");
        }
    }
}
