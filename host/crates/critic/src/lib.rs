//! Critics, value networks, costs and rewards for any language model: trained on its own answers or on labelled ones, written for
//! a bundle.
//!
//! ```text
//! prompts -> [collect] -> trajectories -> [split] by prompt -> [objective, targets] -> examples
//!                                                                                         |
//!            bundle's network <- [network] <- [report] on held-out prompts <- [fit] <------+
//! ```
//!
//! - [`collect`]: answers of the frozen model, their costs, and latents along them; resumable files;
//! - [`labels`]: the costs of answers, by the components of a bundle;
//! - [`targets`]: what a position of an answer teaches, by the host's own arithmetic of budgets;
//! - [`objective`]: a critic (P(safe to the end) and task cost), or RE-Control's value;
//! - [`fit`](Recipe): the network, early stopping, checkpoints, calibration;
//! - [`report`]: Brier score, calibration error, AUC, explained variance, reliability plots, on prompts nothing was
//!   decided on;
//! - [`network()`]: the layers as a bundle's network, and what they were made for.
//! - [`cost`]: costs and rewards from labelled answers, by heads on latents.
//!
//! Paper: section 4 (the critic), table 3 (its settings); RE-Control for the value network.
//!
//! **Invariant**: the same model, labels, prompts and options give the same files, whether or not a run was killed in
//! between. A file of another model or of other options is refused in words.

pub mod collect;
pub mod cost;
mod error;
mod files;
mod fit;
pub mod labels;
mod network;
pub mod objective;
mod options;
mod reading;
pub mod report;
mod run;
mod split;
pub mod targets;

pub use error::{CriticError, Result};
pub use fit::{Progress, Recipe, Schedule};
pub use options::CriticOptions;
pub use reading::Reading;
pub use run::{network, network_path, train};
pub use split::{Shares, Split};
