//! OpenAI's interface: chats and completions in its JSON.

mod answer;
mod handlers;
mod job;
mod request;
#[cfg(test)]
mod request_tests;
mod seed;
mod stream;

pub(crate) use answer::finish_reason;
pub(crate) use handlers::{chat, completions, model, models};
