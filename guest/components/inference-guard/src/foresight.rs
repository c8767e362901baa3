//! Ranking with a critic: only as many candidates are priced as are needed.

use inferenceguard_guest::ranking::{Ranked, distinct};
use inferenceguard_guest::{BatchView, RoleError};

/// What the critic's estimates lead to.
pub(crate) enum Look {
    /// These rows must be priced before anything is decided.
    Price(Vec<u32>),
    /// The safe rows, best first.
    Safe(Vec<Ranked>),
}

/// Finished rows are judged by their real costs, so all of them are priced. Of the unfinished ones those above the
/// threshold are priced in the order of their cost-to-go, until `keep` of them are safe. On the last try the doubtful
/// candidates are priced too, because the critic may be wrong and the alternative is no answer.
pub(crate) fn look(rows: &dyn BatchView, threshold: f64, keep: usize, last_try: bool) -> Result<Look, RoleError> {
    let (likely, doubtful) = sort(rows, threshold)?;
    let (safe, unpriced) = settle(rows, &likely, keep)?;
    if !unpriced.is_empty() {
        return Ok(Look::Price(unpriced));
    }
    if !safe.is_empty() || !last_try {
        return Ok(Look::Safe(safe));
    }
    let (safe, unpriced) = settle(rows, &doubtful, keep)?;
    Ok(if unpriced.is_empty() { Look::Safe(safe) } else { Look::Price(unpriced) })
}

/// Distinct rows above the threshold (and all finished ones), then the others; each best first.
fn sort(rows: &dyn BatchView, threshold: f64) -> Result<(Vec<Ranked>, Vec<Ranked>), RoleError> {
    let constraints = rows.constraints().len() as u32;
    let (mut likely, mut doubtful) = (Vec::new(), Vec::new());
    for row in 0..rows.len() {
        let mut one = Ranked::read(rows, row, constraints)?;
        if one.finished {
            likely.push(one);
            continue;
        }
        let Some(estimate) = rows.estimate(row)? else {
            let found = format!("row {row} has no estimate; set `critic` to false or add a critic to the deployment");
            return Err(RoleError::InvalidInput(found));
        };
        one.cost = estimate.cost_to_go;
        let likeliest = estimate.safe.iter().copied().fold(1.0, f64::min) > threshold;
        if likeliest { likely.push(one) } else { doubtful.push(one) }
    }
    likely.sort_by(Ranked::order);
    doubtful.sort_by(Ranked::order);
    Ok((distinct(rows, likely)?, distinct(rows, doubtful)?))
}

/// The safe rows among the priced rows, and the rows to price: every finished row, and as many unfinished rows as there are free
/// places.
fn settle(rows: &dyn BatchView, ranked: &[Ranked], keep: usize) -> Result<(Vec<Ranked>, Vec<u32>), RoleError> {
    let (mut safe, mut finished, mut waiting) = (Vec::new(), Vec::new(), Vec::new());
    for one in ranked {
        match (rows.priced(one.row)?, one.finished) {
            (true, _) if rows.safe(one.row)? => safe.push(*one),
            (true, _) => {}
            (false, true) => finished.push(one.row),
            (false, false) => waiting.push(one.row),
        }
    }
    let free = keep.saturating_sub(safe.iter().filter(|one| !one.finished).count());
    finished.extend(waiting.into_iter().take(free));
    Ok((safe, finished))
}
