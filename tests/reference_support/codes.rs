//! The codes of errors that a client of the server, or of its gateway for Envoy, reads.

use crate::source::{files, text};
use std::{collections::BTreeMap, fmt::Write as _};

/// What each code says. A code of the code that is not here fails the test, and so does one here that is nowhere in the code.
const MEANINGS: &[(&str, &str)] = &[
    ("answer_too_large", "an answer that a gateway passes on is too large to be judged"),
    ("blocked", "a prompt or an answer that Envoy passes on is unsafe; the message is the bundle's refusal"),
    ("bundle_not_found", "a judgement names another bundle than the active one"),
    ("bundle_refused", "a bundle cannot be activated; the old one stays"),
    ("cancelled", "the server stops, or cancelled the request"),
    ("context_length_exceeded", "prompt and answer do not fit the model's context"),
    ("deadline_exceeded", "a judgement took longer than its deadline"),
    ("denied", "the operator denies all requests"),
    ("duplicate_parameter", "a field stands twice"),
    ("engine_error", "the engine failed; the server's log says why"),
    ("event_too_large", "an event of a stream that a gateway passes on is too large to be judged"),
    ("foreign_origin", "a page of another site asks the administrators' listener"),
    ("gateway_misconfigured", "Envoy's filter does not send bodies as it must; the message says what to set"),
    ("invalid_api_key", "no key, or an unknown one"),
    ("invalid_body", "the body is too large or too slow, or is no text"),
    ("invalid_event", "an event of a stream that a gateway passes on cannot be read"),
    ("invalid_json", "the body is no JSON"),
    ("invalid_type", "a field has a value of another type"),
    ("invalid_value", "a field has a value that is not allowed"),
    ("last_replica", "the replica is the last that can answer, so it is not taken out"),
    ("method_not_allowed", "the path takes another HTTP method"),
    ("missing_required_parameter", "a field is missing"),
    ("model_broken", "the model cannot answer any more; the server's log says why"),
    ("model_not_found", "another model is served here"),
    ("no_trial", "there is no canary or shadow"),
    ("nothing_before", "there is no earlier bundle to roll back to; the active one stays"),
    ("overloaded", "too many choices wait; try again later"),
    ("rate_limit_exceeded", "the client has used up its limits; try again later"),
    ("record_error", "the record of the answer cannot be written, so there is no answer"),
    ("request_failed", "Envoy has an error of its own before a request was sent; its status stays"),
    ("store_error", "the server's state cannot be saved"),
    ("too_many_choices", "a stream that a gateway passes on has more choices than the settings allow"),
    ("too_many_prompts", "too many prompts wait for their answers"),
    ("trust_error", "the file of trusted keys cannot be read or has an error, so no bundle is activated"),
    ("unguarded_path", "Envoy passes on a path that is neither one of chats nor an open one"),
    ("unknown_host", "the administrators' listener is not known under this host name"),
    ("unknown_parameter", "a field that no API has"),
    ("unknown_replica", "no engine has a replica of this URL"),
    ("unknown_url", "there is no such path"),
    ("unsupported_content", "an answer that Envoy passes on is neither JSON nor a stream of events"),
    ("unsupported_encoding", "the body is compressed"),
    ("unsupported_parameter", "a field of OpenAI's API that is not supported, with a value that asks for something"),
];

/// What makes an error with a code, and the status that such errors always have, if there is one.
const MAKERS: [(&str, Option<&str>); 13] = [
    ("ApiError::new(", None),
    ("ApiError::later(", None),
    ("ApiError::with_code(", Some("400")),
    ("Self::new(", None),
    ("Self::later(", None),
    ("Self::with_code(", Some("400")),
    ("Problem::new(", Some("400")),
    ("Problem::with_code(", Some("400")),
    ("forbidden(", Some("403")),
    ("=> bad(", Some("400")),
    ("Blocked::new(", None),
    ("Blocked::not_understood(", None),
    ("code: ", None),
];

/// A table of all codes.
pub(crate) fn section() -> String {
    let found = found();
    let unexplained: Vec<&String> =
        found.keys().filter(|code| MEANINGS.iter().all(|(known, _)| known != code)).collect();
    assert!(unexplained.is_empty(), "say in MEANINGS what these codes mean: {unexplained:?}");
    let gone: Vec<&str> = MEANINGS.iter().map(|(code, _)| *code).filter(|code| !found.contains_key(*code)).collect();
    assert!(gone.is_empty(), "no code makes these codes any more: {gone:?}");
    let mut out = String::from(
        "## Codes of errors\n\n`error.code` of an answer of the server or of its gateway for Envoy, and the HTTP status that it \
         comes with, where the code\nalways has the same. An error that takes the place of an answer behind Envoy has 502, or the \
         answer's own status if that is one of an error.\n\n| code | status | |\n|---|---|---|\n",
    );
    for (code, meaning) in MEANINGS {
        writeln!(out, "| `{code}` | {} | {meaning} |", found[*code].as_deref().unwrap_or("")).unwrap();
    }
    out
}

/// The source of the host and of all its crates: no crate that makes codes is missed.
fn sources() -> Vec<String> {
    let crates = files("host/crates").into_iter().filter(|path| path.contains("/src/"));
    crates.chain(files("host/src")).collect()
}

/// Every code, with its status if that stands beside it everywhere.
fn found() -> BTreeMap<String, Option<String>> {
    let mut all: BTreeMap<String, Option<String>> = BTreeMap::new();
    for path in sources() {
        let text = text(&path);
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for (found, status) in MAKERS.iter().flat_map(|(maker, status)| made(code, maker, *status)) {
            let known = all.entry(found).or_insert_with(|| status.clone());
            if *known != status {
                *known = None;
            }
        }
    }
    all
}

/// The codes that stand in calls of one function, each with the status beside it.
fn made(text: &str, maker: &str, always: Option<&str>) -> Vec<(String, Option<String>)> {
    let calls = text.match_indices(maker).map(|(at, _)| &text[at + maker.len()..]);
    let one = |call: &str| {
        let call = call.split(';').next()?;
        let code = call.split('"').nth(1)?;
        let before = call.split('"').next()?;
        let is_code = code.len() > 4 && code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        // The text must be the first argument, or the second after the status.
        (is_code && before.matches(',').count() <= 1 && !before.contains('('))
            .then(|| (code.to_owned(), always.map(str::to_owned).or_else(|| status(before))))
    };
    calls.filter_map(one).collect()
}

/// The number of the status that stands before a code: by its name, or as it is.
fn status(before: &str) -> Option<String> {
    let before = before.trim().trim_end_matches([',', ' ', '\n']);
    if before.len() == 3 && before.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(before.to_owned());
    }
    let name = before.strip_prefix("StatusCode::")?;
    let numbers = [
        ("BAD_REQUEST", 400),
        ("UNAUTHORIZED", 401),
        ("FORBIDDEN", 403),
        ("NOT_FOUND", 404),
        ("METHOD_NOT_ALLOWED", 405),
        ("CONFLICT", 409),
        ("UNSUPPORTED_MEDIA_TYPE", 415),
        ("UNPROCESSABLE_ENTITY", 422),
        ("TOO_MANY_REQUESTS", 429),
        ("INTERNAL_SERVER_ERROR", 500),
        ("SERVICE_UNAVAILABLE", 503),
        ("GATEWAY_TIMEOUT", 504),
    ];
    numbers.iter().find(|(known, _)| *known == name).map(|(_, number)| number.to_string())
}
