//! Draws from many rows side by side.

use inferenceguard_model::{ModelError, RowSampler, Rows, SampleRequest, Sampled};
use rayon::prelude::*;

/// One draw per request, as [`sample_row`](inferenceguard_model::sample_row) makes it. Rows are prepared and drawn from on all
/// cores; a row that several requests name is prepared once.
pub(crate) fn sample(logits: &Rows, requests: &[(usize, SampleRequest)]) -> Result<Vec<Sampled>, ModelError> {
    let (data, width) = (logits.to_host()?, logits.width());
    let mut rows: Vec<usize> = requests.iter().map(|(row, _)| *row).collect();
    rows.sort_unstable();
    rows.dedup();
    if let Some(beyond) = rows.last().filter(|row| **row >= logits.len()) {
        let (expected, found) = (format!("an index below {}", logits.len()), beyond.to_string());
        return Err(ModelError::Shape { what: "row", expected, found });
    }
    let prepared = |row: &usize| RowSampler::new(&data[row * width..(row + 1) * width]);
    let samplers = rows.par_iter().map(prepared).collect::<Result<Vec<_>, _>>()?;
    let draw = |(row, request): &(usize, SampleRequest)| {
        let at = rows.binary_search(row).unwrap_or_default();
        samplers[at].sample(request)
    };
    requests.par_iter().map(draw).collect()
}
