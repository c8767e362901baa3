//! From the name of a model to its folder or file: a path as it is, or files fetched from the Hugging Face hub into its cache.
//!
//! Honours HF_HOME, HF_ENDPOINT, HF_TOKEN and HF_HUB_OFFLINE.

mod cached;
mod fetching;

pub use cached::{CachedModel, cached_models, megabytes, remove};

use crate::Note;
use fetching::Fetching;
use hf_hub::{
    Cache, Repo, RepoType,
    api::sync::{ApiBuilder, ApiError, ApiRepo},
};
use inferenceguard_candle::ModelFiles;
use std::path::{Path, PathBuf};

/// A model that a name does not stand for, or that the hub does not give.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HubError {
    /// Neither a folder, nor a GGUF file, nor a hub id.
    #[error(
        "{name}: no such model folder or GGUF file, and not a hub id (org/name, org/name@revision, org/name:FILE.gguf)"
    )]
    Unknown {
        /// What was given.
        name: String,
    },
    /// The environment forbids the network, and the cache does not have the model.
    #[error("{name} is not here and not in the hub cache, and HF_HUB_OFFLINE forbids fetching it")]
    Offline {
        /// The hub id.
        name: String,
    },
    /// The model is an id of the hub, and was not fetched yet.
    #[error("{name} is not on this machine; `inferguard model pull {name}` fetches it")]
    NotHere {
        /// The hub id.
        name: String,
    },
    /// The hub does not give the model.
    #[error("{name} is not here and could not be fetched from the hub")]
    Fetch {
        /// The hub id.
        name: String,
        /// Why.
        source: Box<HubError>,
    },
    /// The repository lacks a part of the GGUF file that was named.
    #[error("it holds no {part}; its GGUF files are {found}")]
    NoPart {
        /// The file that is missing.
        part: String,
        /// The GGUF files it has.
        found: String,
    },
    /// The repository holds GGUF files only, and none was named.
    #[error("it holds GGUF files and no config.json; name one of them, as org/name:FILE: {found}")]
    NoFileNamed {
        /// The GGUF files it has.
        found: String,
    },
    /// One file could not be fetched.
    #[error("fetching {file}")]
    File {
        /// Which.
        file: String,
        /// Why.
        source: Box<ApiError>,
    },
    /// The cache has no folder for the repository.
    #[error("the hub cache has no folder for it")]
    NoFolder,
    /// What is to be removed has no id.
    #[error("{found}: no id of a model; expected org/name, as `inferguard model list` shows it")]
    NotAnId {
        /// What was given.
        found: String,
    },
    /// A model that is to be removed is not there.
    #[error("{id}: not in the cache {}; `inferguard model list` shows what is", cache.display())]
    NotHeld {
        /// Its id.
        id: String,
        /// The cache's folder.
        cache: PathBuf,
    },
    /// The cache cannot be read or changed.
    #[error("{}", path.display())]
    Cache {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The hub does not answer.
    #[error(transparent)]
    Api(#[from] Box<ApiError>),
}

/// A hub id taken apart: a whole repository, or one GGUF file in it.
struct Named {
    repo: Repo,
    file: Option<String>,
}

/// The folder or GGUF file of a model, fetched first where `model` is a hub id.
///
/// # Errors
/// See [`HubError`].
pub fn folder(model: &str, note: Note) -> Result<PathBuf, HubError> {
    let path = Path::new(model);
    if path.is_dir() || (is_gguf(model) && path.is_file()) {
        return Ok(path.to_owned());
    }
    let name = || model.to_owned();
    let named = parse(model).ok_or_else(|| HubError::Unknown { name: name() })?;
    if offline() {
        return cached(&named).ok_or_else(|| HubError::Offline { name: name() });
    }
    fetch(&named, note).map_err(|source| HubError::Fetch { name: name(), source: Box::new(source) })
}

/// As [`folder`], but nothing is fetched.
///
/// # Errors
/// [`HubError::Unknown`], [`HubError::NotHere`].
pub fn here(model: &str) -> Result<PathBuf, HubError> {
    let path = Path::new(model);
    if path.is_dir() || (is_gguf(model) && path.is_file()) {
        return Ok(path.to_owned());
    }
    let named = parse(model).ok_or_else(|| HubError::Unknown { name: model.to_owned() })?;
    cached(&named).ok_or_else(|| HubError::NotHere { name: model.to_owned() })
}

fn is_gguf(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|end| end.eq_ignore_ascii_case("gguf"))
}

/// Reads `org/name` or `org/name@revision`; `:FILE.gguf` at its end, or `org/name/FILE.gguf`, names a file in it.
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

/// The snapshot or file that an earlier run fetched, by branch or by commit.
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

fn fetch(named: &Named, note: Note) -> Result<PathBuf, HubError> {
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
    fn ids_and_paths_differ() {
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
