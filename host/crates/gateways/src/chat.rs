//! Bodies of OpenAI's chats as they pass a proxy: what of them is judged.
//!
//! The server behind the proxy reads the other fields of a request. Of an answer, everything that a client would show as the
//! model's words must be judged, so unknown fields with content in a message are refused.

use crate::{
    Conversation, Fields, Problem, missing,
    neutral::{self, Neutral, Values},
};
use serde_json::{Value, json};

/// Fields of a choice that hold no words of the model beside those of its message. Log-probabilities and token ids repeat the
/// answer, and may hold text that its message leaves out, so they are not among them.
const CHOICE: Neutral = &[
    ("finish_reason", Values::All),
    ("native_finish_reason", Values::All),
    ("stop_reason", Values::All),
    ("matched_stop", Values::All),
    ("content_filter_results", Values::All),
    ("inferenceguard", Values::All),
];

/// Fields of an answer, or of an event of it, that hold no words of the model.
const ANSWER: Neutral = &[
    ("id", Values::All),
    ("object", Values::All),
    ("created", Values::Figures),
    ("model", Values::All),
    ("provider", Values::All),
    ("usage", Values::Figures),
    ("timings", Values::Figures),
    ("system_fingerprint", Values::All),
    ("service_tier", Values::All),
    // What the request sent, or the version of the weights.
    ("metadata", Values::All),
    ("prompt_filter_results", Values::All),
];

/// What a request asks the server behind the proxy.
#[derive(Debug, Clone, PartialEq)]
pub struct ChatRequest {
    /// The turns.
    pub conversation: Conversation,
    /// Whether the answer comes as server-sent events.
    pub streams: bool,
}

impl ChatRequest {
    /// Reads `messages` and `stream` of a body. All other fields are left to the server behind the proxy.
    ///
    /// # Errors
    /// [`Problem`] if the body is not a JSON object, names a key twice, or has turns that are not text.
    pub fn parse(body: &[u8]) -> Result<Self, Problem> {
        let mut fields = Fields::parse(body)?;
        let conversation = Conversation::take(&mut fields)?;
        let streams = fields.take("stream", "true or false")?.unwrap_or(false);
        Ok(Self { conversation, streams })
    }
}

/// A whole answer.
#[derive(Debug, Clone, PartialEq)]
pub struct ChatAnswer {
    body: Value,
    /// The text of each choice, in order.
    pub texts: Vec<String>,
}

impl ChatAnswer {
    /// Reads the choices of a body.
    ///
    /// # Errors
    /// [`Problem`] if it is not a chat completion, if a message has content that is not text, or if the body has fields that could
    /// hold words of the model outside its messages. It repeats nothing of the answer.
    pub fn parse(body: &[u8]) -> Result<Self, Problem> {
        Self::read(body).map_err(Problem::without_quotes)
    }

    fn read(body: &[u8]) -> Result<Self, Problem> {
        const CHOICES: &str = "a list of choices";
        let mut fields = Fields::parse(body)?;
        let choices: Vec<Value> = fields.take("choices", CHOICES)?.ok_or_else(|| missing("choices", CHOICES))?;
        let words = Words::of_choices(choices, "message")?;
        refuse_rest_of_answer(fields)?;
        let texts = words.into_iter().map(|words| words.text).collect();
        // The same body again, to write it: the reader above takes its fields apart.
        let body = serde_json::from_slice(body).map_err(|error| Problem::new("invalid_json", error.to_string()))?;
        Ok(Self { body, texts })
    }

    /// Puts the refusal in place of a whole choice, by its place in the list.
    pub fn replace(&mut self, at: usize, refusal: &str) {
        let Some(choice) = self.body.get_mut("choices").and_then(|choices| choices.get_mut(at)) else { return };
        let index = choice.get("index").cloned().unwrap_or_else(|| json!(at));
        let message = json!({"role": "assistant", "content": refusal, "refusal": refusal});
        *choice = json!({"index": index, "message": message, "finish_reason": "content_filter", "logprobs": null});
    }

    /// The body.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        self.body.to_string().into_bytes()
    }
}

/// The model's words in a choice, or in one event of it.
pub(crate) struct Words {
    pub(crate) index: u64,
    pub(crate) text: String,
    pub(crate) finished: bool,
}

impl Words {
    /// Reads choices whose words are in the field `place`.
    pub(crate) fn of_choices(choices: Vec<Value>, place: &str) -> Result<Vec<Self>, Problem> {
        let of = |(at, choice)| Self::of_choice(Fields::of(format!("choices[{at}]"), choice)?, place);
        choices.into_iter().enumerate().map(of).collect()
    }

    /// Reads a choice whose words are in the field `place`.
    fn of_choice(mut choice: Fields, place: &str) -> Result<Self, Problem> {
        const INDEX: &str = "a whole number, 0 or above";
        let (index_path, place_path) = (choice.path("index"), choice.path(place));
        let index = choice.take("index", INDEX)?.ok_or_else(|| missing(&index_path, INDEX))?;
        let finished = choice.value("finish_reason").is_some();
        let mut message = choice.object(place)?.ok_or_else(|| missing(&place_path, "an object"))?;
        choice.refuse_rest(CHOICE)?;
        let content = message.take::<String>("content", "a text")?.unwrap_or_default();
        let refusal = message.take::<String>("refusal", "a text")?.unwrap_or_default();
        message.take::<String>("role", "a text")?;
        message.refuse_rest(neutral::TURN)?;
        // This server's answers have a refusal in both fields.
        let text = if content.ends_with(&refusal) { content } else { content + &refusal };
        Ok(Self { index, text, finished })
    }
}

/// Checks the fields of an answer beside its choices.
pub(crate) fn refuse_rest_of_answer(fields: Fields) -> Result<(), Problem> {
    fields.refuse_rest(ANSWER)
}

/// Whether a body is an error and nothing else, as a server sends it in place of an answer.
#[must_use]
pub fn is_error(body: &[u8]) -> bool {
    let Ok(mut fields) = Fields::parse(body) else { return false };
    fields.value("error").is_some() && fields.rest().is_empty()
}

/// An error in OpenAI's shape.
#[must_use]
pub fn error(kind: &str, code: &str, message: &str) -> Value {
    json!({"error": {"message": message, "type": kind, "param": null, "code": code}})
}
