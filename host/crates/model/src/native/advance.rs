//! One token more for the rows of many calls: one step, one projection, one sampling.

use super::{
    Growing, Native,
    table_rows::{TableRow, whole},
};
use crate::{BeamId, ModelError, Rows, Sampled, Token};
use std::{collections::HashMap, sync::Arc};

/// The part of a turn that has just ended, for callers that measure time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Work of the model: the step, the projection, forks.
    Model,
    /// Drawing tokens.
    Sampling,
}

/// A call and how many of its rows get a token in this turn.
#[derive(Debug)]
pub struct Turn<'a> {
    /// The call.
    pub growing: &'a mut Growing,
    /// At most this many of its live rows; those with the fewest tokens come first.
    pub most: usize,
}

/// Given tokens for beams: a call of [`Generator::append`](crate::Generator::append).
#[derive(Debug)]
pub struct Appending {
    pub(super) rows: Vec<(BeamId, Token)>,
    pub(super) outcome: Option<Result<(), ModelError>>,
}

impl Appending {
    /// How many rows it has.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows.len()
    }

    /// How it ended, after its turn.
    ///
    /// # Errors
    /// Of the step that it was part of.
    pub fn outcome(self) -> Result<(), ModelError> {
        self.outcome.unwrap_or(Err(ModelError::Cancelled))
    }
}

/// A row of a call: the turn, the row.
type At = (usize, usize);

/// Rows that get a token in this turn.
struct Drawing {
    at: At,
    /// The beam whose logits it is drawn from.
    from: BeamId,
    /// Whether its own beam has just been stepped.
    stepped: bool,
}

impl Native {
    /// One token more for each row of these calls that has its turn, and the given tokens for these beams: one step, one
    /// projection and one sampling for all of them. What a row gets does not depend on the others. Calls `ended`
    /// after each phase.
    pub fn advance(&mut self, turns: &mut [Turn<'_>], appends: &mut [&mut Appending], ended: &mut dyn FnMut(Phase)) {
        let due = self.due(turns);
        self.step_all(turns, &due, appends);
        let drawing = drawing(turns, &due);
        let places = self.project_all(turns, &drawing);
        ended(Phase::Model);
        self.draw_all(turns, &drawing, &places);
        ended(Phase::Sampling);
        self.fork_all(turns, &drawing);
        for turn in turns {
            let lost = turn.growing.beams(true);
            self.forget(&lost);
        }
        ended(Phase::Model);
    }

    /// The rows that have their turn; those that cannot get a token fail first, and for themselves alone.
    fn due(&self, turns: &mut [Turn<'_>]) -> Vec<At> {
        let mut due = Vec::new();
        for (t, turn) in turns.iter_mut().enumerate() {
            for row in turn.growing.due(turn.most) {
                let one = &mut turn.growing.rows[row];
                let beam = one.beam.unwrap_or(one.from.parent);
                let more = usize::from(one.beam.is_some());
                match self.beam(beam).and_then(|beam| self.check_length(beam.tokens + more)) {
                    Ok(()) => due.push((t, row)),
                    Err(error) => one.fail(error),
                }
            }
        }
        due
    }

    /// The step of all beams that have an unread token. If it fails, the calls of these beams fail.
    fn step_all(&mut self, turns: &mut [Turn<'_>], due: &[At], appends: &mut [&mut Appending]) {
        let unread = |(t, row): &At| turns[*t].growing.rows[*row].unread();
        let mut rows: Vec<(BeamId, Token)> = due.iter().filter_map(unread).collect();
        rows.extend(appends.iter().flat_map(|append| append.rows.iter().copied()));
        let stepped = if rows.is_empty() { Ok(()) } else { self.step_beams(&rows) };
        for append in appends {
            append.outcome = Some(stepped.as_ref().copied().map_err(ModelError::for_another));
        }
        count_efforts(turns, due);
        let Err(error) = stepped else { return };
        for (t, row) in due {
            let growing = &mut *turns[*t].growing;
            if growing.rows[*row].unread().is_some() {
                growing.lose(&error);
            }
        }
    }

    /// Where the logits of each row are. If the projection fails, the calls of these rows fail.
    fn project_all(&mut self, turns: &mut [Turn<'_>], drawing: &[Drawing]) -> Vec<Option<TableRow>> {
        match self.project_rows(drawing) {
            Ok(places) => places.into_iter().map(Some).collect(),
            Err(error) => {
                for Drawing { at: (t, _), .. } in drawing {
                    turns[*t].growing.lose(&error);
                }
                vec![None; drawing.len()]
            }
        }
    }

    fn project_rows(&mut self, drawing: &[Drawing]) -> Result<Vec<TableRow>, ModelError> {
        let (latents, at) = self.without_logits(drawing)?;
        let logits = if latents.is_empty() { None } else { Some(self.project_latents(&latents)?) };
        let place = |one: &Drawing| match (&logits, at.get(&one.from)) {
            (Some(table), Some(row)) => Ok(TableRow { table: Arc::clone(table), row: *row }),
            _ => self.beam(one.from)?.logits.clone().ok_or(ModelError::UnknownBeam(one.from)),
        };
        let places = drawing.iter().map(place).collect::<Result<Vec<_>, _>>()?;
        if let Some(table) = logits {
            self.keep_parents(&table, drawing, &at)?;
        }
        Ok(places)
    }

    /// What must be projected: the latents, and the row of each beam among them.
    fn without_logits(&self, drawing: &[Drawing]) -> Result<(Vec<TableRow>, HashMap<BeamId, usize>), ModelError> {
        let (mut latents, mut at) = (Vec::new(), HashMap::new());
        for one in drawing {
            let beam = self.beam(one.from)?;
            if beam.logits.is_none() && !at.contains_key(&one.from) {
                at.insert(one.from, latents.len());
                latents.push(beam.drawn_from().clone());
            }
        }
        Ok((latents, at))
    }

    /// Parents keep their logits, since a retry draws from them again. Each call's are a table of their own: a table of all
    /// rows would stay in memory for the sake of a few.
    fn keep_parents(
        &mut self,
        table: &Arc<Rows>,
        drawing: &[Drawing],
        at: &HashMap<BeamId, usize>,
    ) -> Result<(), ModelError> {
        for call in drawing.chunk_by(|a, b| a.at.0 == b.at.0) {
            let mut parents = Vec::new();
            for one in call.iter().filter(|one| !one.stepped && at.contains_key(&one.from)) {
                if !parents.contains(&one.from) {
                    parents.push(one.from);
                }
            }
            let rows: Vec<usize> = parents.iter().map(|parent| at[parent]).collect();
            if !rows.is_empty() {
                let own = self.part(table, &rows)?;
                self.keep_logits(&parents, &own);
            }
        }
        Ok(())
    }

    /// These rows of a table of logits; the table itself, if they are all of it in order.
    fn part(&mut self, table: &Arc<Rows>, rows: &[usize]) -> Result<Arc<Rows>, ModelError> {
        let places: Vec<TableRow> = rows.iter().map(|row| TableRow { table: Arc::clone(table), row: *row }).collect();
        if whole(&places).is_some() {
            return Ok(Arc::clone(table));
        }
        let picks: Vec<(usize, usize)> = rows.iter().map(|row| (0, *row)).collect();
        Ok(Arc::new(self.model.gather(&[table.as_ref()], &picks)?))
    }

    /// Every row takes its token. Where a common call fails, each row is drawn by itself, so that it fails for itself alone.
    fn draw_all(&mut self, turns: &mut [Turn<'_>], drawing: &[Drawing], places: &[Option<TableRow>]) {
        let (mut rows, mut from, mut requests) = (Vec::new(), Vec::new(), Vec::new());
        for (Drawing { at: (t, row), .. }, place) in drawing.iter().zip(places) {
            let Some(place) = place else { continue };
            match turns[*t].growing.request(*row) {
                Ok(request) => {
                    rows.push((*t, *row));
                    from.push(place.clone());
                    requests.push(request);
                }
                Err(error) => turns[*t].growing.rows[*row].fail(error),
            }
        }
        let drawn: Vec<Result<Sampled, ModelError>> = match self.draw_samples(&from, requests) {
            Ok(drawn) => drawn.into_iter().map(Ok).collect(),
            Err(error) if rows.len() == 1 => vec![Err(error)],
            Err(_) => rows.iter().zip(&from).map(|(at, place)| self.draw_alone(turns, *at, place)).collect(),
        };
        let tokenizer = self.model.tokenizer();
        for ((t, row), drawn) in rows.into_iter().zip(drawn) {
            turns[t].growing.take(row, drawn, tokenizer.as_ref());
        }
    }

    fn draw_alone(&mut self, turns: &[Turn<'_>], (t, row): At, place: &TableRow) -> Result<Sampled, ModelError> {
        let request = turns[t].growing.request(row)?;
        Ok(self.draw_samples(std::slice::from_ref(place), vec![request])?[0])
    }

    /// Rows with their first token get beams of their own.
    fn fork_all(&mut self, turns: &mut [Turn<'_>], drawing: &[Drawing]) {
        let first = |one: &&Drawing| {
            let row = &turns[one.at.0].growing.rows[one.at.1];
            row.beam.is_none() && !matches!(row.state, super::growing::State::Failed(_))
        };
        let new: Vec<(At, BeamId)> = drawing.iter().filter(first).map(|one| (one.at, one.from)).collect();
        let parents: Vec<BeamId> = new.iter().map(|(_, parent)| *parent).collect();
        match self.fork_beams(&parents) {
            Ok(beams) => {
                for (((t, row), _), beam) in new.into_iter().zip(beams) {
                    turns[t].growing.rows[row].beam = Some(beam);
                    if let Some(beam) = self.beams.get_mut(&beam) {
                        beam.logits = None;
                    }
                }
            }
            Err(error) => {
                for ((t, row), _) in new {
                    turns[t].growing.rows[row].fail(error.for_another());
                }
            }
        }
    }
}

/// Counts the rows of each call that had an unread token, and so were part of the step.
fn count_efforts(turns: &mut [Turn<'_>], due: &[At]) {
    for (t, turn) in turns.iter_mut().enumerate() {
        let own = due.iter().filter(|(of, row)| *of == t && turn.growing.rows[*row].unread().is_some()).count();
        turn.growing.effort.steps += u64::from(own > 0);
        turn.growing.effort.positions += own as u64;
    }
}

/// The rows that still live after the step.
fn drawing(turns: &[Turn<'_>], due: &[At]) -> Vec<Drawing> {
    let one = |at: &At| {
        let row = &turns[at.0].growing.rows[at.1];
        let drawing = Drawing { at: *at, from: row.beam.unwrap_or(row.from.parent), stepped: row.beam.is_some() };
        row.is_live().then_some(drawing)
    };
    due.iter().filter_map(one).collect()
}
