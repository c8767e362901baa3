//! Records: what an answer was, what decided it, and everything that is needed to check both later.
//!
//! A file of records has one JSON object per line, only ever appended to:
//!
//! ```text
//! {"hash": sha256 of the header's bytes, "header": {…, "previous": hash of the line before, "body": sha256}, "body": …}
//! ```
//!
//! The header says which bundle, models, method and seed made the answer, and how it ended; it holds no text. Models are the
//! language model and every score model, by digest. [`Header::unnamed`] tells what a header of an earlier version leaves open. The
//! body (CBOR, deflated, base64) holds the prompt, the settings, every need and answer of the search, and the outcome. Bodies
//! may be removed by the owner of the file: the chain of headers still verifies.
//!
//! # Key types
//! - [`Journal`]: appends records; a line torn by a kill is cut off when it is opened again, and a file that another program
//!   emptied or moved is noticed.
//! - [`read`]: the lines of a file, with their chain checked.
//! - [`forget()`], [`forget_older`]: removes bodies when their time is over.
//! - [`Body::verify`]: adds up the recorded costs again and compares them with what the answer claims. It needs no model
//!   and no component.
//! - [`Body::replay`]: the components of the bundle decide again, from the recorded inputs, bit for bit; numbers of networks that
//!   ran on a GPU, up to [`Deciders::tolerance`].
//! - [`Body::steps`], [`Body::nearest`]: why the answer is what it is.
//!
//! **Invariant**: a record that was acknowledged is on the disk, whole, and nothing before it can be changed without
//! breaking the chain.

mod arithmetic;
mod body;
mod chain;
mod error;
mod explain;
mod file;
mod forget;
mod journal;
mod replay;

pub use body::{Body, Header};
pub use chain::{Line, read};
pub use error::{RecordError, Wrong};
pub use explain::{Candidate, NotSafe, Span, Step};
pub use forget::{forget, forget_older};
pub use journal::{Journal, holds_signatures, is_torn};
pub use replay::{Deciders, Replayed};
