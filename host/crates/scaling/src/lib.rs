//! How many guarded answers a second a number of replicas gives: a simulation of discrete events, from measured times.
//!
//! A request grows its rows on language replicas, scores them on score replicas, and is decided by the controller, chunk by
//! chunk. Requests come as fast as answers go, so that the slowest part is always busy.
//!
//! # Key types
//! - [`Times`]: what was measured, from a TOML file; each part names its source.
//! - [`Case`]: replicas, candidates, and whether the rows of a request stay on one replica.
//! - [`simulate`]: one case; [`Case::closed_form`] is the same for one request alone, by arithmetic.
//! - [`Sweep`]: many cases, as CSV, Markdown and a plot.
//!
//! **Invariant**: the same times and cases give the same figures on every machine: no clock, no chance but hashes of numbers.

mod case;
mod error;
mod events;
mod language;
mod meter;
mod report;
mod simulation;
mod station;
mod sweep;
mod times;

pub use case::Case;
pub use error::ScalingError;
pub use report::Report;
pub use simulation::{Outcome, Part, simulate};
pub use sweep::Sweep;
pub use times::{Controller, Language, Score, Search, Times};
