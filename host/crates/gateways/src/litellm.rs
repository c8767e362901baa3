//! LiteLLM's generic guardrail route, as LiteLLM 1.108 calls it.
//!
//! LiteLLM sends the prompt and the answer in two calls with the same `litellm_call_id`; the second call lacks the prompt. Of a
//! stream it sends the text so far, again and again, and does not say which call is the last one. So each text is judged as an
//! answer that ends where the text ends.

use crate::{Conversation, Fields, OnUnsafe, Part, Problem, Question, Verdict, certain, judge, missing, neutral};
use serde_json::{Value, json};

/// The path of the route.
pub const PATH: &str = "/beta/litellm_basic_guardrail_api";

/// The most characters of an id.
const ID: usize = 256;

const KIND: &str = "\"request\" or \"response\"";

/// One call of LiteLLM.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// What it brings.
    pub input: Input,
    /// The id that both calls of a request have.
    pub id: Option<String>,
    /// The bundle that must decide, if the guardrail's parameters name any.
    pub bundle: Option<String>,
    /// What becomes of unsafe answers, if the guardrail's parameters say so.
    pub on_unsafe: Option<OnUnsafe>,
}

/// What a call brings.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// A prompt.
    Request(Content<Conversation>),
    /// Answers, or answers so far: one text for each choice.
    Response(Content<Vec<String>>),
}

/// Content, or why it cannot be judged.
pub type Content<T> = Result<T, String>;

impl Call {
    /// Reads a body with at most `most` texts in an answer.
    ///
    /// # Errors
    /// [`Problem`] for the first field that is wrong, and for unknown fields with content.
    pub fn parse(body: &[u8], most: usize) -> Result<Self, Problem> {
        let mut fields = Fields::parse(body)?;
        let kind: String = fields.take("input_type", KIND)?.ok_or_else(|| missing("input_type", KIND))?;
        let id = id(&mut fields)?;
        let texts: Vec<String> = fields.take("texts", "a list of texts")?.unwrap_or_default();
        let messages = fields.value("structured_messages");
        let unseen = unseen(&mut fields);
        let (bundle, on_unsafe) = parameters(&mut fields)?;
        ignore(&mut fields);
        refuse_content(fields)?;
        let input = match kind.as_str() {
            "request" => Input::Request(unseen.and_then(|()| conversation(messages, texts))),
            "response" => Input::Response(unseen.and_then(|()| answers(texts, most))),
            _ => return Err(Problem::bad("input_type", format!("expected {KIND}"))),
        };
        Ok(Self { input, id, bundle, on_unsafe })
    }

    /// What the answers of this call ask, as answers of this conversation.
    #[must_use]
    pub fn questions(&self, texts: &[String], conversation: Option<&Conversation>) -> Vec<Question> {
        texts.iter().map(|text| self.question(text, conversation.cloned(), Part::Answer)).collect()
    }

    /// What a prompt asks: it is priced like an answer to nothing.
    #[must_use]
    pub fn screen(&self, prompt: &str) -> Question {
        self.question(prompt, None, Part::Prompt)
    }

    fn question(&self, text: &str, conversation: Option<Conversation>, part: Part) -> Question {
        Question { conversation, text: text.to_owned(), part, bundle: self.bundle.clone(), deadline_ms: None }
    }
}

/// The answer to a prompt that may go on, or to a call without verdicts.
#[must_use]
pub fn pass() -> Value {
    json!({"action": "NONE"})
}

/// The answer that blocks.
#[must_use]
pub fn blocked(reason: &str) -> Value {
    json!({"action": "BLOCKED", "blocked_reason": reason})
}

/// The answer to texts, from the verdicts on them.
#[must_use]
pub fn answer(texts: &[String], verdicts: &[Verdict], on_unsafe: OnUnsafe) -> Value {
    let unsafe_one = verdicts.iter().find(|verdict| !verdict.standing.passes());
    let mut answer = match (unsafe_one, on_unsafe) {
        (None, _) => {
            let held: Vec<usize> =
                texts.iter().map(|text| text.chars().count() - certain(text).chars().count()).collect();
            json!({"action": "NONE", "stream_holdback_chars": held})
        }
        (Some(verdict), OnUnsafe::Block) => blocked(&verdict.refusal),
        (Some(_), OnUnsafe::Replace) => {
            let replaced = texts
                .iter()
                .zip(verdicts)
                .map(|(text, verdict)| if verdict.standing.passes() { text } else { &verdict.refusal });
            json!({"action": "GUARDRAIL_INTERVENED", "texts": replaced.collect::<Vec<_>>()})
        }
    };
    answer["inferenceguard"] = verdicts.iter().map(Verdict::extension).collect();
    answer
}

fn id(fields: &mut Fields) -> Result<Option<String>, Problem> {
    let id: Option<String> = fields.take("litellm_call_id", "a text")?;
    match id.as_ref().map(|id| id.chars().count()) {
        Some(chars) if chars == 0 || chars > ID => {
            Err(Problem::bad("litellm_call_id", format!("found {chars} characters; expected 1 to {ID}")))
        }
        _ => Ok(id),
    }
}

/// Takes what is not text. If there is any, the texts are not all of the content.
fn unseen(fields: &mut Fields) -> Content<()> {
    let names = ["images", "tool_calls"].into_iter();
    let with_content: Vec<&str> =
        names.filter(|name| fields.value(name).is_some_and(|value| has_content(&value))).collect();
    match with_content.first() {
        None => Ok(()),
        Some(name) => Err(format!("`{name}` cannot be judged here: only text can")),
    }
}

/// Takes what does not concern the decision: who asks, and which tools the model may call. The calls themselves are refused.
fn ignore(fields: &mut Fields) {
    for name in ["model", "litellm_trace_id", "litellm_version", "request_data", "request_headers", "tools"] {
        let _ = fields.value(name);
    }
}

/// Takes the parameters that the operator of LiteLLM gives to this guardrail.
fn parameters(fields: &mut Fields) -> Result<(Option<String>, Option<OnUnsafe>), Problem> {
    let Some(mut object) = fields.object("additional_provider_specific_params")? else { return Ok((None, None)) };
    let found = (judge::bundle(&mut object)?, judge::on_unsafe(&mut object)?);
    object.refuse_rest(neutral::NONE)?;
    Ok(found)
}

/// Later versions of LiteLLM may send more fields; with content in them, nobody knows what is judged.
fn refuse_content(fields: Fields) -> Result<(), Problem> {
    let unknown = fields.rest().into_iter().find(|(_, _, value)| has_content(value));
    unknown.map_or(Ok(()), |(_, path, _)| {
        Err(Problem::with_code("unknown_parameter", &path, format!("`{path}` is not known here and has content")))
    })
}

fn has_content(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        Value::String(text) => !text.is_empty(),
        Value::Bool(_) | Value::Number(_) => true,
    }
}

/// The conversation of a prompt. Without turns, one text is one turn of the user.
fn conversation(messages: Option<Value>, mut texts: Vec<String>) -> Content<Conversation> {
    if let Some(messages) = messages {
        return judge::conversation(messages).map_err(|problem| problem.message);
    }
    match (texts.pop(), texts.len()) {
        (Some(prompt), 0) => Ok(Conversation::of(prompt)),
        (None, _) => Err("there is no text in this request".to_owned()),
        (_, more) => Err(format!("found {} texts without the turns that they belong to; expected 1", more + 1)),
    }
}

fn answers(texts: Vec<String>, most: usize) -> Content<Vec<String>> {
    match texts.len() {
        0 => Err("there is no text in this answer".to_owned()),
        count if count > most => Err(format!("found {count} texts in an answer; expected at most {most}")),
        _ => Ok(texts),
    }
}
