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
    /// [`Problem`] if the body is no JSON object, names a key twice, or has turns that are not text.
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
    /// [`Problem`] if it is no chat completion, if a message has content that is not text, or if the body has fields that could
    /// hold words of the model outside its messages. It repeats nothing of the answer.
    pub fn parse(body: &[u8]) -> Result<Self, Problem> {
        Self::read(body).map_err(Problem::unquoted)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(choices: &Value) -> Result<ChatAnswer, Problem> {
        ChatAnswer::parse(json!({"id": "1", "choices": choices, "usage": {}}).to_string().as_bytes())
    }

    fn choice(index: u64, content: &str) -> Value {
        json!({"index": index, "message": {"role": "assistant", "content": content}, "finish_reason": "stop", "logprobs": null})
    }

    #[test]
    fn a_request_is_read_for_its_turns_only() {
        let body = json!({"messages": [{"role": "user", "content": "hi"}], "stream": true, "tools": [{"type": "function"}], "n": 2});
        let read = ChatRequest::parse(body.to_string().as_bytes()).unwrap();
        assert_eq!((read.conversation, read.streams), (Conversation::of("hi"), true));
        for (body, param) in [
            (json!({}), Some("messages")),
            (
                json!({"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]}),
                Some("messages[0].content[0].type"),
            ),
            (json!({"messages": [{"role": "user", "content": "hi"}], "stream": "yes"}), Some("stream")),
            (json!([]), None),
        ] {
            assert_eq!(ChatRequest::parse(body.to_string().as_bytes()).unwrap_err().param.as_deref(), param, "{body}");
        }
        let twice =
            br#"{"messages": [{"role": "user", "content": "a"}], "messages": [{"role": "user", "content": "b"}]}"#;
        assert_eq!(ChatRequest::parse(twice).unwrap_err().code, "duplicate_parameter");
    }

    #[test]
    fn every_word_of_an_answer_is_judged() {
        assert_eq!(answer(&json!([choice(0, "a"), choice(1, "b")])).unwrap().texts, ["a", "b"]);
        let with = |field: &str, value: Value| {
            let mut one = choice(0, "a");
            one["message"][field] = value;
            json!([one])
        };
        assert_eq!(answer(&with("refusal", json!("No."))).unwrap().texts, ["aNo."]);
        assert_eq!(answer(&with("content", Value::Null)).unwrap().texts, [""]);
        for (choices, param) in [
            (with("content", json!(["a"])), "choices[0].message.content"),
            (with("tool_calls", json!([{"id": "1"}])), "choices[0].message.tool_calls"),
            (with("reasoning_content", json!("hm")), "choices[0].message.reasoning_content"),
            (with("audio", json!({"data": "x"})), "choices[0].message.audio"),
            (json!([{"index": 0, "text": "a"}]), "choices[0].message"),
            (json!([{"message": {"content": "a"}}]), "choices[0].index"),
            (json!([{"index": 0, "message": {"content": "a"}, "text": "b"}]), "choices[0].text"),
            (json!("a"), "choices"),
            (Value::Null, "choices"),
        ] {
            assert_eq!(answer(&choices).unwrap_err().param.as_deref(), Some(param), "{choices}");
        }
        let twice = br#"{"choices": [{"index": 0, "message": {"content": "good", "content": "bad"}}]}"#;
        assert_eq!(ChatAnswer::parse(twice).unwrap_err().code, "duplicate_parameter");
    }

    #[test]
    fn a_choice_with_words_outside_its_message_is_refused() {
        for (field, value) in [
            ("logprobs", json!({"content": [{"token": "bad"}]})),
            ("token_ids", json!([7])),
            ("prompt_token_ids", json!([7])),
            ("hidden_states", json!([0.5])),
        ] {
            for (value, fine) in [(value, false), (Value::Null, true)] {
                let mut one = choice(0, "good");
                one[field] = value;
                let read = answer(&json!([one])).map_err(|problem| (problem.code, problem.param));
                let refused = ("unknown_parameter", Some(format!("choices[0].{field}")));
                assert_eq!(read.err(), (!fine).then_some(refused), "{field}");
            }
        }
    }

    #[test]
    fn an_answer_with_words_outside_its_choices_is_refused() {
        let with = |field: &str, value: Value| {
            let mut body =
                json!({"id": "1", "object": "chat.completion", "created": 1, "choices": [choice(0, "good")]});
            body[field] = value;
            ChatAnswer::parse(body.to_string().as_bytes()).map(|read| read.texts).map_err(|problem| problem.param)
        };
        for (field, value) in [
            ("prompt_logprobs", json!([{"7": {"decoded_token": "bad"}}])),
            ("__verbose", json!({"content": "bad"})),
            ("prompt_token_ids", json!([7])),
            ("error", json!({"message": "bad"})),
            ("output", json!("bad")),
            ("usage", json!({"total_tokens": "bad"})),
            ("timings", json!({"predicted": [{"text": "bad"}]})),
            ("created", json!("bad")),
        ] {
            assert_eq!(with(field, value), Err(Some(field.to_owned())));
        }
        for (field, value) in [
            ("prompt_logprobs", Value::Null),
            ("kv_transfer_params", Value::Null),
            ("usage", json!({"total_tokens": 3, "prompt_tokens_details": null, "is_byok": false, "cost": 0.5})),
            ("timings", json!({"predicted_ms": 1.5})),
            ("system_fingerprint", json!("b1")),
            ("service_tier", json!("default")),
        ] {
            assert_eq!(with(field, value), Ok(vec!["good".to_owned()]), "{field}");
        }
    }

    #[test]
    fn errors_repeat_nothing_of_an_answer() {
        let words = "forbidden";
        let of = |message: Value| json!({"choices": [{"index": 0, "message": message}]}).to_string();
        let bare = json!({"choices": [{"index": words, "message": {}}]}).to_string();
        let arguments = format!(r#"{{"function": {{"arguments": {{"{words}": 1, "{words}": 2}}}}}}"#);
        for body in [
            of(json!({"content": [{"type": "text", "text": words}]})),
            of(json!({"content": null, "tool_calls": [{"function": {"arguments": words}}]})),
            of(json!({"reasoning_content": words})),
            of(json!({"role": {"a": words}})),
            of(json!(words)),
            bare,
            json!({"choices": words}).to_string(),
            json!(words).to_string(),
            format!("{words} {{"),
            format!(r#"{{"choices": [{{"index": 0, "message": {{"tool_calls": [{arguments}]}}}}]}}"#),
        ] {
            let problem = ChatAnswer::parse(body.as_bytes()).unwrap_err();
            assert!(!format!("{problem:?}").contains(words) && !problem.message.is_empty(), "{body}: {problem:?}");
        }
    }

    #[test]
    fn nothing_of_a_replaced_choice_stays() {
        let mut unsafe_one = choice(1, "bad");
        unsafe_one["stop_reason"] = json!("bad");
        let mut read = answer(&json!([choice(0, "good"), unsafe_one])).unwrap();
        read.replace(1, "No.");
        let text = String::from_utf8(read.bytes()).unwrap();
        assert!(!text.contains("bad") && !text.contains("stop_reason") && text.contains("good"), "{text}");
        let body: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(body["choices"][1]["message"]["content"], "No.");
        assert_eq!(
            (&body["choices"][1]["finish_reason"], &body["choices"][1]["index"]),
            (&json!("content_filter"), &json!(1))
        );
    }

    #[test]
    fn an_error_is_nothing_but_an_error() {
        for (body, is) in [
            (json!({"error": {"message": "no"}}), true),
            (json!({"error": {"message": "no"}, "choices": []}), false),
            (json!({"choices": []}), false),
            (json!("no"), false),
        ] {
            assert_eq!(is_error(body.to_string().as_bytes()), is, "{body}");
        }
        assert!(!is_error(b"no healthy upstream"));
    }
}
