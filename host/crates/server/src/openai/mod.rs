//! OpenAI's two ways to ask for text, in its JSON.

mod answer;
mod ask;
mod fields;
mod handlers;
mod job;
mod messages;
mod neutral;
mod seed;
mod stream;

pub(crate) use answer::finish_reason;
pub(crate) use handlers::{chat, completions, model, models};
