//! From the name of a model to its folder or file: a path as it is, or files fetched from the Hugging Face hub into its cache.
//!
//! Honours HF_HOME, HF_ENDPOINT, HF_TOKEN and HF_HUB_OFFLINE.

mod cached;
#[cfg(feature = "hub")]
mod fetch;
#[cfg(not(feature = "hub"))]
#[path = "without_fetch.rs"]
mod fetch;
#[cfg(feature = "hub")]
mod fetching;

pub use cached::{CachedModel, cached_models, megabytes, remove};

use crate::Note;
use fetch::fetch;
#[cfg(feature = "hub")]
use hf_hub::api::sync::ApiError;
use hf_hub::{Cache, Repo, RepoType};
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
    /// The program was built without the feature `hub`.
    #[error("this build fetches nothing; build it with the feature hub, or give the folder or file of the model")]
    NotBuilt,
    /// One file could not be fetched.
    #[cfg(feature = "hub")]
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
    #[cfg(feature = "hub")]
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_paths_differ() {
        let named = parse("org/name@v1.0").unwrap();
        let folder = "models--org--name".to_owned();
        assert_eq!((named.repo.folder_name(), named.repo.revision(), named.file), (folder, "v1.0", None));
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
            let found = (named.repo.folder_name(), named.repo.revision().to_owned(), named.file.unwrap());
            assert_eq!(found, ("models--org--name".to_owned(), revision.to_owned(), file.to_owned()), "{id}");
        }
        assert_eq!(parts("q/x-00002-of-00002.gguf"), ["q/x-00001-of-00002.gguf", "q/x-00002-of-00002.gguf"]);
    }
}
