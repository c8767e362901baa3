//! What records show about the answers in them.
//!
//! - [`verify()`]: counts the records of a file, and checks its chain, sums and signatures, without any model;
//! - [`replay()`]: the components of the bundles decide again, and with a model, answers are priced again;
//! - [`diff()`]: which answers another bundle would have judged differently;
//! - [`Speller`]: the model that answered, for the spelling of tokens;
//! - [`bodies`], [`show`], [`models`]: the records of a file that have a body, and the models that a record names.
//!
//! **Invariant**: nothing here prints or writes a file.

mod diff;
mod error;
mod read;
mod replay;
mod source;
mod spelling;
mod verify;

pub use diff::{Compared, Judged, diff};
pub use error::ReplayError;
pub use read::{bodies, models, show};
pub use replay::{Priced, Summary, replay};
pub use spelling::{Language, Speller};
pub use verify::{Verified, verify};
