//! What a bundle is, whether it runs with a model, and for which models it is.

use crate::WorkshopError;
use inferenceguard_bundle::{Bundle, MANIFEST};
use inferenceguard_catalog::{Choice, build, write_file};
use inferenceguard_console::{
    bundle::{describe, models, statement},
    roles,
};
use inferenceguard_host::{OWN_METHOD, Request};
use serde_json::{Value, json};
use std::{collections::BTreeMap, path::Path};

/// A bundle as a JSON object.
#[must_use]
pub fn object(bundle: &Bundle) -> Value {
    let digests: BTreeMap<&String, String> = bundle.digests().iter().map(|(k, v)| (k, v.to_string())).collect();
    json!({
        "digest": bundle.digest().to_string(), "files": digests, "manifest": bundle.manifest(),
        "signed": statement(bundle),
    })
}

/// Tokens of the trial: enough for a decision or two.
const TRIAL: u32 = 48;

/// Loads a bundle with a model, answers the prompt once, and says in words what its components see and may do.
///
/// # Errors
/// What cannot be opened or does not fit together, a request that fails.
pub fn check(choice: &Choice, prompt: &str) -> Result<String, WorkshopError> {
    let (builder, bundle) = choice.builder(&[OWN_METHOD.to_owned()], &[])?;
    let engine = build(builder)?;
    let trial = engine.generate(Request { max_tokens: Some(TRIAL), ..Request::new(prompt) })?;
    let (manifest, roles, mut used) = (bundle.manifest(), engine.roles(OWN_METHOD)?, engine.models().clone());
    let read = roles::score_models(&roles);
    used.scores.retain(|name, _| read.contains(name.as_str()) || manifest.scores.contains_key(name));
    let (described, seen, limits) = (describe(&bundle), roles::words(&roles), roles::bounds(&manifest.limits));
    let whose = choice.whose_model().map(|whose| format!("{whose}\n")).unwrap_or_default();
    let (models, outcome) = (models(manifest, &used), roles::outcome(&trial));
    Ok(format!("{described}\n\n{whose}{models}\n\n{seen}\n{limits}\n\n{outcome}"))
}

/// Loads the bundle with the models, and writes their digests into its manifest. Says in words which models it is pinned to.
///
/// # Errors
/// What cannot be opened, pinned or written.
pub fn pin(choice: &Choice) -> Result<String, WorkshopError> {
    let pinned = inferenceguard_catalog::pin(choice)?;
    if let Some(path) = &choice.bundle {
        write(path, &pinned.bundle)?;
    }
    let signed = if pinned.was_signed { "\nits signature is of the manifest as it was: sign it again" } else { "" };
    Ok(format!("{}{signed}", models(pinned.bundle.manifest(), &pinned.models)))
}

/// Writes a changed bundle back: its file, or the manifest in its folder.
fn write(path: &Path, bundle: &Bundle) -> Result<(), WorkshopError> {
    match path.is_file() {
        true => write_file(path, &bundle.pack()?)?,
        false => write_file(&path.join(MANIFEST), bundle.text().as_bytes())?,
    }
    Ok(())
}
