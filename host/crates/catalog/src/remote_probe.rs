//! Makes the probe of a model, which the model of an engine must match.

use crate::{CatalogError, Choice, Language, Loading, remote_texts::Texts};
use inferenceguard_candle::TextSide;
use inferenceguard_engines::Probe;
use inferenceguard_host::{
    EngineError,
    schedule::{Limits, Scheduler},
};
use inferenceguard_model::Caller;
use std::{collections::BTreeMap, sync::Arc};

/// What a probe is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProbeKind {
    /// Log-probabilities of a language model.
    Language,
    /// Latents of a language model.
    Latents,
    /// Scores of a score model, which is loaded here.
    Score,
}

/// A probe of a model; the model of an engine must match it.
///
/// # Errors
/// A model that cannot be opened or fails.
pub fn probe_of(choice: &Choice, kind: ProbeKind) -> Result<Probe, CatalogError> {
    if kind == ProbeKind::Score {
        return probe_of_scores(choice);
    }
    let back_end = match choice.language(None)? {
        Language::Elsewhere(back_end) => Some(back_end),
        Language::Here(model) => {
            let started = Scheduler::start(Some(model), BTreeMap::new(), Limits::default());
            started.map_err(EngineError::from)?.back_end()
        }
    };
    let mut handle = back_end.ok_or(CatalogError::NoDemoModel)?.handle(&Caller::default());
    let made = if kind == ProbeKind::Latents { Probe::of_latents(&mut *handle) } else { Probe::of(&mut *handle) };
    Ok(made?)
}

fn probe_of_scores(choice: &Choice) -> Result<Probe, CatalogError> {
    let loading = Loading::new(&choice.loading, None)?;
    let files = crate::language_files(choice.model.as_deref(), loading.note())?;
    let texts = Texts(Arc::new(TextSide::open(&files, &loading.language(), true)?));
    let mut model = crate::score_model(&files, &loading.language(), &*texts.0.tokenizer(), loading.note())?;
    Ok(Probe::of_scores(&mut model, &texts)?)
}
