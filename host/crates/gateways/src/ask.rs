//! Questions, and who answers them.

use crate::{Fields, OnUnsafe, Problem, Verdict, messages};
use inferenceguard_model::Message;
use std::future::Future;

/// The most characters at the end of a prefix that wait for the end of their word.
const WORD: usize = 64;

/// What a text answers.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Conversation {
    /// The turns before the user's last turn, the oldest first.
    pub history: Vec<Message>,
    /// The user's last turn.
    pub prompt: String,
}

impl Conversation {
    /// A conversation of one turn.
    #[must_use]
    pub fn of(prompt: impl Into<String>) -> Self {
        Self { history: Vec::new(), prompt: prompt.into() }
    }

    /// Takes the field `messages`.
    ///
    /// # Errors
    /// [`Problem`] if it is missing, if a turn is not text, or if the last turn is not the user's.
    pub fn take(fields: &mut Fields) -> Result<Self, Problem> {
        let (history, prompt) = messages::conversation(fields)?;
        Ok(Self { history, prompt })
    }

    /// The characters of all turns.
    #[must_use]
    pub fn chars(&self) -> usize {
        self.history.iter().map(|turn| &turn.content).chain([&self.prompt]).map(|text| text.chars().count()).sum()
    }
}

/// Which part of an exchange a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// What the user asks.
    Prompt,
    /// An answer, or an answer so far that is judged as if it ended here.
    Answer,
    /// The beginning of an answer that goes on. Only what is [`certain`] of it is judged.
    Prefix,
}

impl Part {
    /// Its name in metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Prompt => "prompt",
            Self::Answer => "answer",
            Self::Prefix => "prefix",
        }
    }
}

/// May this text go out?
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// What the text answers; `None` if the gateway does not know it.
    pub conversation: Option<Conversation>,
    /// The text.
    pub text: String,
    /// Which part of the exchange it is.
    pub part: Part,
    /// The bundle that must decide, by its name; `None` takes the active one, whatever its name.
    pub bundle: Option<String>,
    /// Milliseconds until the gateway gives up; the operator's limit holds if it is smaller.
    pub deadline_ms: Option<u64>,
}

impl Question {
    /// The text that is judged: all of it, or what is certain of a prefix.
    #[must_use]
    pub fn judged_text(&self) -> &str {
        if self.part == Part::Prefix { certain(&self.text) } else { &self.text }
    }
}

/// Why a question has no verdict. Text without a verdict must not go out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The HTTP status.
    pub status: u16,
    /// OpenAI's code, such as `overloaded`.
    pub code: &'static str,
    /// What was found and what to do.
    pub message: String,
    /// Seconds after which a retry may help.
    pub retry_after: Option<u64>,
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self { status: 400, code: problem.code, message: problem.message, retry_after: None }
    }
}

/// Answers questions.
pub trait Judge: Send + Sync + 'static {
    /// A client with a known key.
    type Client: Send + Sync;

    /// The client with this key; without a key, the client of a server that asks for none.
    ///
    /// # Errors
    /// [`Refused`] with status 401 if the key is not known.
    fn client(&self, key: Option<&str>) -> Result<Self::Client, Refused>;

    /// Whether prompts are judged as well as answers.
    fn screens_prompts(&self) -> bool;

    /// What becomes of unsafe text unless the gateway asks for something else.
    fn on_unsafe(&self) -> OnUnsafe;

    /// The verdict on a text.
    ///
    /// # Errors
    /// [`Refused`] if there is no verdict.
    fn judge(&self, client: &Self::Client, question: Question)
    -> impl Future<Output = Result<Verdict, Refused>> + Send;
}

/// What is certain of a text that goes on: all before its last word, which may become another word. A word of more than 64
/// characters, as in scripts without spaces, waits with its last 64 characters only.
#[must_use]
pub fn certain(text: &str) -> &str {
    let word = text.char_indices().rev().take_while(|(_, character)| !character.is_whitespace()).take(WORD);
    let end = word.last().map_or(text.len(), |(at, _)| at);
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_of_a_prefix_is_not_certain() {
        let long = "字".repeat(100);
        for (text, sure) in [
            ("", ""),
            ("one", ""),
            ("one ", "one "),
            ("one two", "one "),
            ("one\ntwo", "one\n"),
            ("one two\u{a0}", "one two\u{a0}"),
            (&long, &long[..36 * "字".len()]),
            ("a\u{301}", ""),
        ] {
            assert_eq!(certain(text), sure, "{text:?}");
        }
    }

    #[test]
    fn only_prefixes_are_cut() {
        for (part, judged) in [(Part::Prompt, "one two"), (Part::Answer, "one two"), (Part::Prefix, "one ")] {
            let text = "one two".to_owned();
            let question = Question { conversation: None, text, part, bundle: None, deadline_ms: None };
            assert_eq!(question.judged_text(), judged, "{}", part.name());
        }
    }
}
