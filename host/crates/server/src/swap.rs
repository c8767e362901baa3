//! Attempts to change what decides.

use crate::bundles::seconds_now;
use inferenceguard_host::Generation;
use serde::{Deserialize, Serialize};

/// What was attempted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Change {
    Activate,
    RollBack,
    Canary,
    Promote,
    Shadow,
    /// A server began with another bundle than the one that was active last.
    Begin,
}

impl Change {
    /// As it is written everywhere.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Activate => "activate",
            Self::RollBack => "roll_back",
            Self::Canary => "canary",
            Self::Promote => "promote",
            Self::Shadow => "shadow",
            Self::Begin => "begin",
        }
    }
}

/// One attempt to change what decides.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Swap {
    /// Seconds since 1970.
    pub(crate) at: u64,
    pub(crate) change: Change,
    /// How long it took, compilation included.
    pub(crate) seconds: f64,
    pub(crate) generation: Option<Generation>,
    pub(crate) error: Option<String>,
}

impl Swap {
    /// Whether it was done. What a canary that was rolled back by itself did wrong is no error of its roll back.
    pub(crate) fn is_done(&self) -> bool {
        self.error.is_none() || self.generation.is_some()
    }

    /// A server begins with this.
    pub(crate) fn beginning(generation: Generation) -> Self {
        Self { at: seconds_now(), change: Change::Begin, seconds: 0.0, generation: Some(generation), error: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_called_the_same_everywhere() {
        use Change::{Activate, Begin, Canary, Promote, RollBack, Shadow};
        for change in [Activate, RollBack, Canary, Promote, Shadow, Begin] {
            assert_eq!(serde_json::to_value(change).unwrap(), change.name());
        }
    }
}
