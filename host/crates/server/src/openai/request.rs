//! Parses what clients send into a request for the engine. Every supported field is taken by its name; a field that is left must
//! have a value that asks for nothing (`neutral`), or the request is refused.

use super::{
    fields::{Fields, missing, wrong},
    messages, neutral, seed,
};
use crate::{error::ApiError, settings::StreamRelease};
use inferenceguard_host::Request;
use inferenceguard_search::SamplingSettings;
use serde_json::Value;
use std::collections::BTreeMap;

/// The most stop texts of a request, and the most bytes of each: the engine searches for all of them at every token.
const STOPS: (usize, usize) = (16, 256);

/// The most alternatives that an answer shows for each token.
const TOP_LOGPROBS: u32 = 20;

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
}

/// The log-probabilities that a client asks for.
struct Logprobs {
    wanted: bool,
    top: u32,
}

/// The model that a request names.
pub(crate) fn model(fields: &mut Fields) -> Result<Option<String>, ApiError> {
    fields.take("model", "the name of a model")
}

/// `/v1/chat/completions`.
pub(crate) fn chat(mut fields: Fields, defaults: &Defaults) -> Result<ClientRequest, ApiError> {
    let (history, prompt) = messages::conversation(&mut fields)?;
    let logprobs = chat_logprobs(&mut fields)?;
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
    let logprobs = Logprobs { wanted: top.is_some(), top: at_most("logprobs", top.unwrap_or(0))? };
    common(fields, prompt, logprobs, defaults)
}

fn chat_logprobs(fields: &mut Fields) -> Result<Logprobs, ApiError> {
    let wanted = fields.take("logprobs", FLAG)?.unwrap_or(false);
    let top = at_most("top_logprobs", fields.take("top_logprobs", WHOLE)?.unwrap_or(0))?;
    if top > 0 && !wanted {
        return Err(ApiError::bad("top_logprobs", "`top_logprobs` needs `logprobs`: true beside it"));
    }
    Ok(Logprobs { wanted, top })
}

fn at_most(name: &str, found: u32) -> Result<u32, ApiError> {
    if found <= TOP_LOGPROBS {
        return Ok(found);
    }
    Err(ApiError::bad(name, format!("`{name}`: found {found}; expected at most {TOP_LOGPROBS}")))
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
fn top_k(fields: &mut Fields) -> Result<Option<u32>, ApiError> {
    const TOP_K: &str = "a whole number, 0 or -1 for all tokens";
    let Some(value) = fields.value("top_k") else { return Ok(None) };
    let number = value.as_i64().map(|k| if k == -1 { 0 } else { k });
    number.and_then(|k| u32::try_from(k).ok()).map(Some).ok_or_else(|| wrong("top_k", &value, TOP_K))
}

/// A text, or a list of texts.
fn texts(fields: &mut Fields, name: &str, expected: &str) -> Result<Option<Vec<String>>, ApiError> {
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

fn budgets(fields: Fields) -> Result<BTreeMap<String, f64>, ApiError> {
    let number = |(name, path, value): (String, String, Value)| {
        value.as_f64().map(|budget| (name, budget)).ok_or_else(|| wrong(&path, &value, NUMBER))
    };
    fields.rest().into_iter().map(number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use inferenceguard_search::Release;
    use serde_json::json;

    fn fields(value: Value) -> Fields {
        Fields::parse(value.to_string().as_bytes()).unwrap()
    }

    fn defaults() -> Defaults {
        Defaults { release: StreamRelease::Agreement, max_choices: 4 }
    }

    fn asked(value: Value) -> Result<ClientRequest, ApiError> {
        chat(fields(value), &defaults())
    }

    fn with(field: &str, value: Value) -> Result<ClientRequest, ApiError> {
        let mut body = json!({"messages": [{"role": "user", "content": "Hi"}]});
        body[field] = value;
        asked(body)
    }

    fn refused(field: &str, value: Value) -> ApiError {
        let error = with(field, value).unwrap_err();
        assert_eq!(error.status.as_u16(), 400, "{error:?}");
        error
    }

    #[test]
    fn fields_become_settings_of_the_request() {
        let asked = asked(json!({
            "user": "u", "metadata": {}, "n": 2, "seed": -1, "stop": "END", "max_completion_tokens": 7,
            "temperature": 0.5, "top_k": 3, "min_p": 0.25, "repetition_penalty": 1.5, "stream": true, "stream_options": {"include_usage": true}, "tools": [],
            "logprobs": true, "top_logprobs": 2,
            "messages": [
                {"role": "developer", "content": "Be brief."},
                {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
            ],
            "inferenceguard": {"budgets": {"harm": 2.0}, "release": {"commit": 2}},
        }))
        .unwrap();
        let request = &asked.request;
        let output = &asked.output;
        assert_eq!((asked.choices, output.stream, output.include_usage, output.logprobs), (2, true, true, true));
        assert_eq!((request.prompt.as_str(), request.history[0].role.as_str()), ("ab", "system"));
        assert_eq!((request.seed, request.max_tokens, request.stop.len()), (Some((1 << 53) - 1), Some(7), 1));
        let sampling = SamplingSettings {
            temperature: Some(0.5),
            top_k: Some(3),
            top_p: None,
            min_p: Some(0.25),
            repetition_penalty: Some(1.5),
        };
        assert_eq!(request.sampling, sampling);
        assert_eq!((request.release, request.top_logprobs), (Some(Release::Commit(2)), 2));
        assert_eq!(request.budgets["harm"], 2.0);
    }

    #[test]
    fn null_is_nothing_everywhere() {
        let nulls = json!({
            "messages": [{"role": "user", "content": "Hi", "name": null, "whatever": null}],
            "n": null, "seed": null, "stop": null, "max_tokens": null, "max_completion_tokens": null, "temperature": null,
            "top_k": null, "top_p": null, "stream": null, "stream_options": {"include_usage": null, "x": null},
            "logprobs": null, "top_logprobs": null, "tools": null, "response_format": null, "audio": null,
            "inferenceguard": {"method": null, "budgets": {"harm": null}, "release": null},
        });
        let request = asked(nulls).unwrap().request;
        let seed = request.seed;
        assert_eq!(request, Request { seed, ..Request::new("Hi") });
        for field in ["stream_options", "inferenceguard"] {
            assert!(with(field, json!(null)).is_ok(), "{field}");
        }
        assert!(with("inferenceguard", json!({"budgets": null})).is_ok());
    }

    #[test]
    fn without_a_seed_each_request_has_its_own() {
        let seed = || with("n", json!(1)).unwrap().request.seed.unwrap();
        assert_ne!(seed(), seed());
    }

    #[test]
    fn of_two_ceilings_the_smaller_holds() {
        for (old, new, least) in [(5, 9, 5), (9, 5, 5), (u64::MAX, u64::MAX, u32::MAX)] {
            let body = json!({"messages": [{"role": "user", "content": "Hi"}], "max_tokens": old,
                "max_completion_tokens": new});
            assert_eq!(asked(body).unwrap().request.max_tokens, Some(least));
        }
    }

    #[test]
    fn what_could_change_the_answer_and_is_not_understood_is_named() {
        for (field, value, code) in [
            ("tools", json!([{}]), "unsupported_parameter"),
            ("tool_choice", json!("required"), "unsupported_parameter"),
            ("response_format", json!({"type": "json_object"}), "unsupported_parameter"),
            ("response_format", json!({"type": "text", "x": 1}), "unsupported_parameter"),
            ("logit_bias", json!({"5": 1}), "unsupported_parameter"),
            ("presence_penalty", json!(0.5), "unsupported_parameter"),
            ("min_tokens", json!(30), "unsupported_parameter"),
            ("ignore_eos", json!(true), "unsupported_parameter"),
            ("stop_token_ids", json!([5]), "unsupported_parameter"),
            ("bad_words", json!(["knife"]), "unsupported_parameter"),
            ("grammar", json!("root ::= [0-9]"), "unsupported_parameter"),
            ("guided_json", json!({"type": "object"}), "unknown_parameter"),
            ("structured_outputs", json!({"regex": "[0-9]+"}), "unknown_parameter"),
            ("chat_template", json!("{{x}}"), "unknown_parameter"),
            ("web_search_options", json!({}), "unknown_parameter"),
            ("prompt", json!("text"), "unknown_parameter"),
            ("history", json!([]), "unknown_parameter"),
            ("lane", json!("tenant a"), "unknown_parameter"),
            ("Tools", json!([]), "unknown_parameter"),
            ("x.user", json!("not the field `user`"), "unknown_parameter"),
            ("", json!(1), "unknown_parameter"),
        ] {
            let error = refused(field, value);
            assert_eq!((error.code, error.param.as_deref()), (code, Some(field)), "{error:?}");
        }
        for (field, value, param) in [
            ("stream_options", json!({"include_usge": true}), "stream_options.include_usge"),
            ("stream_options", json!({"continuous_usage_stats": true}), "stream_options.continuous_usage_stats"),
            ("inferenceguard", json!({"budget": 1}), "inferenceguard.budget"),
            ("inferenceguard", json!({"user": "u"}), "inferenceguard.user"),
        ] {
            assert_eq!(refused(field, value).param.as_deref(), Some(param));
        }
    }

    #[test]
    fn what_asks_for_nothing_is_taken() {
        for (field, value) in [
            ("presence_penalty", json!(0)),
            ("presence_penalty", json!(0.0)),
            ("store", json!(true)),
            ("response_format", json!({"type": "text"})),
            ("logit_bias", json!({})),
            ("ignore_eos", json!(false)),
            ("min_tokens", json!(0)),
            ("skip_special_tokens", json!(true)),
            ("top_k", json!(-1)),
            ("parallel_tool_calls", json!(true)),
            ("stop", json!(vec!["a".repeat(256); 16])),
            ("stop", json!([])),
            ("stream_options", json!({})),
        ] {
            assert!(with(field, value).is_ok(), "{field}");
        }
    }

    #[test]
    fn values_of_another_type_or_size_are_named() {
        for (field, value) in [
            ("n", json!("2")),
            ("n", json!(5)),
            ("n", json!(0)),
            ("max_tokens", json!(8.5)),
            ("max_tokens", json!(-1)),
            ("max_completion_tokens", json!("8")),
            ("seed", json!("1")),
            ("seed", json!(0.5)),
            ("temperature", json!("hot")),
            ("top_p", json!([])),
            ("top_k", json!(-2)),
            ("top_k", json!(1.5)),
            ("stream", json!("yes")),
            ("stream_options", json!(true)),
            ("stop", json!(5)),
            ("stop", json!(["a", 5])),
            ("stop", json!(vec!["a"; 17])),
            ("stop", json!("a".repeat(257))),
            ("logprobs", json!(1)),
            ("top_logprobs", json!(3)),
            ("inferenceguard", json!("base")),
        ] {
            let error = refused(field, value);
            assert_eq!(error.param.as_deref(), Some(field), "{error:?}");
        }
        for (value, param) in [
            (json!({"method": 5}), "inferenceguard.method"),
            (json!({"release": "at once"}), "inferenceguard.release"),
            (json!({"budgets": []}), "inferenceguard.budgets"),
            (json!({"budgets": {"harm": "2"}}), "inferenceguard.budgets.harm"),
        ] {
            assert_eq!(refused("inferenceguard", value).param.as_deref(), Some(param));
        }
    }

    #[test]
    fn completions_take_one_text() {
        let ask = |value: Value| completion(fields(value), &defaults());
        let asked = ask(json!({"prompt": ["Hi"], "logprobs": 5})).unwrap();
        assert_eq!((asked.request.prompt.as_str(), asked.request.top_logprobs, asked.output.logprobs), ("Hi", 5, true));
        assert!(!ask(json!({"prompt": "Hi"})).unwrap().output.logprobs);
        for (body, param) in [
            (json!({}), "prompt"),
            (json!({"prompt": [5, 6]}), "prompt"),
            (json!({"prompt": ["a", "b"]}), "prompt"),
            (json!({"prompt": []}), "prompt"),
            (json!({"prompt": "Hi", "logprobs": 21}), "logprobs"),
            (json!({"prompt": "Hi", "logprobs": true}), "logprobs"),
            (json!({"prompt": "Hi", "top_logprobs": 1}), "top_logprobs"),
            (json!({"prompt": "Hi", "echo": true}), "echo"),
            (json!({"prompt": "Hi", "messages": []}), "messages"),
        ] {
            assert_eq!(ask(body).unwrap_err().param.as_deref(), Some(param));
        }
    }
}
