//! The decisions of guarded generation, and nothing else.
//!
//! A request is a [`Session`]: ask it what it needs ([`Session::next`]), do that, and [`Session::feed`] the answer.
//! [`TRANSITIONS`] lists its phases and which may follow which.
//!
//! # Key types
//! - [`Session`], [`Need`], [`Answer`]: the state machine and its two sides.
//! - [`Policy`], [`Tracker`], [`Critic`], [`Cost`], [`Steering`]: the roles, as traits.
//! - [`Roles`]: the roles of one request. [`Output`]: what a request gives back, as data.
//! - [`Batch`]: what a role sees. [`Audit`]: the host's own sum of costs. [`Trace`]: what happened.
//!
//! **Invariant**: no clock, thread, file, wasm or tensor in here; same inputs, same trace.

#![deny(clippy::disallowed_methods)]

mod audit;
mod batch;
mod beam;
mod cast;
mod check;
#[cfg(test)]
mod check_tests;
mod config;
mod constraint;
mod error;
mod failure;
mod lineage;
mod meter;
mod meterable;
mod need;
mod needs;
mod notes;
mod outcome;
mod output;
mod piece;
mod roles;
mod roles_info;
mod sampling;
mod session;
mod text;
mod trace;
mod whole;

pub use audit::{Audit, EPSILON};
pub use batch::{Batch, BatchRow, BeamKey, Moment, RowScores};
pub use beam::ROOT;
pub use cast::Roles;
pub use check::Check;
pub use config::{OnExhausted, REVISION, Release, SearchConfig, SearchLimits};
pub use constraint::{BudgetState, Constraint, ConstraintMode, CostClip, Granularity, PricedConstraint};
pub use error::SearchError;
pub use failure::{FailureKind, RoleFailure};
pub use inferenceguard_model::SamplingSettings;
pub use meter::Meter;
pub use need::{Answer, Expansion, GrowNeed, Need, SampleNeed, ScoreNeed};
pub use needs::Needs;
pub use notes::{Found, Note, Noted, found_along};
pub use outcome::{ConstraintReport, Finish, Outcome, Status, Usage};
pub use output::{
    BundleIdentity, EngineRun, Inputs, Migration, Models, Origin, Output, Profile, Recorded, RepeatsFrom,
};
pub use piece::{Metered, Piece};
pub use roles::{
    Advanced, Cost, CostGrain, CostKind, Critic, Decision, Estimate, Plan, Policy, Pricing, Retry, Role, Source,
    Steered, Steering, Tracked, Tracker,
};
pub use roles_info::{CostInfo, RolesInfo, Vocabulary};
pub use sampling::{OutOfRange, Sampling};
pub use session::{Session, TRANSITIONS};
pub use trace::Trace;
pub use whole::{PricedText, TextPiece, price_text, reads_text_alone};

/// The version of this library: what decides, beside bundle and models.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
