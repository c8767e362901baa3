//! Beams of a model with their latents and logits.

use super::{
    Native,
    kept::Kept,
    table_rows::{TableRow, by_table, check_count, check_rows, finite_latents, on_host, usable_logits, whole},
};
use crate::{BeamId, LatentSelector, ModelError, Rows, SampleRequest, Sampled, Token};
use std::{collections::BTreeSet, sync::Arc};

/// What is known of a beam.
#[derive(Debug, Clone)]
pub(super) struct Beam {
    /// How many tokens it holds, prompt included.
    pub(super) tokens: usize,
    /// As the model gave it: what roles read, whatever steering does.
    pub(super) latent: TableRow,
    /// What steering made of it, if anything: what tokens are drawn from.
    pub(super) steered: Option<TableRow>,
    /// Kept until the beam grows: a retry draws from them again.
    pub(super) logits: Option<TableRow>,
    /// The latents of its tokens, of each place that it was asked to keep.
    pub(super) kept: Vec<Kept>,
}

impl Beam {
    /// What its next token is drawn from.
    pub(super) fn drawn_from(&self) -> &TableRow {
        self.steered.as_ref().unwrap_or(&self.latent)
    }
}

impl Native {
    pub(super) fn beam(&self, beam: BeamId) -> Result<&Beam, ModelError> {
        self.beams.get(&beam).ok_or(ModelError::UnknownBeam(beam))
    }

    /// Refuses tokens outside the vocabulary.
    pub(super) fn check_token(&self, token: Token) -> Result<(), ModelError> {
        let vocab = self.info.vocab;
        if (token as usize) < vocab { Ok(()) } else { Err(ModelError::UnknownToken { token, vocab }) }
    }

    /// Refuses more tokens than the context holds.
    pub(super) fn check_length(&self, found: usize) -> Result<(), ModelError> {
        let limit = self.info.context;
        if found <= limit { Ok(()) } else { Err(ModelError::ContextExceeded { found, limit }) }
    }

    /// Refuses what no step could take, so that one caller's mistake fails for nobody else.
    pub(super) fn check_append(&self, rows: &[(BeamId, Token)]) -> Result<(), ModelError> {
        let mut seen = BTreeSet::new();
        for (beam, token) in rows {
            self.check_token(*token)?;
            self.check_length(self.beam(*beam)?.tokens + 1)?;
            if !seen.insert(beam) {
                return Err(ModelError::Unsupported(format!("append to {beam:?} twice in one call; fork it first")));
            }
        }
        Ok(())
    }

    /// One new beam for each parent, equal to it.
    pub(super) fn fork_beams(&mut self, parents: &[BeamId]) -> Result<Vec<BeamId>, ModelError> {
        if parents.is_empty() {
            return Ok(Vec::new());
        }
        let copies = parents.iter().map(|parent| self.beam(*parent).cloned()).collect::<Result<Vec<_>, _>>()?;
        let children = self.model.fork(parents)?;
        if children.len() != parents.len() {
            self.model.release(&children);
        }
        check_count("forks", children.len(), parents.len())?;
        self.beams.extend(children.iter().copied().zip(copies));
        Ok(children)
    }

    /// One step of the model. Beams get their new latents, and what was computed from the old ones is forgotten; after an error
    /// they are gone.
    pub(super) fn step_beams(&mut self, rows: &[(BeamId, Token)]) -> Result<(), ModelError> {
        let hidden = self.info.hidden;
        let latents =
            self.model.step(rows).and_then(|rows_| check_rows("latents", &rows_, rows.len(), hidden).map(|()| rows_));
        let beams: Vec<BeamId> = rows.iter().map(|(beam, _)| *beam).collect();
        let latents = latents.inspect_err(|_| self.forget(&beams))?;
        self.place(&beams, latents, |beam, place| {
            (beam.latent, beam.steered, beam.logits) = (place, None, None);
            beam.tokens += 1;
        });
        self.keep_newest(&beams).inspect_err(|_| self.forget(&beams))
    }

    fn place(&mut self, beams: &[BeamId], latents: Rows, put: impl Fn(&mut Beam, TableRow)) {
        let table = Arc::new(latents);
        for (beam, place) in beams.iter().zip(TableRow::all(&table, 0..beams.len())) {
            if let Some(beam) = self.beams.get_mut(beam) {
                put(beam, place);
            }
        }
    }

    /// Replaces what the next tokens of these beams are drawn from.
    pub(super) fn steer_beams(&mut self, beams: &[BeamId], latents: Rows) -> Result<(), ModelError> {
        beams.iter().try_for_each(|beam| self.beam(*beam).map(|_| ()))?;
        check_rows("steered latents", &latents, beams.len(), self.info.hidden)?;
        self.place(beams, latents, |beam, place| (beam.steered, beam.logits) = (Some(place), None));
        Ok(())
    }

    /// Frees beams, in the model as well.
    pub(super) fn forget(&mut self, beams: &[BeamId]) {
        let known: Vec<BeamId> = beams.iter().copied().filter(|beam| self.beams.remove(beam).is_some()).collect();
        if !known.is_empty() {
            self.model.release(&known);
        }
    }

    /// Where the logits of these beams are, after steering. Beams asked for twice are projected once.
    pub(super) fn drawn_logits(&mut self, beams: &[BeamId]) -> Result<Vec<TableRow>, ModelError> {
        let mut missing = Vec::new();
        for beam in beams {
            if self.beam(*beam)?.logits.is_none() && !missing.contains(beam) {
                missing.push(*beam);
            }
        }
        if !missing.is_empty() {
            let from = missing.iter().map(|beam| Ok(self.beam(*beam)?.drawn_from().clone()));
            let table = self.project_latents(&from.collect::<Result<Vec<_>, ModelError>>()?)?;
            self.keep_logits(&missing, &table);
        }
        let place = |beam: &BeamId| self.beam(*beam)?.logits.clone().ok_or(ModelError::UnknownBeam(*beam));
        beams.iter().map(place).collect()
    }

    /// The first rows of this table are the logits of these beams.
    pub(super) fn keep_logits(&mut self, beams: &[BeamId], table: &Arc<Rows>) {
        for (beam, place) in beams.iter().zip(TableRow::all(table, 0..beams.len())) {
            if let Some(beam) = self.beams.get_mut(beam) {
                beam.logits = Some(place);
            }
        }
    }

    /// The logits of these latents, one row each.
    pub(super) fn project_latents(&mut self, latents: &[TableRow]) -> Result<Arc<Rows>, ModelError> {
        let gathered = self.gather_latents(latents)?;
        let logits = self.model.project(&gathered)?;
        check_rows("logits", &logits, latents.len(), self.info.vocab)?;
        Ok(Arc::new(logits))
    }

    /// These rows of latents as one table; the table itself if they are all of it in order.
    fn gather_latents(&mut self, places: &[TableRow]) -> Result<Arc<Rows>, ModelError> {
        if let Some(table) = whole(places) {
            return Ok(Arc::clone(table));
        }
        let groups = by_table(places);
        let mut picks = vec![(0, 0); places.len()];
        for (table, (_, indices)) in groups.iter().enumerate() {
            indices.iter().for_each(|i| picks[*i] = (table, places[*i].row));
        }
        let tables: Vec<&Rows> = groups.iter().map(|(table, _)| table.as_ref()).collect();
        let gathered = self.model.gather(&tables, &picks)?;
        check_rows("gathered rows", &gathered, places.len(), self.info.hidden)?;
        Ok(Arc::new(gathered))
    }

    /// One draw per request from rows of logits, in order.
    pub(super) fn draw_samples(
        &mut self,
        places: &[TableRow],
        requests: Vec<SampleRequest>,
    ) -> Result<Vec<Sampled>, ModelError> {
        let mut drawn: Vec<Option<Sampled>> = vec![None; places.len()];
        let mut requests: Vec<_> = requests.into_iter().map(Some).collect();
        for (table, indices) in by_table(places) {
            let asked = indices.iter().filter_map(|i| Some((places[*i].row, requests[*i].take()?)));
            let sampled = self.model.sample(&table, &asked.collect::<Vec<_>>())?;
            check_count("samples", sampled.len(), indices.len())?;
            indices.iter().zip(sampled).for_each(|(i, one)| drawn[*i] = Some(one));
        }
        let drawn: Vec<Sampled> = drawn.into_iter().flatten().collect();
        check_count("samples", drawn.len(), places.len())?;
        drawn.iter().try_for_each(|one| self.check_sampled(one))?;
        Ok(drawn)
    }

    fn check_sampled(&self, one: &Sampled) -> Result<(), ModelError> {
        self.check_token(one.token)?;
        let is_number = !one.logprob.is_nan() && one.logprob < f32::INFINITY;
        if is_number { Ok(()) } else { Err(ModelError::NotFinite("log-probabilities")) }
    }

    /// The logits of these beams before steering, on the host; all finite or negative infinity.
    pub(super) fn host_logits(&mut self, beams: &[BeamId]) -> Result<Vec<Arc<[f32]>>, ModelError> {
        let steered = beams.iter().any(|beam| self.beams.get(beam).is_some_and(|beam| beam.steered.is_some()));
        if !steered {
            return usable_logits(on_host(&self.drawn_logits(beams)?)?);
        }
        let latents = self.latent_rows(beams)?;
        let table = self.project_latents(&latents)?;
        usable_logits(on_host(&TableRow::all(&table, 0..beams.len()).collect::<Vec<_>>())?)
    }

    /// The latents of these beams before steering, on the host, finite.
    pub(super) fn host_latents(
        &mut self,
        beams: &[BeamId],
        selector: LatentSelector,
    ) -> Result<Vec<Arc<[f32]>>, ModelError> {
        finite_latents(self.newest_latents(beams, selector)?)
    }

    /// The latents as the model gave them, finite or not.
    pub(super) fn newest_latents(
        &mut self,
        beams: &[BeamId],
        selector: LatentSelector,
    ) -> Result<Vec<Arc<[f32]>>, ModelError> {
        let places = self.latent_rows(beams)?;
        let LatentSelector::Layer(layer) = selector else { return on_host(&places) };
        let rows = self.model.layer_latents(beams, layer)?;
        check_rows("layer latents", &rows, beams.len(), rows.width())?;
        on_host(&TableRow::all(&Arc::new(rows), 0..beams.len()).collect::<Vec<_>>())
    }

    fn latent_rows(&self, beams: &[BeamId]) -> Result<Vec<TableRow>, ModelError> {
        beams.iter().map(|beam| Ok(self.beam(*beam)?.latent.clone())).collect()
    }
}
