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

/// The text of a conversation that is nothing but one turn of the user.
pub(crate) fn only_prompt(messages: &[Message]) -> Option<&str> {
    match messages {
        [one] if one.role == "user" => Some(&one.content),
        _ => None,
    }
}
