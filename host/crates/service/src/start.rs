//! Which bundle a server starts with: the saved one of its model, or the named one.

use crate::{FaceOption, ServeOptions, ServiceError, watched::Identity};
use inferenceguard_bundle::Bundle;
use inferenceguard_catalog::{
    CatalogError, Language, PromptCache, build,
    bundles::{self, Fallback},
};
use inferenceguard_host::OWN_METHOD;
use inferenceguard_model::ModelIdentity;
use inferenceguard_server::{OpenError, SavedState, Server, ServerConfig, Settings, Store, Tenant};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicU64},
};

/// Bytes per model and tenant for recent prompts, if the operator does not say.
const PROMPT_CACHE: usize = 16 << 20;

/// The server, and the identity of the named bundle if it was opened.
pub(crate) fn server(
    options: &mut ServeOptions,
    lost_spans: Arc<AtomicU64>,
) -> Result<(Server, Option<Identity>), ServiceError> {
    let settings = with_options(options.config.as_deref().map_or_else(|| Ok(Settings::default()), settings)?, options)?;
    let loading = &mut options.choice.loading;
    loading.prompt_cache = Some(prompt_cache(loading.prompt_cache, &settings));
    let options = &*options;
    let methods = if options.methods.is_empty() { vec![OWN_METHOD.to_owned()] } else { options.methods.clone() };
    let store = options.state.as_deref().map(Store::open).transpose()?;
    let store = store.map(|store| if options.accept_models { store.accepting_models() } else { store });
    let last = store.as_ref().map(Store::state).transpose()?.flatten();
    // Before a large model is read, so that a bundle that cannot be read is reported at once.
    let opened = last.is_none() || options.fresh || options.watch;
    let named = opened.then(|| options.choice.bundle(&methods)).transpose()?;
    let identity = named.as_ref().map(Identity::of);
    let (language, start) = chosen(options, store.as_ref(), last, named)?;
    let (saved, line) = (start.saved, line(&start, options));
    let hint = |error: ServiceError| if saved { ServiceError::Saved(Box::new(error)) } else { error };
    let config = config(options, language, start, methods).map_err(|error| hint(error.into()))?;
    let faces = options.faces.iter().map(FaceOption::face).collect();
    let config = ServerConfig { faces, settings, store, lost_spans, ..config };
    let server = Server::new(config).map_err(|error| hint(error.into()))?;
    (options.choice.loading.note)(&line);
    Ok((server, identity))
}

/// The language model, and the bundle to start with.
fn chosen(
    options: &ServeOptions,
    store: Option<&Store>,
    last: Option<SavedState>,
    named: Option<Bundle>,
) -> Result<(Language, Start), ServiceError> {
    // The template of a saved bundle is saved as well.
    let stays = |last: &SavedState| {
        let named = named.as_ref();
        named.is_none_or(|named| !options.fresh && reason(named, last, true, options).is_none())
    };
    let saved = match (store, &last) {
        (Some(store), Some(last)) if stays(last) => store.bundle(&last.bundle).ok(),
        _ => None,
    };
    let bundle = saved.as_ref().or(named.as_ref());
    let language = options.choice.language(bundle.map(Bundle::manifest))?;
    let language = match (store, &last, &saved) {
        (Some(store), Some(last), Some(_)) => with_own_template(language, store, last, options),
        _ => language,
    };
    let start = match (store, last) {
        (Some(store), Some(last)) => goes_on(store, last, named, &ModelIdentity::from(language.info()), options)?,
        _ => named.map(|named| Start { bundle: named, generation: 1, saved: false }).ok_or(ServiceError::NoBundle)?,
    };
    Ok((language, start))
}

/// If another model ran here last, the model was loaded with the template of that model's bundle, and has another identity. Then
/// it is loaded again with the template of its own saved bundle.
fn with_own_template(language: Language, store: &Store, last: &SavedState, options: &ServeOptions) -> Language {
    let known = |model: &Language| last.knows(&ModelIdentity::from(model.info()));
    if known(&language) {
        return language;
    }
    let ran = ModelIdentity::from(language.info());
    let mut again = last.bundles_of(&ran).into_iter().filter_map(|digest| {
        let bundle = store.bundle(digest).ok()?;
        options.choice.language(Some(bundle.manifest())).ok()
    });
    again.find(known).unwrap_or(language)
}

/// The bundle that a server starts with.
struct Start {
    bundle: Bundle,
    generation: u64,
    /// Whether it is the saved bundle, not the named one.
    saved: bool,
}

/// A server's engine with its models loaded, and how it opens bundles.
fn config(
    options: &ServeOptions,
    language: Language,
    start: Start,
    methods: Vec<String>,
) -> Result<ServerConfig, CatalogError> {
    let active = start.bundle;
    let builder = options.choice.builder_of(language, &active, &methods, &options.budgets)?;
    // The budgets of the command line belong to the named bundle, and only tighten a saved one.
    let builder = if start.saved { builder.budgets_tighten() } else { builder };
    let engine = Arc::new(build(builder.max_live(options.max_live).generation(start.generation))?);
    let n = options.choice.n;
    let opener = move |path: &Path| open(path, n, &methods).map_err(OpenError::new);
    let (opener, lender) = (Box::new(opener), Box::new(bundles::first_party_file));
    Ok(ServerConfig { opener, lender, ..ServerConfig::new(engine, active) })
}

/// The line that shows the bundle, and which options have no effect.
fn line(start: &Start, options: &ServeOptions) -> String {
    let (manifest, digest) = (start.bundle.manifest(), start.bundle.digest());
    let saved = if start.saved { ", saved" } else { "" };
    let (number, name, version) = (start.generation, &manifest.name, &manifest.version);
    let unused = start.saved && (options.choice.bundle.is_some() || options.choice.n.is_some());
    let unused = if unused { "\n                --bundle and --n are not used; --budget only tightens" } else { "" };
    format!("bundle          generation {number}{saved}: {name} {version}  {digest}{unused}")
}

/// The saved bundle of this model, or the named one if there is a [`reason`].
fn goes_on(
    store: &Store,
    last: SavedState,
    named: Option<Bundle>,
    model: &ModelIdentity,
    options: &ServeOptions,
) -> Result<Start, ServiceError> {
    let note = options.choice.loading.note;
    let (known, active, unknown) = (last.knows(model), last.bundle.clone(), last.model.is_none());
    let found = last.for_model(model);
    let saved = store.bundle(&found.bundle);
    if let Some(named) = named {
        if let Some(reason) = reason(&named, &found, saved.is_ok(), options) {
            if unknown {
                return Err(ServiceError::UnknownModel);
            }
            note(&format!("{reason} in place of {}", found.bundle));
            return Ok(Start { bundle: named, generation: found.next_number(), saved: false });
        }
        if options.fresh {
            note("not fresh       a server began with this bundle before; `bundle activate` puts it back in place");
        } else if named.digest().to_string() != found.bundle {
            note("watched         the bundle was not changed since it was taken last, and another one decides now");
        }
    }
    if !known {
        note("new model       it goes on with the bundle of another one, and has none to go back to");
    } else if found.bundle != active {
        note(&format!("other model     another one ran here last, with {active}"));
    }
    Ok(Start { bundle: saved.map_err(ServiceError::SavedBundle)?, generation: found.generation, saved: true })
}

/// Why a server starts with the named bundle, and not with the saved one.
fn reason(named: &Bundle, found: &SavedState, readable: bool, options: &ServeOptions) -> Option<&'static str> {
    let digest = Some(named.digest().to_string());
    let active = digest.as_ref() == Some(&found.bundle);
    if options.watch && !active && found.watched != digest {
        return Some("watched         the bundle was changed while no server watched it, and decides");
    }
    let started = found.started_with == digest && readable;
    (options.fresh && !started).then_some("fresh          ")
}

/// A bundle to activate, with the same number of candidates as the first.
fn open(path: &Path, n: Option<u32>, methods: &[String]) -> Result<Bundle, CatalogError> {
    let opened = bundles::open(Some(path), Fallback::Plain)?;
    match n {
        Some(n) => bundles::with_candidates(&opened, methods, n),
        None => Ok(opened),
    }
}

/// The settings with what the command line says instead.
fn with_options(mut settings: Settings, options: &ServeOptions) -> Result<Settings, ServiceError> {
    if let Some(name) = &options.served_model_name {
        settings.model = Some(name.clone());
    }
    let Some(key) = &options.api_key else { return Ok(settings) };
    if key.trim().is_empty() {
        return Err(ServiceError::EmptyKey);
    }
    if !settings.tenants.is_empty() {
        return Err(ServiceError::KeyBesideTenants);
    }
    settings.tenants.insert("api-key".to_owned(), Tenant::with_key(key));
    Ok(settings)
}

/// Which prompts the models keep: those of tenants. A gateway's question has no tenant, and clients without keys look alike,
/// so what they ask is kept only where there are no tenants and the operator wants it.
fn prompt_cache(given: Option<PromptCache>, settings: &Settings) -> PromptCache {
    match (given, settings.tenants.is_empty()) {
        (given, true) => given.unwrap_or_default(),
        (given, false) => PromptCache { bytes: given.map_or(PROMPT_CACHE, |given| given.bytes), unnamed: false },
    }
}

fn settings(path: &Path) -> Result<Settings, ServiceError> {
    let text = fs::read_to_string(path);
    let text = text.map_err(|source| ServiceError::SettingsFile { path: path.to_owned(), source })?;
    let malformed = |source| ServiceError::SettingsText { path: path.to_owned(), source: Box::new(source) };
    let mut settings: Settings = toml::from_str(&text).map_err(malformed)?;
    // Files that it names lie in its folder.
    let beside = |named: &mut PathBuf| *named = path.parent().unwrap_or(Path::new("")).join(&*named);
    settings.trust.iter_mut().for_each(beside);
    settings.tenants.values_mut().filter_map(|tenant| tenant.layer.as_mut()).for_each(beside);
    settings.validate().map_err(|source| ServiceError::Settings { path: path.to_owned(), source })?;
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts_are_kept_by_default_only_where_clients_have_keys() {
        let open = Settings::default();
        let tenants = [("one".to_owned(), Tenant::with_key("a")), ("two".to_owned(), Tenant::with_key("b"))].into();
        let keyed = Settings { tenants, ..Settings::default() };
        let (none, given) = (PromptCache::default(), PromptCache::megabytes(3));
        assert_eq!((prompt_cache(None, &open), prompt_cache(Some(given), &open)), (none, given));
        for (asked, bytes) in [(None, PROMPT_CACHE), (Some(given), 3 << 20), (Some(none), 0)] {
            assert_eq!(prompt_cache(asked, &keyed), PromptCache { bytes, unnamed: false });
        }
    }
}
