//! Training of the demo models.
//!
//! - [`examples`]: texts as ids with their targets, drawn afresh for every step;
//! - [`mod@fit`]: the loop: two half batches side by side, clipped gradients, AdamW, warm-up and cosine.

pub mod examples;
pub mod fit;
mod noise;

pub use examples::{Example, Goal};
pub use fit::{Recipe, fit};
pub use noise::LabelNoise;
