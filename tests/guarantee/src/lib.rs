//! The foundations of the guarantee, on problems that are small enough to be solved exactly. `host/GUARANTEE.md` says what is
//! proved.
//!
//! # Key types
//! - [`Mdp`]: an explicit decision problem; [`random`] makes many of them.
//! - [`policies`]: every policy, by brute force, and its facts. No tracker takes part.
//! - [`Augmented`]: the problem as the paper solves it, over (state, budget state), with a real tracker and a penalty.
//! - [`check()`]: compares the two, theorem by theorem; what differs is a [`Finding`].
//! - [`sweep()`]: what happens as the penalty grows.
//! - [`closed_form`]: the costs spent, from the definition.
//!
//! Costs are in the unit of their model, lower is better; probabilities are in (0, 1].

mod augmented;
mod check;
pub mod closed_form;
mod convert;
mod dice;
mod facts;
mod mdp;
pub mod policies;
pub mod random;
mod sweep;

pub use augmented::{Augmented, Charged, Penalty, Solution};
pub use check::{Check, Finding, check};
pub use convert::guest_constraint;
pub use dice::Dice;
pub use facts::Facts;
pub use mdp::{Mdp, Outcome, Trajectory};
pub use sweep::{Row, sweep};
