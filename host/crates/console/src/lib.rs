//! Text for people: what answers, records, bundles and components are, in words.
//!
//! - [`escape`]: makes untrusted text safe for a terminal;
//! - [`answer`]: an output, with the budget as it was spent;
//! - [`record`]: why a recorded answer is what it is;
//! - [`bundle`], [`roles`]: what a bundle decides, and what its components see and may do;
//! - [`price`]: what a text costs, token by token;
//! - [`tables`]: Markdown tables as columns of a terminal;
//! - [`failure`]: an error and its causes;
//! - [`component`]: what a component is, and what a check of it found.
//!
//! **Invariant**: nothing here prints; text from components, bundles, records and models is escaped.

pub mod answer;
pub mod bundle;
pub mod component;
pub mod escape;
pub mod failure;
pub mod help;
pub mod price;
pub mod record;
pub mod roles;
pub mod tables;
