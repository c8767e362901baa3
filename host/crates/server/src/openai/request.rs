//! Parses what clients send into a request for the engine. Every supported field is taken by its name; a field that is left must
//! have a value that asks for nothing (`neutral`), or the request is refused.

use super::seed;
use crate::{error::ApiError, settings::StreamRelease};
use inferenceguard_gateways::{Fields, Problem, messages, missing, neutral, wrong};
use inferenceguard_host::Request;
use inferenceguard_search::SamplingSettings;
use serde_json::Value;
use std::collections::BTreeMap;

/// The most stop texts of a request, and the most bytes of each: the engine searches for all of them at every token.
const STOPS: (usize, usize) = (16, 256);

const WHOLE: &str = "a whole number, 0 or above";
const NUMBER: &str = "a number";
const FLAG: &str = "true or false";

/// What a client asks for. The operator's terms are not in its request yet.
#[derive(Debug, Clone)]
pub(crate) struct ClientRequest {
    pub(crate) request: Request,
    pub(crate) choices: u32,
    pub(crate) output: OutputOptions,
}

/// How the answer is sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OutputOptions {
    /// As server-sent events.
    pub(crate) stream: bool,
    /// With the usage at the end of a stream.
    pub(crate) include_usage: bool,
    /// With log-probabilities.
    pub(crate) logprobs: bool,
}

/// Defaults for fields that a request leaves out, and limits.
pub(crate) struct Defaults {
    pub(crate) release: StreamRelease,
    pub(crate) max_choices: u32,
    /// The most alternatives that an answer shows for each token.
    pub(crate) max_top_logprobs: u32,
}

/// The log-probabilities that a client asks for.
struct Logprobs {
    wanted: bool,
    top: u32,
}

/// The model that a request names.
pub(crate) fn model(fields: &mut Fields) -> Result<Option<String>, Problem> {
    fields.take("model", "the name of a model")
}

/// `/v1/chat/completions`.
pub(crate) fn chat(mut fields: Fields, defaults: &Defaults) -> Result<ClientRequest, ApiError> {
    let (history, prompt) = messages::conversation(&mut fields)?;
    let logprobs = chat_logprobs(&mut fields, defaults)?;
    let parsed = common(fields, prompt, logprobs, defaults)?;
    Ok(ClientRequest { request: Request { history, ..parsed.request }, ..parsed })
}

/// `/v1/completions`. The prompt becomes a turn of the user, because models are guarded as they were trained: in conversations.
pub(crate) fn completion(mut fields: Fields, defaults: &Defaults) -> Result<ClientRequest, ApiError> {
    const PROMPT: &str = "one text";
    let mut prompts = texts(&mut fields, "prompt", PROMPT)?.ok_or_else(|| missing("prompt", PROMPT))?;
    let one = prompts.pop().filter(|_| prompts.is_empty());
    let prompt = one.ok_or_else(|| ApiError::bad("prompt", "give one text; several prompts are several requests"))?;
    let top = fields.take::<u32>("logprobs", WHOLE)?;
    let logprobs = Logprobs { wanted: top.is_some(), top: defaults.top("logprobs", top.unwrap_or(0))? };
    common(fields, prompt, logprobs, defaults)
}

fn chat_logprobs(fields: &mut Fields, defaults: &Defaults) -> Result<Logprobs, ApiError> {
    let wanted = fields.take("logprobs", FLAG)?.unwrap_or(false);
    let top = defaults.top("top_logprobs", fields.take("top_logprobs", WHOLE)?.unwrap_or(0))?;
    if top > 0 && !wanted {
        return Err(ApiError::bad("top_logprobs", "`top_logprobs` needs `logprobs`: true beside it"));
    }
    Ok(Logprobs { wanted, top })
}

impl Defaults {
    /// This many alternatives for each token, if the operator allows as many.
    fn top(&self, name: &str, found: u32) -> Result<u32, ApiError> {
        if found <= self.max_top_logprobs {
            return Ok(found);
        }
        Err(ApiError::bad(name, format!("`{name}`: found {found}; expected at most {}", self.max_top_logprobs)))
    }
}

/// The fields that chats and completions have in common.
fn common(
    mut fields: Fields,
    prompt: String,
    logprobs: Logprobs,
    defaults: &Defaults,
) -> Result<ClientRequest, ApiError> {
    let choices = choices(&mut fields, defaults)?;
    let stream = fields.take("stream", FLAG)?.unwrap_or(false);
    let include_usage = include_usage(&mut fields)?;
    let extension = Extension::read(&mut fields)?;
    let release = extension.release.or_else(|| stream.then_some(defaults.release));
    let request = Request {
        method: extension.method,
        budgets: extension.budgets,
        seed: Some(fields.value("seed").map_or_else(seed::fresh, |value| seed::read(&value))?),
        max_tokens: max_tokens(&mut fields)?,
        sampling: sampling(&mut fields)?,
        stop: stops(texts(&mut fields, "stop", "a text or a list of texts")?.unwrap_or_default())?,
        top_logprobs: logprobs.top,
        release: release.map(Into::into),
        ..Request::new(prompt)
    };
    fields.refuse_rest(neutral::REQUEST)?;
    let output = OutputOptions { stream, include_usage, logprobs: logprobs.wanted };
    Ok(ClientRequest { request, choices, output })
}

fn choices(fields: &mut Fields, defaults: &Defaults) -> Result<u32, ApiError> {
    let choices = fields.take("n", WHOLE)?.unwrap_or(1);
    if (1..=defaults.max_choices).contains(&choices) {
        return Ok(choices);
    }
    Err(ApiError::bad("n", format!("found {choices}; expected 1 to {}", defaults.max_choices)))
}

fn include_usage(fields: &mut Fields) -> Result<bool, ApiError> {
    let Some(mut options) = fields.object("stream_options")? else { return Ok(false) };
    let include_usage = options.take("include_usage", FLAG)?.unwrap_or(false);
    options.refuse_rest(neutral::STREAM_OPTIONS)?;
    Ok(include_usage)
}

/// Both names give an upper limit: the smaller one holds.
fn max_tokens(fields: &mut Fields) -> Result<Option<u32>, ApiError> {
    let names = ["max_tokens", "max_completion_tokens"];
    let [old, new] = names.map(|name| fields.take::<u64>(name, "a whole number, 1 or above"));
    let least = [old?, new?].into_iter().flatten().min();
    Ok(least.map(|tokens| u32::try_from(tokens).unwrap_or(u32::MAX)))
}

fn sampling(fields: &mut Fields) -> Result<SamplingSettings, ApiError> {
    Ok(SamplingSettings {
        temperature: fields.take("temperature", NUMBER)?,
        top_k: top_k(fields)?,
        top_p: fields.take("top_p", NUMBER)?,
        min_p: fields.take("min_p", NUMBER)?,
        repetition_penalty: fields.take("repetition_penalty", NUMBER)?,
    })
}

/// 0 means all tokens, and so does -1, which other servers use.
fn top_k(fields: &mut Fields) -> Result<Option<u32>, Problem> {
    const TOP_K: &str = "a whole number, 0 or -1 for all tokens";
    let Some(value) = fields.value("top_k") else { return Ok(None) };
    let number = value.as_i64().map(|k| if k == -1 { 0 } else { k });
    number.and_then(|k| u32::try_from(k).ok()).map(Some).ok_or_else(|| wrong("top_k", &value, TOP_K))
}

/// A text, or a list of texts.
fn texts(fields: &mut Fields, name: &str, expected: &str) -> Result<Option<Vec<String>>, Problem> {
    let path = fields.path(name);
    let text = |value: Value| match value {
        Value::String(text) => Ok(text),
        other => Err(wrong(&path, &other, expected)),
    };
    match fields.value(name) {
        None => Ok(None),
        Some(Value::Array(list)) => list.into_iter().map(text).collect::<Result<Vec<_>, _>>().map(Some),
        Some(one) => Ok(Some(vec![text(one)?])),
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

/// The object `inferenceguard`.
#[derive(Default)]
struct Extension {
    method: Option<String>,
    budgets: BTreeMap<String, f64>,
    release: Option<StreamRelease>,
}

impl Extension {
    fn read(fields: &mut Fields) -> Result<Self, ApiError> {
        const RELEASE: &str = r#""at_end", "agreement" or {"commit": CHUNKS}"#;
        let Some(mut object) = fields.object("inferenceguard")? else { return Ok(Self::default()) };
        let method = object.take("method", "the name of a method")?;
        let release = object.take("release", RELEASE)?;
        let budgets = object.object("budgets")?.map_or_else(|| Ok(BTreeMap::new()), budgets)?;
        object.refuse_rest(neutral::NONE)?;
        Ok(Self { method, budgets, release })
    }
}

fn budgets(fields: Fields) -> Result<BTreeMap<String, f64>, Problem> {
    let number = |(name, path, value): (String, String, Value)| {
        value.as_f64().map(|budget| (name, budget)).ok_or_else(|| wrong(&path, &value, NUMBER))
    };
    fields.rest().into_iter().map(number).collect()
}
