//! Models that run in engines elsewhere, as the command line names them. Their folders stay here: tokenizer, template,
//! configuration.

pub use crate::remote_probe::{ProbeKind, probe_of};

use crate::{
    CatalogError, Loading,
    engine_probes::{LATENTS, unprobed},
    hub,
    remote_texts::{Texts, local, score_info},
};
use inferenceguard_candle::{LoadOptions, ModelFiles, TextSide};
use inferenceguard_engines::{
    Authority, Deadlines, Endpoint, Key, Remote,
    llamacpp::LlamaCpp,
    vllm::{Scores, Vllm},
};
use inferenceguard_model::{BackEnd, ScoreBackEnd, Tokenizer};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// The variable with the key of engines, where no file is named.
pub const KEY: &str = "INFERGUARD_ENGINE_KEY";

/// The name of [`KEY`] in earlier versions, which is read where that is not set.
const EARLIER_KEY: &str = "INFERENCEGUARD_ENGINE_KEY";

/// What marks a score model of `--score` that runs in vLLM.
const VLLM: &str = "vllm:";

/// What the command line says about engines elsewhere, as text.
#[derive(Debug, Clone, Default)]
pub struct EngineOptions {
    /// `vllm=URL[,URL...]` or `llamacpp=URL`: where the language model runs; here if `None`.
    pub engine: Option<String>,
    /// The name under which it is served; if `None`, the server must serve a single model.
    pub model: Option<String>,
    /// URLs of vLLM servers with the same weights that pool `token_embed`, with commas between them.
    pub latents: Option<String>,
    /// The file with the key of all engines; the variable [`KEY`] if `None`.
    pub key_file: Option<PathBuf>,
    /// `[NAME=]FILE`: the probe of the language model, or of the score model of this name.
    pub probes: Vec<String>,
    /// The number format that engines compute in.
    pub precision: Option<String>,
    /// The most rows in flight at one replica.
    pub rows: Option<usize>,
    /// The file with the certificates that are believed at URLs of `https`, in place of the system's.
    pub authority: Option<PathBuf>,
    /// Seconds from the request for a row to the first byte of its answer.
    pub timeout: Option<u32>,
    /// Whether versions that were not tested are accepted.
    pub any_version: bool,
}

impl EngineOptions {
    /// The language model in the engine that is named; nothing if none is. `model` names its folder.
    ///
    /// # Errors
    /// Options that cannot be read or do not fit, a folder that cannot be read, an engine that does not answer or is not what it
    /// should be.
    pub fn language(&self, model: Option<&str>, loading: &Loading) -> Result<Option<Arc<dyn BackEnd>>, CatalogError> {
        let Some(engine) = &self.engine else { return self.unused().map_or(Ok(None), Err) };
        let model = model.ok_or(CatalogError::NoEngineFolder)?;
        let (kind, places) = engine.split_once('=').unwrap_or((engine, ""));
        let kind = Kind::of(kind)?;
        if kind == Kind::LlamaCpp && self.latents.is_some() {
            return Err(CatalogError::EngineOption { option: "--latents", engine: "llamacpp" });
        }
        let remote = Remote { model: self.model.clone(), ..self.remote(places, None)? };
        let latents = self.latents.as_deref().map(|places| self.remote(places, Some(LATENTS))).transpose()?;
        unprobed(&remote, "--engine", "", loading);
        latents.iter().for_each(|remote| unprobed(remote, "--latents", "latents=", loading));
        let folder = hub::folder(model, loading.note())?;
        let texts = TextSide::open(&ModelFiles::folder(&folder), &loading.language(), false)?;
        loading.warn(&texts.info().name, texts.facts());
        let local = local(texts);
        Ok(Some(match kind {
            Kind::Vllm => Arc::new(Vllm::connect(&remote, local, latents.as_ref())?),
            Kind::LlamaCpp => Arc::new(LlamaCpp::connect(&remote, local)?),
        }))
    }

    /// An option that says something about an engine where none is named.
    fn unused(&self) -> Option<CatalogError> {
        let alone = |option| Some(CatalogError::EngineOptionAlone { option });
        match self {
            Self { latents: Some(_), .. } => alone("--latents"),
            Self { model: Some(_), .. } => alone("--engine-model"),
            _ => None,
        }
    }

    /// The settings of an engine at these places. `name` is that of its score model; the language model's probe has no name.
    fn remote(&self, places: &str, name: Option<&str>) -> Result<Remote, CatalogError> {
        let mut remote = Remote::new(Endpoint::list(places)?);
        remote.key = self.key()?;
        remote.authority = self.authority.as_deref().map(certificates).transpose()?;
        remote.probe = self.probe(name)?;
        if let Some(seconds) = self.timeout {
            remote.deadlines = deadlines(seconds)?;
        }
        remote.any_version = self.any_version;
        self.precision.iter().for_each(|precision| remote.precision.clone_from(precision));
        self.rows.iter().for_each(|rows| remote.places = *rows);
        Ok(remote)
    }

    fn key(&self) -> Result<Option<Key>, CatalogError> {
        let text = match &self.key_file {
            Some(path) => Some(read(path)?),
            None => [KEY, EARLIER_KEY].iter().find_map(|name| std::env::var(name).ok().filter(|key| !key.is_empty())),
        };
        Ok(text.map(|text| Key::new(&text)).transpose()?)
    }

    /// A score model of `--score` in vLLM: what follows `NAME=vllm:` is `URL[,URL...],DIR`. Nothing if it is a folder or an id.
    ///
    /// # Errors
    /// As [`EngineOptions::language`].
    pub fn score(
        &self,
        name: &str,
        place: &str,
        loading: &Loading,
        language: &dyn Tokenizer,
    ) -> Result<Option<Arc<dyn ScoreBackEnd>>, CatalogError> {
        let Some(place) = place.strip_prefix(VLLM) else { return Ok(None) };
        let wrong = || CatalogError::Score { found: format!("{name}={VLLM}{place}") };
        let (urls, folder) = place.rsplit_once(',').ok_or_else(wrong)?;
        let remote = self.remote(urls, Some(name))?;
        unprobed(&remote, &format!("--score {name}"), &format!("{name}="), loading);
        let folder = hub::folder(folder, loading.note())?;
        let options: LoadOptions = loading.score(name);
        let texts = Arc::new(TextSide::open(&ModelFiles::folder(&folder), &options, true)?);
        loading.warn(name, texts.facts());
        let info = score_info(&texts, language);
        Ok(Some(Arc::new(Scores::connect(&remote, info, Arc::new(Texts(texts)))?)))
    }
}

/// The engines that are understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Vllm,
    LlamaCpp,
}

impl Kind {
    fn of(name: &str) -> Result<Self, CatalogError> {
        match name {
            "vllm" => Ok(Self::Vllm),
            "llamacpp" => Ok(Self::LlamaCpp),
            other => Err(CatalogError::UnknownEngine { found: other.to_owned() }),
        }
    }
}

/// Whether a place of `--score` is an engine's.
pub(crate) fn is_remote(place: &str) -> bool {
    place.starts_with(VLLM)
}

/// The most seconds that an engine may take for a row: a day.
const LONGEST: u32 = 86_400;

fn deadlines(seconds: u32) -> Result<Deadlines, CatalogError> {
    let fine = (1..=LONGEST).contains(&seconds);
    let within = || Deadlines::answering_within(Duration::from_secs(u64::from(seconds)));
    if fine { Ok(within()) } else { Err(CatalogError::EngineTimeout { found: seconds, most: LONGEST }) }
}

fn certificates(path: &Path) -> Result<Authority, CatalogError> {
    let pem = fs::read(path).map_err(|source| CatalogError::EngineAuthority { path: path.to_owned(), source })?;
    Ok(Authority::new(&pem)?)
}

pub(crate) fn read(path: &Path) -> Result<String, CatalogError> {
    fs::read_to_string(path).map_err(|source| CatalogError::KeyFile { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LoadingOptions;

    fn loading() -> Loading {
        let options = LoadingOptions {
            device: "cpu".into(),
            precision: "f32".into(),
            prompt_cache: 0,
            templates: vec![],
            template_date: None,
            full_digest: false,
            note: |_| (),
        };
        Loading::new(&options, None).unwrap()
    }

    #[test]
    fn options_that_do_not_fit_are_refused_by_name() {
        let engine = |text: &str| EngineOptions { engine: Some(text.to_owned()), ..EngineOptions::default() };
        let missing = Some(PathBuf::from("no/such/file"));
        let table = [
            (engine("sglang=http://a"), Some("m"), "--engine sglang: unknown"),
            (engine("vllm=http://a"), None, "--engine needs --model DIR"),
            (engine("vllm"), Some("m"), "no URL"),
            (engine("vllm=ftp://a"), Some("m"), "http://HOST:PORT"),
            (
                EngineOptions { latents: Some("http://b".into()), ..engine("llamacpp=http://a") },
                Some("m"),
                "--latents does not fit",
            ),
            (
                EngineOptions { latents: Some("http://b".into()), ..EngineOptions::default() },
                Some("m"),
                "--latents needs --engine",
            ),
            (
                EngineOptions { model: Some("x".into()), ..EngineOptions::default() },
                None,
                "--engine-model needs --engine",
            ),
            (EngineOptions { key_file: missing, ..engine("vllm=http://a") }, Some("m"), "no/such/file"),
            (
                EngineOptions { probes: vec!["no/such/probe".into()], ..engine("vllm=http://a") },
                Some("m"),
                "no/such/probe",
            ),
        ];
        for (options, model, expected) in table {
            let error = options.language(model, &loading()).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(error.contains(expected), "{expected}: {error}");
        }
        assert!(EngineOptions::default().language(None, &loading()).is_ok_and(|none| none.is_none()));
    }
}
