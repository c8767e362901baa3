//! Turns of a conversation.

use serde::{Deserialize, Serialize};

/// One turn of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// `user`, `assistant` or `system`.
    pub role: String,
    /// The text.
    pub content: String,
}

impl Message {
    /// A turn of the user.
    #[must_use]
    pub fn user(content: impl Into<String>) -> Self {
        Self { role: "user".into(), content: content.into() }
    }
}

/// The turns of user and assistant as one text, in order; nothing if somebody else speaks.
pub(crate) fn joined(messages: &[Message]) -> Option<String> {
    let spoken = messages.iter().all(|one| one.role == "user" || one.role == "assistant");
    spoken.then(|| messages.iter().map(|one| one.content.as_str()).collect::<Vec<_>>().join(" "))
}

/// The text of a conversation that is nothing but one turn of the user.
pub(crate) fn only_prompt(messages: &[Message]) -> Option<&str> {
    match messages {
        [one] if one.role == "user" => Some(&one.content),
        _ => None,
    }
}
