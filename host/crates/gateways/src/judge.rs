//! `/v1/judge`: the server's own interface.

use crate::{Conversation, Fields, OnUnsafe, Part, Problem, Question, Verdict, missing, neutral};
use serde_json::{Value, json};

const ANSWER: &str = "the text to judge";
const PART: &str = "\"whole\" or \"prefix\"";
const UNSAFE: &str = "\"block\" or \"replace\"";
const MILLISECONDS: &str = "a whole number of milliseconds, 1 or above";

/// What a client sends.
#[derive(Debug, Clone, PartialEq)]
pub struct JudgeRequest {
    /// The model that it names, if it names any.
    pub model: Option<String>,
    /// What it asks.
    pub question: Question,
    /// What becomes of unsafe text; `None` leaves it to the operator.
    pub on_unsafe: Option<OnUnsafe>,
}

impl JudgeRequest {
    /// Reads a body.
    ///
    /// # Errors
    /// [`Problem`] for the first wrong or unknown field.
    pub fn parse(body: &[u8]) -> Result<Self, Problem> {
        let mut fields = Fields::parse(body)?;
        let model = fields.take("model", "the name of a model")?;
        let messages: Option<Value> = fields.value("messages");
        let conversation = messages.map(conversation).transpose()?;
        let text = fields.take("answer", ANSWER)?.ok_or_else(|| missing("answer", ANSWER))?;
        let part = part(&mut fields)?;
        let on_unsafe = on_unsafe(&mut fields)?;
        let (bundle, deadline_ms) = (bundle(&mut fields)?, deadline(&mut fields)?);
        fields.refuse_rest(neutral::NONE)?;
        Ok(Self { model, question: Question { conversation, text, part, bundle, deadline_ms }, on_unsafe })
    }

    /// The answer.
    #[must_use]
    pub fn answer(&self, verdict: &Verdict, on_unsafe: OnUnsafe) -> Value {
        let decision = on_unsafe.decision(verdict.standing);
        let mut answer = verdict.extension();
        answer["object"] = json!("judgement");
        answer["decision"] = json!(decision);
        answer["part"] = json!(if self.question.part == Part::Prefix { "prefix" } else { "whole" });
        if decision == "replace" {
            answer["text"] = json!(verdict.refusal);
        }
        answer
    }
}

/// The conversation in the value of a field `messages`.
pub(crate) fn conversation(messages: Value) -> Result<Conversation, Problem> {
    Conversation::take(&mut Fields::of(String::new(), json!({ "messages": messages }))?)
}

fn part(fields: &mut Fields) -> Result<Part, Problem> {
    match fields.take::<String>("part", PART)?.as_deref() {
        None | Some("whole") => Ok(Part::Answer),
        Some("prefix") => Ok(Part::Prefix),
        Some(other) => Err(unknown("part", other, PART)),
    }
}

/// Takes the field `on_unsafe`.
pub(crate) fn on_unsafe(fields: &mut Fields) -> Result<Option<OnUnsafe>, Problem> {
    let path = fields.path("on_unsafe");
    let Some(name) = fields.take::<String>("on_unsafe", UNSAFE)? else { return Ok(None) };
    OnUnsafe::of(&name).map(Some).ok_or_else(|| unknown(&path, &name, UNSAFE))
}

/// Takes the field `bundle`.
pub(crate) fn bundle(fields: &mut Fields) -> Result<Option<String>, Problem> {
    fields.take("bundle", "the name of the bundle that must decide")
}

/// Takes the field `deadline_ms`.
pub(crate) fn deadline(fields: &mut Fields) -> Result<Option<u64>, Problem> {
    let path = fields.path("deadline_ms");
    match fields.take::<u64>("deadline_ms", MILLISECONDS)? {
        Some(0) => Err(Problem::bad(&path, format!("found 0; expected {MILLISECONDS}"))),
        found => Ok(found),
    }
}

fn unknown(path: &str, found: &str, expected: &str) -> Problem {
    let found: String = found.chars().take(60).collect();
    Problem::bad(path, format!("`{path}`: found `{found}`; expected {expected}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Standing, verdict::tests::verdict};

    fn parse(body: &Value) -> Result<JudgeRequest, Problem> {
        JudgeRequest::parse(body.to_string().as_bytes())
    }

    #[test]
    fn every_field_arrives() {
        let body = json!({
            "model": "m", "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}],
            "answer": "a", "part": "prefix", "on_unsafe": "replace", "bundle": "b", "deadline_ms": 5,
        });
        let read = parse(&body).unwrap();
        let conversation = read.question.conversation.unwrap();
        assert_eq!((conversation.prompt.as_str(), conversation.history[0].content.as_str()), ("u", "s"));
        assert_eq!((read.question.text.as_str(), read.question.part), ("a", Part::Prefix));
        assert_eq!((read.model.as_deref(), read.on_unsafe), (Some("m"), Some(OnUnsafe::Replace)));
        assert_eq!((read.question.bundle.as_deref(), read.question.deadline_ms), (Some("b"), Some(5)));
        let least = parse(&json!({"answer": ""})).unwrap();
        assert_eq!((least.question.conversation, least.question.part, least.on_unsafe), (None, Part::Answer, None));
    }

    #[test]
    fn wrong_fields_are_named() {
        for (body, code, param) in [
            (json!({}), "missing_required_parameter", "answer"),
            (json!({"answer": 5}), "invalid_type", "answer"),
            (json!({"answer": ["a"]}), "invalid_type", "answer"),
            (json!({"answer": "a", "part": "some"}), "invalid_value", "part"),
            (json!({"answer": "a", "on_unsafe": "pass"}), "invalid_value", "on_unsafe"),
            (json!({"answer": "a", "deadline_ms": 0}), "invalid_value", "deadline_ms"),
            (json!({"answer": "a", "deadline_ms": -1}), "invalid_type", "deadline_ms"),
            (json!({"answer": "a", "bundle": 1}), "invalid_type", "bundle"),
            (json!({"answer": "a", "budgets": {"harm": 9}}), "unknown_parameter", "budgets"),
            (json!({"answer": "a", "messages": []}), "invalid_value", "messages"),
            (json!({"answer": "a", "messages": "u"}), "invalid_type", "messages"),
            (
                json!({"answer": "a", "messages": [{"role": "tool", "content": "x"}]}),
                "invalid_value",
                "messages[0].role",
            ),
        ] {
            let problem = parse(&body).unwrap_err();
            assert_eq!((problem.code, problem.param.as_deref()), (code, Some(param)), "{body}: {problem}");
        }
        let twice = br#"{"answer": "good", "answer": "bad"}"#;
        assert_eq!(JudgeRequest::parse(twice).unwrap_err().code, "duplicate_parameter");
    }

    #[test]
    fn the_answer_has_the_decision_and_the_exact_numbers() {
        let request = parse(&json!({"answer": "a"})).unwrap();
        for (standing, on_unsafe, decision, text) in [
            (Standing::Within, OnUnsafe::Replace, "pass", Value::Null),
            (Standing::Exceeded, OnUnsafe::Block, "block", Value::Null),
            (Standing::Exceeded, OnUnsafe::Replace, "replace", json!("No.")),
            (Standing::Failed, OnUnsafe::Replace, "replace", json!("No.")),
        ] {
            let answer = request.answer(&verdict(standing, 1.5), on_unsafe);
            assert_eq!((&answer["decision"], &answer["text"]), (&json!(decision), &text), "{answer}");
            assert_eq!((&answer["status"], &answer["part"]), (&json!(standing.name()), &json!("whole")));
            assert_eq!(
                (&answer["constraints"][0]["max"], &answer["constraints"][0]["budget"]),
                (&json!(1.5), &json!(4.0))
            );
            assert_eq!((&answer["bundle"]["digest"], &answer["generation"]), (&json!("sha256:d"), &json!(7)));
        }
    }
}
