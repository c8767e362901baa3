//! The log line at the end of each request.

use crate::{
    end::End,
    outcome::{ended, finish},
};
use inferenceguard_host::Output;

/// The target of the log lines of requests, one for each end, on the level `info`. They hold no text of prompts or answers.
pub const REQUEST_LINES: &str = "inferenceguard::requests";

/// Writes the line of a request or a choice that ended like this.
pub(crate) fn line(end: End, answer: Option<(&Output, f64)>) {
    let Some((output, seconds)) = answer else {
        tracing::info!(target: REQUEST_LINES, "{}", end.name());
        return;
    };
    let (status, finish, usage) = (ended(output.status, output.finish), finish(output.finish), &output.usage);
    let (tokens, sampled) = (usage.completion_tokens, usage.sampled_tokens);
    tracing::info!(target: REQUEST_LINES, status, finish, tokens, sampled, seconds = format!("{seconds:.2}"), "{}", end.name());
}
