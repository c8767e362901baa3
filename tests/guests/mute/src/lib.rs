//! A component that traps in `describe`.

wit_bindgen::generate!({ path: "../../../wit/v0.1", world: "tracker-component", generate_all });

use exports::inferenceguard::guard::{
    setup::{Description, Guest as Setup},
    tracker::{Advanced, Guest, Tracked},
};
use inferenceguard::guard::log::{self, Level};
use inferenceguard::guard::types::{BudgetState, Constraint, Need, RoleError, Value};

struct Mute;

impl Setup for Mute {
    fn describe() -> Description {
        log::write(Level::Warn, "no comment");
        panic!("no comment")
    }

    fn configure(_: Vec<(String, Value)>) -> Result<(), String> {
        Ok(())
    }

    fn needs() -> Vec<Need> {
        vec![]
    }
}

impl Guest for Mute {
    fn start(_: Constraint) -> Result<BudgetState, RoleError> {
        Err(RoleError::Unsupported("anything".into()))
    }

    fn advance(_: Constraint, _: Vec<Tracked>) -> Result<Vec<Advanced>, RoleError> {
        Err(RoleError::Unsupported("anything".into()))
    }
}

export!(Mute);
