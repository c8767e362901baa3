//! Where requests get their roles, and what the roles read.

use crate::EngineError;
use inferenceguard_search::{Needs, Role, Roles, RolesInfo};

/// Gives every request its own roles: nothing leaks from one to the next.
///
/// Any `Fn() -> Roles` is one, for tests and for roles in plain Rust.
pub trait RolesFactory: Send + Sync {
    /// Fresh roles. What they declare must be the same every time.
    ///
    /// # Errors
    /// When no instance is free or one does not start.
    fn open(&self) -> Result<Roles, EngineError>;
}

impl<F: Fn() -> Roles + Send + Sync> RolesFactory for F {
    fn open(&self) -> Result<Roles, EngineError> {
        Ok(self())
    }
}

/// Every role that reads something, with its name in the deployment.
pub(crate) fn readers(info: &RolesInfo) -> Vec<(Role, &str, &Needs)> {
    let critic = info.critic.as_ref().map(|needs| (Role::Critic, "critic", needs));
    let steering = info.steering.as_ref().map(|needs| (Role::Steering, "steering", needs));
    let costs = info.costs.iter().map(|(name, cost)| (Role::Cost, name.as_str(), &cost.needs));
    [(Role::Policy, "policy", &info.policy)].into_iter().chain(critic).chain(steering).chain(costs).collect()
}
