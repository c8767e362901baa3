//! A tracker that misbehaves.

wit_bindgen::generate!({ path: "../../../wit/v0.1", world: "tracker-component", generate_all });

const NAME: &str = "rogue-tracker";
const ROLE: Role = Role::Tracker;

#[path = "../../rogue.rs"]
mod rogue;

use exports::inferenceguard::guard::tracker::{Advanced, Guest, Tracked};
use inferenceguard::guard::types::{BudgetState, Constraint};
use rogue::*;

fn needs(_: &str) -> Vec<Need> {
    vec![]
}

fn any_state(bytes: &mut Bytes) -> BudgetState {
    BudgetState { z: bytes.float(), memory: bytes.several(Bytes::float) }
}

fn any_advanced(bytes: &mut Bytes) -> Advanced {
    Advanced { state: any_state(bytes), safe: bytes.flag(), trace: bytes.several(Bytes::float) }
}

fn advance(row: Tracked, gamma: f64) -> Advanced {
    let mut z = row.state.z;
    let mut trace: Vec<f64> = row
        .costs
        .iter()
        .map(|cost| {
            z = (z - cost) / gamma;
            z
        })
        .collect();
    match mode().as_str() {
        "nan" => z = f64::NAN,
        "short" => trace.clear(),
        "counter-advance" => z -= f64::from(calls()),
        _ => {}
    }
    Advanced { state: BudgetState { z, memory: row.state.memory }, safe: mode() == "always-safe" || z > 0.0, trace }
}

impl Guest for Rogue {
    fn start(constraint: Constraint) -> Result<BudgetState, RoleError> {
        if let Some(mut bytes) = Bytes::of_mode() {
            return bytes.or_error(any_state);
        }
        let memory = if mode() == "hoard" { vec![0.0; 1000] } else { vec![] };
        let moody = if mode() == "counter" { f64::from(calls()) } else { 0.0 };
        Ok(BudgetState { z: constraint.budget + moody, memory })
    }

    fn advance(constraint: Constraint, rows: Vec<Tracked>) -> Result<Vec<Advanced>, RoleError> {
        misdeed()?;
        if let Some(mut bytes) = Bytes::of_mode() {
            return bytes.or_error(|bytes| bytes.several(any_advanced));
        }
        let kept = if mode() == "no-rows" { 0 } else { rows.len() };
        Ok(rows.into_iter().map(|row| advance(row, constraint.gamma)).take(kept).collect())
    }
}

export!(Rogue);
