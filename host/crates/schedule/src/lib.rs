//! One thread computes on the models, and the requests of many callers share its steps.
//!
//! ```text
//! callers, one handle each          the scheduler's thread, round by round
//!   grow, append  ── queue ──►        one step for the rows of all calls, one projection, one sampling
//!   open          ── queue ──►        one slice of one prompt
//!   score         ── queue ──►        one slice of the answers to score
//!   fork, read    ── queue ──►        at once, before the step
//!       ◄── answer, once the call has ended ──
//! ```
//!
//! # Key types
//! - [`Scheduler`]: starts the thread; clones share it.
//! - [`Limits`]: how much one round may compute.
//! - [`Counts`]: what the thread did so far.
//!
//! A call joins at the next round and leaves when its rows have ended. Nobody waits for anybody: the step of a round has the
//! rows that are there. Without work the thread sleeps in the queue. What a row gets does not depend on other rows, so an
//! answer alone and among others is the same.
//!
//! A cancelled call ends at the next round. A model that panics is never called again: calls that wait get an error, and so do
//! later ones. Score models break one by one.
//!
//! **Invariant**: only the thread touches the models. No wait has a time limit.

mod calls;
mod health;
mod language;
mod limits;
mod scheduler;
mod score;
mod shared;
mod worker;

pub use limits::{Counts, Limits};
pub use scheduler::{Scheduler, StartError};
