//! Fields of other servers and providers that this server does not support, with the values that ask for nothing.
//!
//! A field that is neither supported nor listed here is refused: it could have changed the answer.

use crate::Fields;
use crate::Problem;
use serde_json::{Value, json};

/// The values of a field that ask for nothing. `null` always does.
#[derive(Debug, Clone, Copy)]
pub enum Values {
    /// All values: the field does not concern the answer.
    All,
    /// An empty list, object or text.
    Empty,
    /// This number.
    Number(f64),
    /// Numbers and truth values, in lists and objects as well; no text.
    Figures,
    /// This truth value.
    Flag(bool),
    /// One of these texts.
    Text(&'static [&'static str]),
    /// `{"type": "text"}`.
    PlainFormat,
    /// `["text"]`.
    PlainModality,
}

impl Values {
    fn contain(self, value: &Value) -> bool {
        match self {
            Self::All => true,
            Self::Empty => match value {
                Value::Array(values) => values.is_empty(),
                Value::Object(fields) => fields.is_empty(),
                Value::String(text) => text.is_empty(),
                _ => false,
            },
            Self::Number(number) => value.as_f64() == Some(number),
            Self::Figures => match value {
                Value::Array(values) => values.iter().all(|value| self.contain(value)),
                Value::Object(fields) => fields.values().all(|value| self.contain(value)),
                Value::String(_) => false,
                Value::Null | Value::Bool(_) | Value::Number(_) => true,
            },
            Self::Flag(flag) => value.as_bool() == Some(flag),
            Self::Text(texts) => value.as_str().is_some_and(|text| texts.contains(&text)),
            Self::PlainFormat => *value == json!({"type": "text"}),
            Self::PlainModality => *value == json!(["text"]),
        }
    }

    /// A description of the values, for an error.
    fn described(self) -> String {
        match self {
            Self::All => "anything".to_owned(),
            Self::Empty => "nothing in it".to_owned(),
            Self::Number(number) => number.to_string(),
            Self::Figures => "only numbers".to_owned(),
            Self::Flag(flag) => flag.to_string(),
            Self::Text(texts) => texts.iter().map(|text| format!("\"{text}\"")).collect::<Vec<_>>().join(" or "),
            Self::PlainFormat => r#"{"type": "text"}"#.to_owned(),
            Self::PlainModality => r#"["text"]"#.to_owned(),
        }
    }
}

/// Fields, and their values that ask for nothing.
pub type Neutral = &'static [(&'static str, Values)];

/// Fields of a request. `host/REQUESTS.md` gives the reasons.
pub const REQUEST: Neutral = &[
    // Who sends the request, and how a provider accounts for it, stores it or caches it: the answer is the same.
    ("user", Values::All),
    ("safety_identifier", Values::All),
    ("metadata", Values::All),
    ("store", Values::All),
    ("service_tier", Values::All),
    ("prompt_cache_key", Values::All),
    ("prompt_cache_retention", Values::All),
    ("cache_prompt", Values::All),
    ("keep_alive", Values::All),
    ("parallel_tool_calls", Values::All),
    // OpenAI's fields that this server does not support.
    ("tools", Values::Empty),
    ("tool_choice", Values::Text(&["none", "auto"])),
    ("functions", Values::Empty),
    ("function_call", Values::Text(&["none", "auto"])),
    ("response_format", Values::PlainFormat),
    ("modalities", Values::PlainModality),
    ("logit_bias", Values::Empty),
    ("frequency_penalty", Values::Number(0.0)),
    ("presence_penalty", Values::Number(0.0)),
    ("best_of", Values::Number(1.0)),
    ("echo", Values::Flag(false)),
    ("top_logprobs", Values::Number(0.0)),
    ("suffix", Values::Empty),
    ("reasoning_effort", Values::Empty),
    ("verbosity", Values::Text(&["medium"])),
    // vLLM's and SGLang's.
    ("min_tokens", Values::Number(0.0)),
    ("length_penalty", Values::Number(1.0)),
    ("ignore_eos", Values::Flag(false)),
    ("early_stopping", Values::Flag(false)),
    ("use_beam_search", Values::Flag(false)),
    ("stop_token_ids", Values::Empty),
    ("stop_regex", Values::Empty),
    ("no_stop_trim", Values::Flag(false)),
    ("include_stop_str_in_output", Values::Flag(false)),
    ("bad_words", Values::Empty),
    ("allowed_token_ids", Values::Empty),
    ("skip_special_tokens", Values::Flag(true)),
    ("spaces_between_special_tokens", Values::Flag(true)),
    ("add_generation_prompt", Values::Flag(true)),
    ("continue_final_message", Values::Flag(false)),
    ("add_special_tokens", Values::Flag(false)),
    ("documents", Values::Empty),
    ("chat_template_kwargs", Values::Empty),
    ("mm_processor_kwargs", Values::Empty),
    ("logits_processors", Values::Empty),
    ("guided_regex", Values::Empty),
    ("guided_choice", Values::Empty),
    ("guided_grammar", Values::Empty),
    ("regex", Values::Empty),
    ("ebnf", Values::Empty),
    ("priority", Values::Number(0.0)),
    ("return_token_ids", Values::Flag(false)),
    ("return_tokens_as_token_ids", Values::Flag(false)),
    ("return_hidden_states", Values::Flag(false)),
    ("vllm_xargs", Values::Empty),
    // llama.cpp's and Ollama's.
    ("n_predict", Values::Number(-1.0)),
    ("n_probs", Values::Number(0.0)),
    ("n_keep", Values::Number(0.0)),
    ("min_keep", Values::Number(0.0)),
    ("id_slot", Values::Number(-1.0)),
    ("grammar", Values::Empty),
    ("repeat_penalty", Values::Number(1.0)),
    ("typical_p", Values::Number(1.0)),
    ("typ_p", Values::Number(1.0)),
    ("tfs_z", Values::Number(1.0)),
    ("top_a", Values::Number(0.0)),
    ("mirostat", Values::Number(0.0)),
    ("dynatemp_range", Values::Number(0.0)),
    ("xtc_probability", Values::Number(0.0)),
    ("dry_multiplier", Values::Number(0.0)),
    ("lora", Values::Empty),
    ("timings_per_token", Values::Flag(false)),
    ("return_tokens", Values::Flag(false)),
    ("post_sampling_probs", Values::Flag(false)),
    ("options", Values::Empty),
    ("format", Values::Empty),
];

/// Fields of `stream_options`.
pub const STREAM_OPTIONS: Neutral =
    &[("include_obfuscation", Values::Flag(false)), ("continuous_usage_stats", Values::Flag(false))];

/// Fields of a turn.
pub const TURN: Neutral = &[
    ("name", Values::Empty),
    ("refusal", Values::Empty),
    ("tool_calls", Values::Empty),
    ("function_call", Values::Empty),
    ("annotations", Values::Empty),
    ("reasoning", Values::Empty),
    ("reasoning_content", Values::Empty),
    ("reasoning_details", Values::Empty),
];

/// Fields of a part of a turn.
pub const PART: Neutral = &[("annotations", Values::Empty), ("cache_control", Values::All)];

/// For an object without such fields.
pub const NONE: Neutral = &[];

impl Fields {
    /// Checks that every field that is left is listed in `neutral`, with a value that asks for nothing.
    ///
    /// # Errors
    /// 400 for the first field that could have changed the answer.
    pub fn refuse_rest(self, neutral: Neutral) -> Result<(), Problem> {
        self.rest().into_iter().try_for_each(|(name, path, value)| {
            match neutral.iter().find(|(listed, _)| *listed == name) {
                Some((_, values)) if values.contain(&value) => Ok(()),
                Some((_, values)) => {
                    let message = format!(
                        "`{path}` is not supported here; leave it out, or send {}, which asks for nothing",
                        values.described()
                    );
                    Err(Problem::with_code("unsupported_parameter", &path, message))
                }
                None => {
                    let message = format!("`{path}` is not known here; leave it out");
                    Err(Problem::with_code("unknown_parameter", &path, message))
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_lists_every_field_that_may_ask_for_nothing() {
        let page = include_str!("../../../REQUESTS.md");
        let lists = page.split("## Values that ask for nothing").nth(1).unwrap().split("\n## ").next().unwrap();
        for (place, list) in
            [("", REQUEST), ("in `stream_options`:", STREAM_OPTIONS), ("in a turn:", TURN), ("in a part:", PART)]
        {
            let within = |line: &&str| if place.is_empty() { line.starts_with("| `") } else { line.contains(place) };
            let rows: Vec<&str> = lists.lines().filter(within).collect();
            check_rows(&rows, list);
        }
    }

    fn check_rows(rows: &[&str], list: Neutral) {
        for (name, values) in list {
            let row = rows.iter().find(|line| line.contains(&format!("`{name}`")));
            let row = row.unwrap_or_else(|| panic!("host/REQUESTS.md does not list `{name}`"));
            let described = values.described();
            assert!(row.contains(&format!(" {described} |")), "`{name}` may be {described}: {row}");
        }
        let first = rows.iter().filter_map(|row| row.split('|').nth(1));
        let named = first.flat_map(|cell| cell.split('`').skip(1).step_by(2)).filter(|name| *name != "stream_options");
        for name in named {
            assert!(list.iter().any(|(listed, _)| *listed == name), "host/REQUESTS.md promises `{name}`");
        }
    }

    #[test]
    fn no_field_is_listed_twice() {
        for list in [REQUEST, STREAM_OPTIONS, TURN, PART] {
            let mut names: Vec<_> = list.iter().map(|(name, _)| name).collect();
            names.sort_unstable();
            let all = names.len();
            names.dedup();
            assert_eq!(names.len(), all, "{names:?}");
        }
    }
}
