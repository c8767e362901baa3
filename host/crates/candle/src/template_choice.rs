//! Which prompt template a model gets, as options and bundles name it.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// Which template a model gets.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum TemplateChoice {
    /// The folder's chat template; without one, Beaver for `LlamaForScore` and the bare text for language models.
    #[default]
    Auto,
    /// The folder's chat template; an error without one.
    Chat,
    /// `BEGINNING OF CONVERSATION: USER: … ASSISTANT:`, as safe-rlhf trains.
    Beaver,
    /// Two line breaks, `Human: …`, two line breaks, `Assistant:`, as the HH data have it.
    Hh,
    /// The bare text.
    Plain,
    /// A text of one's own, in which `{prompt}` stands for the user's.
    Format(String),
}

/// A text that names no template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` is no template: {problem}")]
pub struct NoTemplate {
    /// What was written.
    found: String,
    /// Why, and what is expected.
    problem: &'static str,
}

/// Where the user's words go in a format.
pub(crate) const PROMPT: &str = "{prompt}";

impl FromStr for TemplateChoice {
    type Err = NoTemplate;

    fn from_str(text: &str) -> Result<Self, NoTemplate> {
        let wrong = |problem| Err(NoTemplate { found: text.to_owned(), problem });
        match text {
            "auto" => Ok(Self::Auto),
            "chat" => Ok(Self::Chat),
            "beaver" => Ok(Self::Beaver),
            "hh" => Ok(Self::Hh),
            "plain" => Ok(Self::Plain),
            format if format.contains("\\n") => {
                wrong("it holds a backslash and an n; write a line break, in a shell $'…\\n…'")
            }
            format if format.matches(PROMPT).count() > 1 => wrong("{prompt} stands in it more than once"),
            format if format.contains(PROMPT) => Ok(Self::Format(format.to_owned())),
            _ => wrong("write chat, beaver, hh, plain, auto, or a text with {prompt} in it"),
        }
    }
}

impl TryFrom<String> for TemplateChoice {
    type Error = NoTemplate;

    fn try_from(text: String) -> Result<Self, NoTemplate> {
        text.parse()
    }
}

impl From<TemplateChoice> for String {
    fn from(choice: TemplateChoice) -> Self {
        choice.to_string()
    }
}

impl fmt::Display for TemplateChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Chat => "chat",
            Self::Beaver => "beaver",
            Self::Hh => "hh",
            Self::Plain => "plain",
            Self::Format(format) => format,
        })
    }
}
