//! Beams of the language model by the search's keys.

use inferenceguard_model::{
    BeamId, Effort, Generator, Grown, GrownRow, Growth, LatentSelector, Likely, ModelError, Rows, SampleRequest,
    Sampled, Token, Tokenizer,
};
use inferenceguard_search::{BeamKey, FailureKind, GrowNeed, ROOT, SampleNeed};
use std::{collections::HashMap, sync::Arc};

/// The beams of one request. Dropping it releases them all, however the request ended.
pub(crate) struct Beams<'m> {
    model: &'m mut dyn Generator,
    live: HashMap<BeamKey, BeamId>,
}

impl Drop for Beams<'_> {
    fn drop(&mut self) {
        let all: Vec<BeamId> = self.live.values().copied().collect();
        self.model.release(&all);
    }
}

impl<'m> Beams<'m> {
    pub(crate) fn new(model: &'m mut dyn Generator) -> Self {
        Self { model, live: HashMap::new() }
    }

    pub(crate) fn tokenizer(&self) -> Arc<dyn Tokenizer> {
        self.model.tokenizer()
    }

    pub(crate) fn holds(&self, key: BeamKey) -> bool {
        self.live.contains_key(&key)
    }

    /// What the model did since the last call.
    pub(crate) fn take_effort(&mut self) -> Effort {
        self.model.take_effort()
    }

    pub(crate) fn hidden(&self) -> usize {
        self.model.info().hidden
    }

    pub(crate) fn vocab(&self) -> usize {
        self.model.info().vocab
    }

    pub(crate) fn prefill(&mut self, prompt: &[Token]) -> Result<(), ModelError> {
        let id = self.model.open(prompt)?;
        self.keep(ROOT, id);
        Ok(())
    }

    /// Makes the forks (parent, child), then appends one token to each of the rows.
    pub(crate) fn step(&mut self, forks: &[(BeamKey, BeamKey)], rows: &[(BeamKey, Token)]) -> Result<(), ModelError> {
        self.fork(forks)?;
        if rows.is_empty() {
            return Ok(());
        }
        let named = rows.iter().map(|(key, token)| Ok((self.id(*key)?, *token)));
        let named = named.collect::<Result<Vec<_>, ModelError>>()?;
        self.model.append(&named)
    }

    fn fork(&mut self, forks: &[(BeamKey, BeamKey)]) -> Result<(), ModelError> {
        if forks.is_empty() {
            return Ok(());
        }
        let parents: Vec<BeamKey> = forks.iter().map(|(parent, _)| *parent).collect();
        let ids = self.model.fork(&self.ids(&parents)?)?;
        if ids.len() != forks.len() {
            self.model.release(&ids);
        }
        check_count("forks", ids.len(), forks.len())?;
        for ((_, child), id) in forks.iter().zip(ids) {
            self.keep(*child, id);
        }
        Ok(())
    }

    /// Grows a new beam for each need, in order. A row that the model could not grow is a failure of its own and has no beam. The
    /// session checks what the others hold.
    pub(crate) fn grow(
        &mut self,
        growth: &Growth,
        needs: Vec<GrowNeed>,
    ) -> Result<Vec<Result<Grown, FailureKind>>, ModelError> {
        let keys: Vec<BeamKey> = needs.iter().map(|need| need.beam).collect();
        let named = |need: GrowNeed| {
            let parent = self.id(need.row.parent)?;
            Ok(need.row.of(parent))
        };
        let rows = needs.into_iter().map(named).collect::<Result<Vec<_>, ModelError>>()?;
        let grown = self.model.grow(growth, rows)?;
        if grown.len() != keys.len() {
            let made: Vec<BeamId> = grown.iter().flatten().map(|(id, _)| *id).collect();
            self.model.release(&made);
        }
        check_count("grown rows", grown.len(), keys.len())?;
        Ok(keys.into_iter().zip(grown).map(|(key, row)| self.grown(key, row)).collect())
    }

    fn grown(&mut self, key: BeamKey, row: GrownRow) -> Result<Grown, FailureKind> {
        let (id, grown) = row.map_err(|error| FailureKind::Refused(error.to_string()))?;
        self.keep(key, id);
        Ok(grown)
    }

    /// One draw per need.
    pub(crate) fn sample(&mut self, needs: Vec<SampleNeed>) -> Result<Vec<Sampled>, ModelError> {
        let due = needs.len();
        let named = needs.into_iter().map(|need| Ok((self.id(need.from)?, need.request)));
        let named = named.collect::<Result<Vec<(BeamId, SampleRequest)>, ModelError>>()?;
        let drawn = self.model.sample(&named)?;
        check_count("samples", drawn.len(), due)?;
        Ok(drawn)
    }

    /// Tokens are drawn from these latents, one row per beam; costs, critics and policies go on reading what the model gave.
    pub(crate) fn steer(&mut self, keys: &[BeamKey], latents: Rows) -> Result<(), ModelError> {
        self.model.steer(&self.ids(keys)?, latents)
    }

    /// The log-probability of one given token after each of these beams.
    pub(crate) fn logprobs(&mut self, rows: &[(BeamKey, Token)]) -> Result<Vec<f32>, ModelError> {
        let named = rows.iter().map(|(key, token)| Ok((self.id(*key)?, *token)));
        let logprobs = self.model.logprobs(&named.collect::<Result<Vec<_>, ModelError>>()?)?;
        check_count("log-probabilities", logprobs.len(), rows.len())?;
        let fine = logprobs.iter().all(|logprob| is_log(*logprob));
        if fine { Ok(logprobs) } else { Err(ModelError::NotFinite("log-probabilities")) }
    }

    /// The `k` most likely next tokens of these beams, or all where the vocabulary has fewer, best first.
    pub(crate) fn likeliest(&mut self, keys: &[BeamKey], k: u32) -> Result<Vec<Vec<Likely>>, ModelError> {
        let k = k.min(u32::try_from(self.vocab()).unwrap_or(u32::MAX));
        let rows = self.model.likeliest(&self.ids(keys)?, k)?;
        check_count("rows of likely tokens", rows.len(), keys.len())?;
        for row in &rows {
            check_count("likely tokens", row.len(), k as usize)?;
            if !row.iter().all(|one| is_log(one.logit) && is_log(one.logprob)) {
                return Err(ModelError::NotFinite("logits"));
            }
        }
        Ok(rows)
    }

    /// The logits of these beams before steering, on the host; all finite or negative infinity.
    pub(crate) fn logits(&mut self, keys: &[BeamKey]) -> Result<Vec<Arc<[f32]>>, ModelError> {
        let rows = self.model.logits(&self.ids(keys)?)?;
        check_table("logits", &rows, keys.len(), self.vocab())?;
        let fine = rows.iter().all(|row| row.iter().all(|logit| is_log(*logit)));
        if fine { Ok(rows) } else { Err(ModelError::NotFinite("logits")) }
    }

    /// The latents of these beams before steering, on the host; all finite.
    pub(crate) fn latents(
        &mut self,
        keys: &[BeamKey],
        selector: LatentSelector,
    ) -> Result<Vec<Arc<[f32]>>, ModelError> {
        let rows = self.model.latents(&self.ids(keys)?, selector)?;
        // Only the back end knows the width of its inner layers.
        let inner = rows.first().map_or(0, |row| row.len());
        let width = if selector == LatentSelector::FinalNorm { self.hidden() } else { inner };
        check_table("latents", &rows, keys.len(), width)?;
        let fine = rows.iter().all(|row| row.iter().all(|value| value.is_finite()));
        if fine { Ok(rows) } else { Err(ModelError::NotFinite("latents")) }
    }

    pub(crate) fn release(&mut self, keys: &[BeamKey]) {
        let ids: Vec<BeamId> = keys.iter().filter_map(|key| self.live.remove(key)).collect();
        self.model.release(&ids);
    }

    fn keep(&mut self, key: BeamKey, id: BeamId) {
        if let Some(old) = self.live.insert(key, id) {
            self.model.release(&[old]);
        }
    }

    fn ids(&self, keys: &[BeamKey]) -> Result<Vec<BeamId>, ModelError> {
        keys.iter().map(|key| self.id(*key)).collect()
    }

    fn id(&self, key: BeamKey) -> Result<BeamId, ModelError> {
        self.live.get(&key).copied().ok_or(ModelError::UnknownBeam(BeamId(key)))
    }
}

/// Whether this may be a logit or a log-probability; negative infinity is that of an impossible token.
fn is_log(value: f32) -> bool {
    !value.is_nan() && value < f32::INFINITY
}

fn check_table(what: &'static str, rows: &[Arc<[f32]>], len: usize, width: usize) -> Result<(), ModelError> {
    check_count(what, rows.len(), len)?;
    match rows.iter().find(|row| row.len() != width) {
        None => Ok(()),
        Some(row) => Err(ModelError::Shape {
            what,
            expected: format!("rows of {width}"),
            found: format!("a row of {}", row.len()),
        }),
    }
}

pub(crate) fn check_count(what: &'static str, found: usize, expected: usize) -> Result<(), ModelError> {
    if found == expected {
        return Ok(());
    }
    Err(ModelError::Shape { what, expected: expected.to_string(), found: found.to_string() })
}
