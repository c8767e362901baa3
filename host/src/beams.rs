//! Beams of the language model by the search's keys, with their latents and logits.

use inferenceguard_model::{
    BeamId, LatentSelector, Model, ModelError, Rows, Sampled, Token, Tokenizer, log_softmax, top_k,
};
use inferenceguard_search::{BeamKey, Expansion, ROOT, SampleNeed};
use std::{
    collections::HashMap,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

/// A row of a table that may live on a device.
#[derive(Clone)]
struct Place {
    table: Rc<Rows>,
    row: usize,
}

struct Beam {
    id: BeamId,
    /// As the model gave it: what roles read, whatever steering does.
    latent: Place,
    /// What steering made of it, if anything: what tokens are drawn from.
    steered: Option<Place>,
    /// Kept until the beam grows: a retry draws from them again.
    logits: Option<Place>,
}

/// The beams of one request. Dropping it releases them all, however the request ended.
pub(crate) struct Beams<'m> {
    model: &'m mut dyn Model,
    live: HashMap<BeamKey, Beam>,
    /// Time spent on projections since somebody asked.
    projecting: Duration,
}

impl Drop for Beams<'_> {
    fn drop(&mut self) {
        let all: Vec<BeamId> = self.live.values().map(|beam| beam.id).collect();
        self.model.release(&all);
    }
}

impl<'m> Beams<'m> {
    pub(crate) fn new(model: &'m mut dyn Model) -> Self {
        Self { model, live: HashMap::new(), projecting: Duration::ZERO }
    }

    pub(crate) fn holds(&self, key: BeamKey) -> bool {
        self.live.contains_key(&key)
    }

    /// The time of projections since the last call.
    pub(crate) fn take_projecting(&mut self) -> Duration {
        std::mem::take(&mut self.projecting)
    }

    pub(crate) fn tokenizer(&self) -> Arc<dyn Tokenizer> {
        self.model.tokenizer()
    }

    pub(crate) fn hidden(&self) -> usize {
        self.model.info().hidden
    }

    pub(crate) fn prefill(&mut self, prompt: &[Token]) -> Result<(), ModelError> {
        let (id, latents) = self.model.prefill(prompt)?;
        let latent = Place { table: Rc::new(latents), row: 0 };
        let shape = check_rows("latents", &latent.table, 1, self.hidden());
        self.live.insert(ROOT, Beam { id, latent, steered: None, logits: None });
        shape
    }

    pub(crate) fn step(&mut self, forks: &[(BeamKey, BeamKey)], rows: &[(BeamKey, Token)]) -> Result<(), ModelError> {
        self.fork(forks)?;
        if rows.is_empty() {
            return Ok(());
        }
        let named = rows.iter().map(|(key, token)| Ok((self.beam(*key)?.id, *token)));
        let named = named.collect::<Result<Vec<_>, ModelError>>()?;
        let latents = self.model.step(&named)?;
        check_rows("latents", &latents, rows.len(), self.hidden())?;
        let keys: Vec<BeamKey> = rows.iter().map(|(key, _)| *key).collect();
        self.set_latents(&keys, latents);
        Ok(())
    }

    fn fork(&mut self, forks: &[(BeamKey, BeamKey)]) -> Result<(), ModelError> {
        if forks.is_empty() {
            return Ok(());
        }
        let parents = forks.iter().map(|(parent, _)| Ok(self.beam(*parent)?.id));
        let parents = parents.collect::<Result<Vec<_>, ModelError>>()?;
        let ids = self.model.fork(&parents)?;
        if ids.len() != forks.len() {
            self.model.release(&ids);
        }
        check_count("forks", ids.len(), forks.len())?;
        for ((parent, child), id) in forks.iter().zip(ids) {
            let parent = self.beam(*parent)?;
            let (latent, steered) = (parent.latent.clone(), parent.steered.clone());
            let copy = Beam { id, latent, steered, logits: parent.logits.clone() };
            self.live.insert(*child, copy);
        }
        Ok(())
    }

    /// New latents for these beams, one row each; what was computed from the old ones is forgotten.
    fn set_latents(&mut self, keys: &[BeamKey], latents: Rows) {
        self.place(keys, latents, |beam, place| (beam.latent, beam.steered, beam.logits) = (place, None, None));
    }

    /// What steering made of the latents of these beams, one row each. Tokens are drawn from it; costs, critics and
    /// policies go on reading what the model gave, so that no edit hides anything from them.
    pub(crate) fn steer(&mut self, keys: &[BeamKey], latents: Rows) {
        self.place(keys, latents, |beam, place| (beam.steered, beam.logits) = (Some(place), None));
    }

    fn place(&mut self, keys: &[BeamKey], latents: Rows, put: impl Fn(&mut Beam, Place)) {
        let table = Rc::new(latents);
        for (row, key) in keys.iter().enumerate() {
            if let Some(beam) = self.live.get_mut(key) {
                put(beam, Place { table: Rc::clone(&table), row });
            }
        }
    }

    pub(crate) fn release(&mut self, keys: &[BeamKey]) {
        let ids: Vec<BeamId> = keys.iter().filter_map(|key| self.live.remove(key)).map(|beam| beam.id).collect();
        self.model.release(&ids);
    }

    /// One draw per need. Beams drawn from twice are projected once.
    pub(crate) fn sample(&mut self, needs: Vec<SampleNeed>) -> Result<Vec<Sampled>, ModelError> {
        let keys: Vec<BeamKey> = needs.iter().map(|need| need.from).collect();
        let places = self.logits(&keys)?;
        let mut drawn: Vec<Option<Sampled>> = vec![None; needs.len()];
        let mut requests: Vec<_> = needs.into_iter().map(|need| Some(need.request)).collect();
        for (table, indices) in by_table(&places) {
            let asked = indices.iter().filter_map(|i| Some((places[*i].row, requests[*i].take()?)));
            let sampled = self.model.sample(&table, &asked.collect::<Vec<_>>())?;
            check_count("samples", sampled.len(), indices.len())?;
            indices.iter().zip(sampled).for_each(|(i, one)| drawn[*i] = Some(one));
        }
        let (due, drawn) = (drawn.len(), drawn.into_iter().flatten().collect::<Vec<_>>());
        check_count("samples", drawn.len(), due)?;
        Ok(drawn)
    }

    /// This token for every draw, with its log-probability; after the last one, a sample.
    pub(crate) fn take(&mut self, needs: &[SampleNeed], token: Option<Token>) -> Result<Vec<Sampled>, ModelError> {
        let Some(token) = token else { return self.sample(needs.to_vec()) };
        let keys: Vec<BeamKey> = needs.iter().map(|need| need.from).collect();
        let logits = self.host_logits(&keys)?;
        let logprob = |row: &Arc<[f32]>| log_softmax(row).get(token as usize).copied().unwrap_or(f32::NEG_INFINITY);
        Ok(logits.iter().map(|row| Sampled { token, logprob: logprob(row) }).collect())
    }

    /// The `k` most likely next tokens of these beams.
    pub(crate) fn expand(&mut self, keys: &[BeamKey], k: u32) -> Result<Vec<Vec<Expansion>>, ModelError> {
        let expansion = |logits: &[f32]| {
            let logprobs = log_softmax(logits);
            let best = top_k(logits, k as usize).into_iter();
            best.map(|(token, logit)| Expansion { token, logit, logprob: logprobs[token as usize] }).collect()
        };
        Ok(self.host_logits(keys)?.iter().map(|row| expansion(row)).collect())
    }

    /// The logits of these beams before steering, on the host; all finite or negative infinity.
    pub(crate) fn host_logits(&mut self, keys: &[BeamKey]) -> Result<Vec<Arc<[f32]>>, ModelError> {
        let steered = keys.iter().any(|key| self.live.get(key).is_some_and(|beam| beam.steered.is_some()));
        let places = if steered { self.unsteered_logits(keys)? } else { self.logits(keys)? };
        let rows = on_host(&places)?;
        let fine = rows.iter().all(|row| row.iter().all(|l| !l.is_nan() && *l < f32::INFINITY));
        if fine { Ok(rows) } else { Err(ModelError::NotFinite("logits")) }
    }

    /// The latents of these beams, on the host.
    pub(crate) fn host_latents(
        &mut self,
        keys: &[BeamKey],
        selector: LatentSelector,
    ) -> Result<Vec<Arc<[f32]>>, ModelError> {
        match selector {
            LatentSelector::FinalNorm => finite(on_host(&self.latents(keys)?)?),
            LatentSelector::Layer(layer) => {
                let ids = keys.iter().map(|key| Ok(self.beam(*key)?.id)).collect::<Result<Vec<_>, ModelError>>()?;
                let rows = self.model.layer_latents(&ids, layer)?;
                check_rows("layer latents", &rows, keys.len(), rows.width())?;
                let table = Rc::new(rows);
                let places = (0..keys.len()).map(|row| Place { table: Rc::clone(&table), row });
                finite(on_host(&places.collect::<Vec<_>>())?)
            }
        }
    }

    fn logits(&mut self, keys: &[BeamKey]) -> Result<Vec<Place>, ModelError> {
        let mut missing = Vec::new();
        for key in keys {
            if self.beam(*key)?.logits.is_none() && !missing.contains(key) {
                missing.push(*key);
            }
        }
        if !missing.is_empty() {
            self.project(&missing)?;
        }
        let place = |key: &BeamKey| self.live.get(key).and_then(|b| b.logits.clone()).ok_or_else(|| unknown(*key));
        keys.iter().map(place).collect()
    }

    fn project(&mut self, keys: &[BeamKey]) -> Result<(), ModelError> {
        let drawn = |key: &BeamKey| self.beam(*key).map(|beam| beam.steered.as_ref().unwrap_or(&beam.latent).clone());
        let places = keys.iter().map(drawn).collect::<Result<Vec<_>, ModelError>>()?;
        let table = self.projected(&places)?;
        for (row, key) in keys.iter().enumerate() {
            if let Some(beam) = self.live.get_mut(key) {
                beam.logits = Some(Place { table: Rc::clone(&table), row });
            }
        }
        Ok(())
    }

    fn unsteered_logits(&mut self, keys: &[BeamKey]) -> Result<Vec<Place>, ModelError> {
        let table = self.projected(&self.latents(keys)?)?;
        Ok((0..keys.len()).map(|row| Place { table: Rc::clone(&table), row }).collect())
    }

    /// The logits of these latents, one row each.
    fn projected(&mut self, latents: &[Place]) -> Result<Rc<Rows>, ModelError> {
        let start = Instant::now();
        let gathered = self.gather(latents)?;
        let logits = self.model.project(&gathered)?;
        self.projecting += start.elapsed();
        check_rows("logits", &logits, latents.len(), self.model.info().vocab)?;
        Ok(Rc::new(logits))
    }

    fn latents(&self, keys: &[BeamKey]) -> Result<Vec<Place>, ModelError> {
        keys.iter().map(|key| Ok(self.beam(*key)?.latent.clone())).collect()
    }

    /// These rows as one table; the table itself if they are all of it in order.
    fn gather(&mut self, places: &[Place]) -> Result<Rc<Rows>, ModelError> {
        let groups = by_table(places);
        if let [(table, _)] = groups.as_slice()
            && table.len() == places.len()
            && places.iter().enumerate().all(|(i, place)| place.row == i)
        {
            return Ok(Rc::clone(table));
        }
        let mut picks = vec![(0, 0); places.len()];
        for (table, (_, indices)) in groups.iter().enumerate() {
            indices.iter().for_each(|i| picks[*i] = (table, places[*i].row));
        }
        let tables: Vec<&Rows> = groups.iter().map(|(table, _)| table.as_ref()).collect();
        let gathered = self.model.gather(&tables, &picks)?;
        check_rows("gathered rows", &gathered, places.len(), self.hidden())?;
        Ok(Rc::new(gathered))
    }

    fn beam(&self, key: BeamKey) -> Result<&Beam, ModelError> {
        self.live.get(&key).ok_or_else(|| unknown(key))
    }
}

fn finite(rows: Vec<Arc<[f32]>>) -> Result<Vec<Arc<[f32]>>, ModelError> {
    let fine = rows.iter().all(|row| row.iter().all(|value| value.is_finite()));
    if fine { Ok(rows) } else { Err(ModelError::NotFinite("latents")) }
}

fn unknown(key: BeamKey) -> ModelError {
    ModelError::UnknownBeam(BeamId(key))
}

/// The distinct tables, each with the indices of the places in it.
fn by_table(places: &[Place]) -> Vec<(Rc<Rows>, Vec<usize>)> {
    let mut groups: Vec<(Rc<Rows>, Vec<usize>)> = Vec::new();
    for (i, place) in places.iter().enumerate() {
        match groups.iter_mut().find(|(table, _)| Rc::ptr_eq(table, &place.table)) {
            Some((_, indices)) => indices.push(i),
            None => groups.push((Rc::clone(&place.table), vec![i])),
        }
    }
    groups
}

fn on_host(places: &[Place]) -> Result<Vec<Arc<[f32]>>, ModelError> {
    let mut rows: Vec<Arc<[f32]>> = vec![Arc::from([]); places.len()];
    for (table, indices) in by_table(places) {
        let (data, width) = (table.to_host()?, table.width());
        for i in indices {
            let start = places[i].row * width;
            rows[i] = data.get(start..start + width).unwrap_or_default().into();
        }
    }
    Ok(rows)
}

fn check_rows(what: &'static str, found: &Rows, len: usize, width: usize) -> Result<(), ModelError> {
    if (found.len(), found.width()) == (len, width) {
        return Ok(());
    }
    Err(ModelError::Shape { what, expected: format!("{len} x {width}"), found: format!("{found:?}") })
}

pub(crate) fn check_count(what: &'static str, found: usize, expected: usize) -> Result<(), ModelError> {
    if found == expected {
        return Ok(());
    }
    Err(ModelError::Shape { what, expected: expected.to_string(), found: found.to_string() })
}
