//! The roles of one request together, whether wasm components or plain Rust play them.

use crate::{Cost, CostInfo, Critic, Policy, RolesInfo, Steering, Tracker};
use std::collections::BTreeMap;

/// Fresh roles for one request.
pub struct Roles {
    /// Plans and selects.
    pub policy: Box<dyn Policy>,
    /// Keeps the safety state.
    pub tracker: Box<dyn Tracker>,
    /// Foresees.
    pub critic: Option<Box<dyn Critic>>,
    /// Edits latents.
    pub steering: Option<Box<dyn Steering>>,
    /// Price, by name.
    pub costs: BTreeMap<String, Box<dyn Cost>>,
}

impl Roles {
    /// What these roles declared.
    #[must_use]
    pub fn info(&self) -> RolesInfo {
        let cost = |cost: &dyn Cost| CostInfo { needs: cost.needs().clone(), kind: cost.kind(), grain: cost.grain() };
        RolesInfo {
            policy: self.policy.needs().clone(),
            critic: self.critic.as_ref().map(|critic| critic.needs().clone()),
            steering: self.steering.as_ref().map(|steering| steering.needs().clone()),
            costs: self.costs.iter().map(|(name, one)| (name.clone(), cost(one.as_ref()))).collect(),
        }
    }
}

impl std::fmt::Debug for Roles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Roles").field("info", &self.info()).finish_non_exhaustive()
    }
}
