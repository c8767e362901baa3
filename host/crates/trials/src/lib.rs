//! Engines on trial: what they answer, how fast, and at which budget.
//!
//! - [`eval`]: many prompts, answered by several methods and models, as the crate `inferenceguard-eval` counts them;
//! - [`mod@bench`]: whole requests, timed, beside what the hardware allows and beside other programs;
//! - [`calibrate`]: what budgets refuse, and what answers are worth under them.
//!
//! Each takes a plain struct of options and returns a report; nothing here prints, except notes through the function that
//! the options name; progress goes to the bar that the options hold.

pub mod bench;
pub mod calibrate;
mod error;
pub mod eval;

pub use error::TrialError;
