//! Prices a text that exists already, by costs that read nothing but text: no model takes part.

use crate::{
    Batch, BatchRow, Constraint, Cost, Moment, Needs, Note, PricedConstraint, Role, RoleFailure, SearchConfig, Tracked,
    Tracker, beam::Ledger, check::Check, session::spread,
};
use inferenceguard_model::Token;
use std::{collections::BTreeMap, sync::Arc};

/// A part of a text, which is charged as one token, and its id.
pub type TextPiece = (Token, String);

/// What a text costs under one constraint.
#[derive(Debug, Clone, PartialEq)]
pub struct PricedText {
    /// The constraint.
    pub constraint: Constraint,
    /// The cost of each piece, neither discounted nor clipped.
    pub costs: Vec<f64>,
    /// The sum that counts against the budget: discounted and clipped.
    pub counted: f64,
    /// Whether tracker and audit hold the constraint.
    pub holds: bool,
    /// What the cost found, and in which piece.
    pub found: Vec<(usize, String)>,
}

/// Whether a role reads nothing but prompt, text and ids.
#[must_use]
pub fn reads_text_alone(needs: &Needs) -> bool {
    let models = needs.logprobs || needs.newest_position() || !needs.scores.is_empty() || !needs.networks.is_empty();
    !models
}

/// Prices a text in one piece, by every constraint, as the answer to a prompt. The costs must read text alone; anything else that
/// they read is missing, and they fail.
///
/// # Errors
/// [`RoleFailure`] of a cost or of the tracker, or where a constraint's cost is not there.
pub fn price_text(
    config: &SearchConfig,
    tracker: &mut dyn Tracker,
    costs: &mut BTreeMap<String, Box<dyn Cost>>,
    prompt: &str,
    pieces: &[TextPiece],
) -> Result<Vec<PricedText>, RoleFailure> {
    let bare: Arc<[Constraint]> = config.constraints.iter().map(|priced| priced.constraint.clone()).collect();
    let one = |priced: &PricedConstraint| {
        let absent = || RoleFailure::bad_output(Role::Cost, &priced.cost, "nothing".to_owned(), "a cost");
        let cost = costs.get_mut(&priced.cost).ok_or_else(absent)?;
        let batch = batch(&bare, cost.needs(), prompt, pieces);
        let (prices, notes) = priced_by(&mut **cost, priced, batch)?;
        let (counted, holds) = audited(config.margin, &mut *tracker, &priced.constraint, &prices)?;
        let found = notes.into_iter().map(|note| (note.token as usize, note.found)).collect();
        Ok(PricedText { constraint: priced.constraint.clone(), costs: prices, counted, holds, found })
    };
    config.constraints.iter().map(one).collect()
}

fn priced_by(
    cost: &mut dyn Cost,
    priced: &PricedConstraint,
    batch: Batch,
) -> Result<(Vec<f64>, Vec<Note>), RoleFailure> {
    let tokens = batch.rows.first().map_or(0, |row| row.tokens.len());
    if tokens == 0 {
        return Ok((Vec::new(), Vec::new()));
    }
    let check = Check { role: Role::Cost, component: &priced.cost };
    let grain = cost.grain();
    let prices = cost.price(&batch).and_then(|prices| check.prices(prices, &[tokens], grain))?;
    let prices = prices.into_iter().flatten().collect();
    Ok((spread(prices, tokens, priced.granularity), cost.notes()))
}

/// One row with the whole text.
fn batch(constraints: &Arc<[Constraint]>, needs: &Needs, prompt: &str, pieces: &[TextPiece]) -> Batch {
    let ends = pieces.iter().scan(0, |end, (_, text)| {
        *end += text.chars().count() as u32;
        Some(*end)
    });
    let length = pieces.len() as u32;
    let row = BatchRow {
        id: 1,
        finished: true,
        length,
        tokens: pieces.iter().map(|(token, _)| *token).collect(),
        text: pieces.iter().map(|(_, text)| text.as_str()).collect(),
        text_ends: ends.collect(),
        ..BatchRow::default()
    };
    Batch {
        moment: Moment { depth: length, max_depth: length.max(1), ..Moment::default() },
        constraints: Arc::clone(constraints),
        prompt: if needs.prompt { prompt.into() } else { "".into() },
        needs: needs.clone(),
        rows: Arc::new([row]),
    }
}

/// The sum that counts, and whether the constraint holds by tracker and audit.
fn audited(
    margin: f64,
    tracker: &mut dyn Tracker,
    constraint: &Constraint,
    costs: &[f64],
) -> Result<(f64, bool), RoleFailure> {
    let check = Check { role: Role::Tracker, component: "tracker" };
    let state = tracker.start(constraint).and_then(|state| check.start(state))?;
    let rows = [Tracked { state: state.clone(), costs: costs.to_vec(), ended: true }];
    let advanced = tracker.advance(constraint, &rows).and_then(|out| check.advanced(out, &rows))?;
    let mut ledger = Ledger::new(state, margin);
    for advanced in advanced {
        ledger.charge(constraint, costs, advanced)?;
    }
    Ok((ledger.audit.counted(constraint), ledger.tracker_safe && ledger.audit.holds(constraint)))
}
