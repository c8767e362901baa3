//! Write InferenceGuard components: small programs that plan, price, track, foresee or steer, in a sandbox.
//!
//! Key types: one trait per role ([`Policy`], [`Tracker`], [`Critic`], [`Cost`], [`Steering`]) over a shared [`Setup`];
//! [`BatchView`], what a role reads, with [`BatchDouble`] for tests; one macro per role that registers a type.
//!
#![doc = include_str!("../README.md")]

mod batch;
#[doc(hidden)]
pub mod bindings;
mod convert;
mod dense;
mod double;
pub mod harm;
mod host;
pub mod log;
mod passage;
pub mod ranking;
mod register;
mod roles;
mod settings;
mod setup;
mod types;
pub mod why;

pub use batch::BatchView;
pub use dense::{Dense, DenseDouble, DenseError, LinearDouble, Network, Tensor};
pub use double::{BatchDouble, RowDouble};
pub use passage::{Passage, Span};
#[doc(hidden)]
pub use register::{Registration, dense_declares, nothing_declares};
pub use roles::{
    Advanced, BatchCost, Cost, CostGrain, CostKind, Critic, Decision, Plan, Policy, Pricing, Retry, Source, Steered,
    Steering, Tracked, Tracker,
};
pub use settings::Settings;
pub use setup::{Description, Setting, Setup, Value};
pub use types::{
    BudgetState, Constraint, ConstraintMode, CostClip, Estimate, LatentSelector, Need, ReadError, Role, RoleError,
    Token,
};
