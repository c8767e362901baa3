//! From `--model` to a folder or a file: a path as it is, or files fetched from the Hugging Face hub into its usual cache.
//!
//! Honours HF_HOME, HF_ENDPOINT, HF_TOKEN and HF_HUB_OFFLINE.

use crate::output;
use anyhow::{Context, bail};
use hf_hub::{
    Cache, Repo, RepoType,
    api::sync::{ApiBuilder, ApiRepo},
};
use inferenceguard_candle::ModelFiles;
use std::path::{Path, PathBuf};

/// What an id names: a whole repository, or one GGUF file of it.
struct Named {
    repo: Repo,
    file: Option<String>,
}

/// The folder of a model named by folder or hub id; a GGUF file stays as it is named, and so does the id of one.
pub(crate) fn folder(model: &str) -> anyhow::Result<PathBuf> {
    let path = Path::new(model);
    if path.is_dir() || (is_gguf(model) && path.is_file()) {
        return Ok(path.to_owned());
    }
    let Some(named) = parse(model) else {
        bail!(
            "{model}: no such model folder or GGUF file, and not a hub id (org/name, org/name@revision, org/name:FILE.gguf)"
        );
    };
    if offline() {
        return cached(&named).with_context(|| {
            format!("{model} is not here and not in the hub cache, and HF_HUB_OFFLINE forbids fetching it")
        });
    }
    fetch(&named).with_context(|| format!("{model} is not here and could not be fetched from the hub"))
}

fn is_gguf(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|end| end.eq_ignore_ascii_case("gguf"))
}

/// `org/name` or `org/name@revision`; with `:FILE.gguf` behind it, or as `org/name/FILE.gguf`, a file of it.
fn parse(id: &str) -> Option<Named> {
    let (repo, file) = match id.split_once(':') {
        Some((repo, file)) => (repo, Some(file)),
        None => match id.match_indices('/').nth(1).filter(|_| is_gguf(id)) {
            Some((at, _)) => (&id[..at], Some(&id[at + 1..])),
            None => (id, None),
        },
    };
    let (name, revision) = repo.split_once('@').unwrap_or((repo, "main"));
    let (org, model) = name.split_once('/')?;
    let word = |text: &str| {
        let mut letters = text.chars();
        letters.next().is_some_and(char::is_alphanumeric)
            && letters.all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
    };
    let good = word(org) && word(model) && revision.split('/').all(word);
    let good = good && file.is_none_or(|file| is_gguf(file) && file.split('/').all(word));
    let repo = || Repo::with_revision(name.to_owned(), RepoType::Model, revision.to_owned());
    good.then(|| Named { repo: repo(), file: file.map(str::to_owned) })
}

fn offline() -> bool {
    std::env::var("HF_HUB_OFFLINE")
        .is_ok_and(|value| !matches!(value.to_lowercase().as_str(), "" | "0" | "false" | "no" | "off"))
}

/// What was fetched before, by branch or by commit: the snapshot, or the file in it.
fn cached(named: &Named) -> Option<PathBuf> {
    let (cache, repo) = (Cache::from_env(), &named.repo);
    let find = |name: &str| {
        let by_branch = cache.repo(repo.clone()).get(name);
        let by_commit = cache.path().join(repo.folder_name()).join("snapshots").join(repo.revision()).join(name);
        by_branch.or_else(|| by_commit.is_file().then_some(by_commit))
    };
    match &named.file {
        None => find("config.json")?.parent().map(Path::to_owned),
        Some(file) => parts(file).into_iter().map(|part| find(&part)).collect::<Option<Vec<_>>>()?.into_iter().next(),
    }
}

/// All files of the GGUF model that this one belongs to, in its own folder.
fn parts(file: &str) -> Vec<String> {
    let (folder, name) = file.rsplit_once('/').map_or(("", file), |(folder, name)| (folder, name));
    let path = |part: String| if folder.is_empty() { part } else { format!("{folder}/{part}") };
    ModelFiles::parts(name).into_iter().map(path).collect()
}

fn fetch(named: &Named) -> anyhow::Result<PathBuf> {
    let token = std::env::var("HF_TOKEN").ok().filter(|token| !token.is_empty());
    let mut builder = ApiBuilder::from_env().with_user_agent("inferguard", env!("CARGO_PKG_VERSION"));
    if token.is_some() {
        builder = builder.with_token(token);
    }
    let api = builder.build()?.repo(named.repo.clone());
    let info = match api.info() {
        Ok(info) => info,
        Err(error) => {
            let Some(found) = cached(named) else { return Err(error.into()) };
            output::note(format_args!("the hub does not answer ({error}); using what was fetched before"));
            return Ok(found);
        }
    };
    let names: Vec<String> = info.siblings.into_iter().map(|file| file.rfilename).collect();
    match &named.file {
        None => fetch_files(&api, &names),
        Some(file) => fetch_gguf(&api, &names, file),
    }
}

/// One GGUF file and the others that it was split into, nothing else.
fn fetch_gguf(api: &ApiRepo, names: &[String], file: &str) -> anyhow::Result<PathBuf> {
    let mut first = None;
    for part in parts(file) {
        if !names.contains(&part) {
            bail!("it holds no {part}; its GGUF files are {}", ggufs(names));
        }
        let path = api.get(&part).with_context(|| format!("fetching {part}"))?;
        first.get_or_insert(path);
    }
    first.context("it has no part")
}

fn ggufs(names: &[String]) -> String {
    let found: Vec<&str> = names.iter().map(String::as_str).filter(|name| is_gguf(name)).collect();
    if found.is_empty() { "none".to_owned() } else { found.join(", ") }
}

fn fetch_files(api: &ApiRepo, names: &[String]) -> anyhow::Result<PathBuf> {
    if !names.iter().any(|name| name == "config.json") && names.iter().any(|name| is_gguf(name)) {
        bail!("it holds GGUF files and no config.json; name one of them, as org/name:FILE: {}", ggufs(names));
    }
    for name in names.iter().filter(|name| wanted(name)) {
        api.get(name).with_context(|| format!("fetching {name}"))?;
    }
    let config = api.get("config.json").context("fetching config.json")?;
    config.parent().map(Path::to_owned).context("the hub cache has no folder for it")
}

/// The files a model folder is made of; other formats of the same weights stay where they are.
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
    fn ids_are_told_from_paths() {
        let named = parse("org/name@v1.0").unwrap();
        assert_eq!((named.repo.url().as_str(), named.repo.revision(), named.file), ("org/name", "v1.0", None));
        assert_eq!(parse("org/name").unwrap().repo.revision(), "main");
        let bad = ["./org/name", "/org/name", "../name", "name", "a/b/c", "a/b@", "a/b@../x", "a b/c", ""];
        let files =
            ["a/b:", "a/b:c.bin", "a/b:../c.gguf", "a/b:/c.gguf", "a/b:c/../d.gguf", "a/b/../c.gguf", "a:c.gguf"];
        for path in bad.iter().chain(&files).chain(&["a.gguf", "/a/b/c.gguf", "./a/b/c.gguf"]) {
            assert!(parse(path).is_none(), "{path}");
        }
    }

    #[test]
    fn a_file_of_a_repository_can_be_named_in_two_ways() {
        for (id, revision, file) in [
            ("org/name:x-Q4_K_M.gguf", "main", "x-Q4_K_M.gguf"),
            ("org/name@v2:x.gguf", "v2", "x.gguf"),
            ("org/name:sub/x.GGUF", "main", "sub/x.GGUF"),
            ("org/name/x.gguf", "main", "x.gguf"),
            ("org/name/sub/x.gguf", "main", "sub/x.gguf"),
        ] {
            let named = parse(id).unwrap();
            let found = (named.repo.url(), named.repo.revision().to_owned(), named.file.unwrap());
            assert_eq!(found, ("org/name".to_owned(), revision.to_owned(), file.to_owned()), "{id}");
        }
        assert_eq!(parts("q/x-00002-of-00002.gguf"), ["q/x-00001-of-00002.gguf", "q/x-00002-of-00002.gguf"]);
    }

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
