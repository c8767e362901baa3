//! Bundles and components of operators: made, checked, priced, signed, packed and shown.
//!
//! - [`bundle`]: first bundles, packed and signed ones, a trial with a model, and what a text would cost;
//! - [`component`]: a component from its crate to its check, and those that the program carries.
//!
//! Bundles, models and components are named as an operator names them (`inferenceguard-catalog`); results are data or words.
//!
//! **Invariant**: nothing here prints, except notes through the function that the caller hands in. A file is written whole or
//! not at all, and no file of somebody else is overwritten.

pub mod bundle;
pub mod component;
mod error;

pub use error::WorkshopError;
