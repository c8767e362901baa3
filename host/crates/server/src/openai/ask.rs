//! What clients send, and the engine requests it makes. What would change an answer and cannot be honoured is refused;
//! what cannot is ignored.

use crate::{error::ApiError, settings::StreamRelease};
use inferenceguard_host::Request;
use inferenceguard_model::Message;
use inferenceguard_search::Sampling;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Whether a field's value changes nothing.
type Harmless = fn(&Value) -> bool;

/// Fields that would change an answer, and the values that change nothing.
const UNSUPPORTED: [(&str, Harmless); 16] = [
    ("tools", empty),
    ("tool_choice", |value| value == "none" || value == "auto"),
    ("functions", empty),
    ("function_call", |value| value == "none" || value == "auto"),
    ("response_format", |value| value.get("type").is_some_and(|kind| kind == "text")),
    ("logit_bias", empty),
    ("frequency_penalty", zero),
    ("presence_penalty", zero),
    ("best_of", |value| value == 1),
    ("echo", |value| value == false),
    ("suffix", empty),
    ("modalities", |value| *value == serde_json::json!(["text"])),
    ("audio", empty),
    ("prediction", empty),
    ("reasoning_effort", empty),
    ("top_logprobs", zero),
];

/// The most stop texts of a request, and the most bytes of each: all are looked for at every token.
const STOPS: (usize, usize) = (16, 256);

fn empty(value: &Value) -> bool {
    match value {
        Value::Array(values) => values.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::String(text) => text.is_empty(),
        other => other.is_null(),
    }
}

fn zero(value: &Value) -> bool {
    value.as_f64() == Some(0.0)
}

/// What both ways have in common.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Common {
    pub(crate) model: Option<String>,
    n: Option<u32>,
    seed: Option<i64>,
    stop: Option<OneOrMany>,
    max_tokens: Option<u32>,
    max_completion_tokens: Option<u32>,
    temperature: Option<f32>,
    top_p: Option<f32>,
    #[serde(default)]
    pub(crate) stream: Option<bool>,
    stream_options: Option<StreamOptions>,
    inferenceguard: Option<Extension>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

#[derive(Debug, Clone, Deserialize)]
struct StreamOptions {
    #[serde(default)]
    include_usage: bool,
}

/// Our own field.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Extension {
    method: Option<String>,
    budgets: BTreeMap<String, f64>,
    release: Option<StreamRelease>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged, expecting = "expected `stop` to be a text or a list of texts")]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    fn list(self) -> Vec<String> {
        match self {
            Self::One(one) => vec![one],
            Self::Many(many) => many,
        }
    }
}

/// `/v1/chat/completions`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Chat {
    messages: Vec<Turn>,
    logprobs: Option<bool>,
    #[serde(flatten)]
    pub(crate) common: Common,
}

#[derive(Debug, Clone, Deserialize)]
struct Turn {
    role: String,
    content: Content,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged, expecting = "expected `content` to be a text or a list of text parts")]
enum Content {
    Text(String),
    Parts(Vec<Part>),
}

#[derive(Debug, Clone, Deserialize)]
struct Part {
    #[serde(rename = "type")]
    kind: String,
    text: Option<String>,
}

/// `/v1/completions`. The prompt is a turn of the user: models that were trained for conversations are guarded as such.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Completion {
    prompt: OneOrMany,
    logprobs: Option<u32>,
    #[serde(flatten)]
    pub(crate) common: Common,
}

/// What the server is to do.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) request: Request,
    pub(crate) choices: u32,
    pub(crate) stream: bool,
    pub(crate) include_usage: bool,
    pub(crate) logprobs: bool,
}

/// What holds where a request says nothing.
pub(crate) struct Defaults {
    pub(crate) sampling: Sampling,
    pub(crate) release: StreamRelease,
    pub(crate) max_choices: u32,
}

impl Chat {
    pub(crate) fn asked(self, defaults: &Defaults) -> Result<Asked, ApiError> {
        let mut messages = self.messages.into_iter().map(Turn::message).collect::<Result<Vec<_>, _>>()?;
        let last = messages.pop().filter(|message| message.role == "user");
        let prompt = last.ok_or_else(|| ApiError::bad("messages", "the last message must be the user's"))?.content;
        let logprobs = self.logprobs.unwrap_or(false);
        let asked = self.common.asked(prompt, logprobs, defaults)?;
        Ok(Asked { request: Request { history: messages, ..asked.request }, ..asked })
    }
}

impl Completion {
    pub(crate) fn asked(self, defaults: &Defaults) -> Result<Asked, ApiError> {
        let mut prompts = self.prompt.list();
        let one = prompts.pop().filter(|_| prompts.is_empty());
        let prompt =
            one.ok_or_else(|| ApiError::bad("prompt", "give one text; several prompts are several requests"))?;
        self.common.asked(prompt, self.logprobs.is_some(), defaults)
    }
}

impl Turn {
    fn message(self) -> Result<Message, ApiError> {
        let role = match self.role.as_str() {
            "developer" => "system".to_owned(),
            "system" | "user" | "assistant" => self.role,
            other => {
                let message = format!("the role `{other}` is not supported; expected system, user or assistant");
                return Err(ApiError::bad("messages", message));
            }
        };
        let content = match self.content {
            Content::Text(text) => text,
            Content::Parts(parts) => parts.into_iter().map(Part::text).collect::<Result<Vec<_>, _>>()?.concat(),
        };
        Ok(Message { role, content })
    }
}

impl Part {
    fn text(self) -> Result<String, ApiError> {
        let message = format!("content of the type `{}` is not supported; expected text", self.kind);
        self.text.filter(|_| self.kind == "text").ok_or_else(|| ApiError::bad("messages", message))
    }
}

impl Common {
    fn asked(self, prompt: String, logprobs: bool, defaults: &Defaults) -> Result<Asked, ApiError> {
        self.refuse_unsupported()?;
        let choices = self.n.unwrap_or(1);
        if !(1..=defaults.max_choices).contains(&choices) {
            return Err(ApiError::bad("n", format!("found {choices}; expected 1 to {}", defaults.max_choices)));
        }
        let stop = stops(self.stop.map(OneOrMany::list).unwrap_or_default())?;
        let stream = self.stream.unwrap_or(false);
        let extension = self.inferenceguard.unwrap_or_default();
        let sampling = Sampling {
            temperature: self.temperature.unwrap_or(defaults.sampling.temperature),
            top_p: self.top_p.unwrap_or(defaults.sampling.top_p),
            ..defaults.sampling
        };
        let request = Request {
            prompt,
            method: extension.method,
            budgets: extension.budgets,
            seed: self.seed.map(i64::cast_unsigned),
            max_tokens: self.max_completion_tokens.or(self.max_tokens),
            sampling: Some(sampling),
            stop,
            release: stream.then(|| extension.release.unwrap_or(defaults.release).into()),
            ..Request::default()
        };
        let include_usage = self.stream_options.is_some_and(|options| options.include_usage);
        Ok(Asked { request, choices, stream, include_usage, logprobs })
    }

    fn refuse_unsupported(&self) -> Result<(), ApiError> {
        let given = |name: &str| self.rest.get(name).filter(|value| !value.is_null());
        let refused = UNSUPPORTED.iter().find(|(name, harmless)| given(name).is_some_and(|value| !harmless(value)));
        refused.map_or(Ok(()), |(name, _)| {
            Err(ApiError::bad(name, format!("`{name}` is not supported here; leave it out")))
        })
    }
}

fn stops(texts: Vec<String>) -> Result<Vec<String>, ApiError> {
    let (most, longest) = STOPS;
    let length = texts.iter().map(String::len).max().unwrap_or_default();
    if texts.len() <= most && length <= longest {
        return Ok(texts);
    }
    let found = format!("found {} texts, the longest of {length} bytes", texts.len());
    Err(ApiError::bad("stop", format!("{found}; expected at most {most} texts of at most {longest} bytes")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn chat(value: Value) -> Result<Asked, ApiError> {
        let defaults = Defaults { sampling: Sampling::default(), release: StreamRelease::Agreement, max_choices: 4 };
        serde_json::from_value::<Chat>(value).unwrap().asked(&defaults)
    }

    fn with(field: &str, value: Value) -> Result<Asked, ApiError> {
        let mut asked = json!({"messages": [{"role": "user", "content": "Hi"}]});
        asked[field] = value;
        chat(asked)
    }

    #[test]
    fn fields_become_settings_of_the_request() {
        let asked = chat(json!({
            "model": "m", "user": "u", "metadata": {}, "n": 2, "seed": -1, "stop": "END", "max_completion_tokens": 7,
            "temperature": 0.5, "stream": true, "stream_options": {"include_usage": true}, "tools": [],
            "messages": [
                {"role": "developer", "content": "Be brief."},
                {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
            ],
            "inferenceguard": {"budgets": {"harm": 2.0}, "release": {"commit": 2}},
        }))
        .unwrap();
        let request = &asked.request;
        assert_eq!((asked.choices, asked.stream, asked.include_usage), (2, true, true));
        assert_eq!((request.prompt.as_str(), request.history[0].role.as_str()), ("ab", "system"));
        assert_eq!((request.seed, request.max_tokens, request.stop.len()), (Some(u64::MAX), Some(7), 1));
        assert_eq!(request.sampling.unwrap().temperature, 0.5);
        assert_eq!(request.release, Some(inferenceguard_search::Release::Commit(2)));
        assert_eq!(request.budgets["harm"], 2.0);
    }

    #[test]
    fn what_would_change_the_answer_is_refused_by_name() {
        for (field, value) in [
            ("tools", json!([{}])),
            ("response_format", json!({"type": "json_object"})),
            ("logit_bias", json!({"5": 1})),
            ("presence_penalty", json!(0.5)),
            ("top_logprobs", json!(3)),
            ("n", json!(5)),
            ("n", json!(0)),
            ("stop", json!(vec!["a"; 17])),
            ("stop", json!("a".repeat(257))),
        ] {
            let error = with(field, value).unwrap_err();
            assert_eq!((error.status.as_u16(), error.param.as_deref()), (400, Some(field)), "{error:?}");
        }
        for (field, value) in [
            ("presence_penalty", json!(0)),
            ("store", json!(true)),
            ("response_format", json!(null)),
            ("stop", json!(vec!["a".repeat(256); 16])),
        ] {
            assert!(with(field, value).is_ok(), "{field}");
        }
    }

    #[test]
    fn conversations_end_with_the_user_and_hold_text() {
        for messages in [
            json!([]),
            json!([{"role": "assistant", "content": "x"}]),
            json!([{"role": "tool", "content": "x"}, {"role": "user", "content": "x"}]),
            json!([{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]),
        ] {
            let error = chat(json!({"messages": messages})).unwrap_err();
            assert_eq!(error.param.as_deref(), Some("messages"), "{error:?}");
        }
    }
}
