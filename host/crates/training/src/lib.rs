//! Training by name: critics, costs and rewards for the models, bundles and answers that an operator names.
//!
//! - [`critic`]: a critic, or RE-Control's value network, from a model's own answers, with presets and the bundle's settings;
//! - [`cost`]: a cost on a model's own latents, from labelled answers, and the bundle around it;
//! - [`reward`]: a reward on a model's own latents, from pairs or graded answers, and the bundle that ranks by it;
//! - [`names`]: values of options by name.
//!
//! What trains is the crate `inferenceguard-critic`. Options are plain structs, and results are reports; nothing here prints,
//! except notes through the function that the options name, and progress goes to the bar that the caller hands in.

pub mod cost;
pub mod critic;
mod error;
mod files;
mod heads;
pub mod names;
pub mod reward;

pub use error::TrainingError;
pub use heads::{Finished, GivenHeads};
