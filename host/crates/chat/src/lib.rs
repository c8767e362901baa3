//! Conversations under guard: what a user asks, its answer as it comes, and the commands between the turns.
//!
//! - [`Asked`]: the options of every request of a user;
//! - [`stream()`], [`check_success`]: a request, answered, with its text as it is released; whether it failed;
//! - [`Chat`]: a conversation that takes lines, each a command or what the user says.
//!
//! **Invariant**: nothing here prints. Released text goes to the function that the caller hands in, and everything else is returned.

mod asked;
mod chat;
mod error;
mod line;
mod stream;

pub use asked::Asked;
pub use chat::{Chat, Taken};
pub use error::ChatError;
pub use stream::{check_success, stream};
