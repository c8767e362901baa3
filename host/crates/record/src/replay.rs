//! Asks components again what they were asked, and compares their answers bit for bit. One exception: numbers of components that
//! open networks, recorded where the networks ran on another device than the processor, may differ by [`Deciders::tolerance`]
//! each, and the costs of a constraint by that share of `1 + budget` in sum.

mod near;

use crate::{Body, Wrong};
use inferenceguard_search::{Answer, FailureKind, Need, Role, RoleFailure, Roles};
use near::{Drift, near};
use std::collections::BTreeMap;

/// Fresh roles of the bundles that decided.
#[derive(Debug)]
pub struct Deciders {
    /// Of the bundle that the request began with.
    pub first: Roles,
    /// Of those that were activated meanwhile, by the number of their generation.
    pub later: BTreeMap<u64, Roles>,
    /// How far the numbers of components that open networks may be from the recorded ones, as a share of `1 + |number|`. 0
    /// where the networks ran on the processor; another device rounds in its own way. In sum, the prices for a constraint may
    /// be off by this share of `1 + budget`.
    pub tolerance: f64,
}

impl From<Roles> for Deciders {
    fn from(first: Roles) -> Self {
        Self { first, later: BTreeMap::new(), tolerance: 0.0 }
    }
}

impl Deciders {
    /// Whose constraint or cost this is, and what it is called there.
    fn of<'n>(&mut self, name: &'n str) -> (&mut Roles, &'n str) {
        let own = |number: &u64| name.strip_suffix(&number.to_string())?.strip_suffix('@');
        let later = self.later.iter_mut().find_map(|(number, roles)| Some((roles, own(number)?)));
        later.unwrap_or((&mut self.first, name))
    }
}

impl Deciders {
    /// Whether the component that this need asks opens networks.
    fn opens_networks(&mut self, need: &Need) -> bool {
        let needs = match need {
            Need::Estimate(_) => self.first.critic.as_ref().map(|critic| critic.needs()),
            Need::Price { cost, .. } | Need::PriceTail { cost, .. } => {
                let (roles, cost) = self.of(cost);
                roles.costs.get(cost).map(|cost| cost.needs())
            }
            _ => None,
        };
        needs.is_some_and(|needs| !needs.networks.is_empty())
    }
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Replayed {
    /// Calls that were answered the same again.
    pub same: u64,
    /// Calls that were answered the same up to the rounding of a device.
    pub near: u64,
    /// Calls that cannot be compared: those that the clock ended, and edits of latents, which are not kept.
    pub skipped: u64,
}

impl Body {
    /// Asks fresh roles, of the bundles that decided, everything again in the order it was asked.
    ///
    /// # Errors
    /// [`Wrong::Replay`] at the first answer that differs, [`Wrong::Drift`] where answers that are nearly the same add up to
    /// more than the tolerance of a constraint.
    pub fn replay(&self, deciders: &mut Deciders) -> Result<Replayed, Wrong> {
        let mut replayed = Replayed::default();
        let mut drift = Drift::new(&self.inputs.config.constraints, deciders.tolerance);
        for (at, (need, answer)) in self.trace.events.iter().enumerate() {
            let Some(again) = ask(deciders, need) else { continue };
            if matches!(need, Need::Steer(_)) || timed(answer) {
                replayed.skipped += 1;
            } else if same(answer, &again) {
                replayed.same += 1;
            } else if deciders.opens_networks(need) && near(answer, &again, deciders.tolerance) {
                drift.add(at, need, answer, &again)?;
                replayed.near += 1;
            } else {
                let (found, expected) = (short(&again), short(answer));
                return Err(Wrong::Replay { event: at, need: need.name(), found, expected });
            }
        }
        Ok(replayed)
    }
}

/// The answer of the role that this need is for; nothing if it is for a model or for nobody.
fn ask(deciders: &mut Deciders, need: &Need) -> Option<Answer> {
    let roles = &mut deciders.first;
    Some(match need {
        Need::Start(constraint) => Answer::Budget(deciders.of(&constraint.name).0.tracker.start(constraint)),
        Need::Advance { constraint, rows } => {
            Answer::Advanced(deciders.of(&constraint.name).0.tracker.advance(constraint, rows))
        }
        Need::Plan(batch) => Answer::Plan(roles.policy.plan(batch)),
        Need::Select(batch) => Answer::Decided(roles.policy.select(batch)),
        Need::Estimate(batch) => {
            let critic = roles.critic.as_mut().ok_or_else(|| absent(Role::Critic, "critic"));
            Answer::Estimated(critic.and_then(|critic| critic.estimate(batch)))
        }
        Need::Price { cost, batch } | Need::PriceTail { cost, batch } => {
            let (roles, cost) = deciders.of(cost);
            let cost = roles.costs.get_mut(cost).ok_or_else(|| absent(Role::Cost, cost));
            Answer::Priced(cost.and_then(|cost| cost.price(batch)))
        }
        // The role is asked, so that what it remembers is the same, and its edits are not kept.
        Need::Steer(batch) => {
            Answer::Steered(roles.steering.as_mut().map_or(Ok(()), |role| role.steer(batch).map(drop)))
        }
        _ => return None,
    })
}

fn absent(role: Role, name: &str) -> RoleFailure {
    let kind = FailureKind::Refused("it is not in this bundle".into());
    RoleFailure { role, component: name.to_owned(), kind }
}

/// Whether a clock decided: another machine may be faster.
fn timed(answer: &Answer) -> bool {
    let failure = match answer {
        Answer::Budget(Err(failure))
        | Answer::Plan(Err(failure))
        | Answer::Estimated(Err(failure))
        | Answer::Priced(Err(failure))
        | Answer::Advanced(Err(failure))
        | Answer::Decided(Err(failure)) => failure,
        _ => return false,
    };
    matches!(failure.kind, FailureKind::Deadline { .. })
}

/// Whether two answers agree in every bit: written out, so that no number is equal to a neighbour and NaN is itself.
fn same(a: &Answer, b: &Answer) -> bool {
    a == b || format!("{a:?}") == format!("{b:?}")
}

fn short(answer: &Answer) -> String {
    const MOST: usize = 200;
    let text = format!("{answer:?}");
    if text.chars().count() <= MOST { text } else { text.chars().take(MOST).chain("…".chars()).collect() }
}
