//! OpenAI's interface: chats and completions in its JSON.

mod answer;
mod fields;
mod handlers;
mod job;
mod messages;
mod neutral;
mod request;
#[cfg(test)]
mod request_tests;
mod seed;
mod stream;

pub(crate) use answer::finish_reason;
pub(crate) use handlers::{chat, completions, model, models};
