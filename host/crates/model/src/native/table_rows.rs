//! Rows of tables that may live on a device.

use crate::{ModelError, Rows};
use std::{ops::Range, sync::Arc};

/// A row of a table.
#[derive(Debug, Clone)]
pub(super) struct TableRow {
    pub(super) table: Arc<Rows>,
    pub(super) row: usize,
}

impl TableRow {
    /// These rows of a table.
    pub(super) fn all(table: &Arc<Rows>, rows: Range<usize>) -> impl Iterator<Item = Self> {
        rows.map(|row| Self { table: Arc::clone(table), row })
    }
}

/// The distinct tables, each with the indices of the places in it.
pub(super) fn by_table(places: &[TableRow]) -> Vec<(Arc<Rows>, Vec<usize>)> {
    let mut groups: Vec<(Arc<Rows>, Vec<usize>)> = Vec::new();
    for (i, place) in places.iter().enumerate() {
        match groups.iter_mut().find(|(table, _)| Arc::ptr_eq(table, &place.table)) {
            Some((_, indices)) => indices.push(i),
            None => groups.push((Arc::clone(&place.table), vec![i])),
        }
    }
    groups
}

/// The table, if these places are all of its rows in order.
pub(super) fn whole(places: &[TableRow]) -> Option<&Arc<Rows>> {
    let table = &places.first()?.table;
    let in_order = |(i, place): (usize, &TableRow)| place.row == i && Arc::ptr_eq(table, &place.table);
    (table.len() == places.len() && places.iter().enumerate().all(in_order)).then_some(table)
}

/// Copies of these rows on the host.
pub(super) fn on_host(places: &[TableRow]) -> Result<Vec<Arc<[f32]>>, ModelError> {
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

/// Refuses latents with NaN or infinity.
pub(super) fn finite_latents(rows: Vec<Arc<[f32]>>) -> Result<Vec<Arc<[f32]>>, ModelError> {
    let fine = rows.iter().all(|row| row.iter().all(|value| value.is_finite()));
    if fine { Ok(rows) } else { Err(ModelError::NotFinite("latents")) }
}

/// Refuses logits with NaN or positive infinity.
pub(super) fn usable_logits(rows: Vec<Arc<[f32]>>) -> Result<Vec<Arc<[f32]>>, ModelError> {
    let fine = rows.iter().all(|row| row.iter().all(|logit| !logit.is_nan() && *logit < f32::INFINITY));
    if fine { Ok(rows) } else { Err(ModelError::NotFinite("logits")) }
}

pub(super) fn check_rows(what: &'static str, found: &Rows, len: usize, width: usize) -> Result<(), ModelError> {
    if (found.len(), found.width()) == (len, width) {
        return Ok(());
    }
    Err(ModelError::Shape { what, expected: format!("{len} x {width}"), found: format!("{found:?}") })
}

pub(super) fn check_count(what: &'static str, found: usize, expected: usize) -> Result<(), ModelError> {
    if found == expected {
        return Ok(());
    }
    Err(ModelError::Shape { what, expected: expected.to_string(), found: found.to_string() })
}
