//! A component that exports a cost and describes itself as a policy.

wit_bindgen::generate!({ path: "../../../wit/v0.1", world: "cost-component", generate_all });

const NAME: &str = "liar";
const ROLE: Role = Role::Policy;

#[path = "../../rogue.rs"]
mod rogue;

use exports::inferenceguard::guard::cost::{CostGrain, CostKind, Guest};
use inferenceguard::guard::batch::Batch;
use rogue::*;

fn needs(_: &str) -> Vec<Need> {
    vec![]
}

impl Guest for Rogue {
    fn kind() -> CostKind {
        CostKind::Safety
    }

    fn grain() -> CostGrain {
        CostGrain::Chunk
    }

    fn price(rows: &Batch) -> Result<Vec<Vec<f64>>, RoleError> {
        misdeed()?;
        Ok((0..rows.len()).map(|_| vec![f64::from(calls())]).collect())
    }
}

export!(Rogue);
