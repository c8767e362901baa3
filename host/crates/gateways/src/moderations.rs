//! OpenAI's `/v1/moderations`: categories are the bundle's constraints.

use crate::{Fields, Part, Problem, Question, Verdict, judge, missing, neutral, wrong};
use serde_json::{Map, Value, json};

const INPUT: &str = "a text, a list of texts, or a list of parts of the type `text`";

/// What a client sends. The name of OpenAI's moderation model is not read: the bundle decides.
#[derive(Debug, Clone, PartialEq)]
pub struct ModerationRequest {
    /// The texts; each has a result of its own.
    pub texts: Vec<String>,
    /// The bundle that must decide, if the client names any.
    pub bundle: Option<String>,
    /// Milliseconds until the client gives up.
    pub deadline_ms: Option<u64>,
}

impl ModerationRequest {
    /// Reads a body with at most `most` texts.
    ///
    /// # Errors
    /// [`Problem`] for the first wrong or unknown field, for images, and for too many texts.
    pub fn parse(body: &[u8], most: usize) -> Result<Self, Problem> {
        let mut fields = Fields::parse(body)?;
        fields.take::<String>("model", "the name of a moderation model")?;
        let texts = texts(fields.value("input").ok_or_else(|| missing("input", INPUT))?)?;
        if texts.is_empty() || texts.len() > most {
            return Err(Problem::bad("input", format!("found {} texts; expected 1 to {most}", texts.len())));
        }
        let (mut bundle, mut deadline_ms) = (None, None);
        if let Some(mut object) = fields.object("inferenceguard")? {
            (bundle, deadline_ms) = (judge::bundle(&mut object)?, judge::deadline(&mut object)?);
            object.refuse_rest(neutral::NONE)?;
        }
        fields.refuse_rest(neutral::NONE)?;
        Ok(Self { texts, bundle, deadline_ms })
    }

    /// What each text asks: it is priced like an answer to nothing.
    #[must_use]
    pub fn questions(&self) -> Vec<Question> {
        let question = |text: &String| Question {
            conversation: None,
            text: text.clone(),
            part: Part::Prompt,
            bundle: self.bundle.clone(),
            deadline_ms: self.deadline_ms,
        };
        self.texts.iter().map(question).collect()
    }
}

/// The answer to a request, from the verdicts on its texts.
#[must_use]
pub fn answer(id: &str, model: &str, verdicts: &[Verdict]) -> Value {
    json!({"id": id, "model": model, "results": verdicts.iter().map(result).collect::<Vec<_>>()})
}

fn result(verdict: &Verdict) -> Value {
    let broken = verdict.broken_constraints();
    let of = |value: &dyn Fn(&crate::Price) -> Value| -> Map<String, Value> {
        verdict.prices.iter().map(|price| (price.name.clone(), value(price))).collect()
    };
    let failed = !verdict.failures.is_empty();
    json!({
        "flagged": !verdict.standing.passes(),
        "categories": of(&|price| json!(broken.contains(&price.name.as_str()))),
        "category_scores": of(&|price| json!(if failed { 1.0 } else { price.share() })),
        "category_applied_input_types": of(&|_| json!(["text"])),
        "inferenceguard": verdict.extension(),
    })
}

fn texts(input: Value) -> Result<Vec<String>, Problem> {
    match input {
        Value::String(text) => Ok(vec![text]),
        Value::Array(items) if items.first().is_some_and(Value::is_object) => {
            let parts = items.into_iter().enumerate().map(|(at, item)| part(at, item));
            Ok(vec![parts.collect::<Result<Vec<_>, _>>()?.join("\n")])
        }
        Value::Array(items) => items.into_iter().enumerate().map(|(at, item)| text(at, item)).collect(),
        other => Err(wrong("input", &other, INPUT)),
    }
}

fn text(at: usize, item: Value) -> Result<String, Problem> {
    match item {
        Value::String(text) => Ok(text),
        other => Err(wrong(&format!("input[{at}]"), &other, "a text")),
    }
}

/// The text of a part. All parts together are one text.
fn part(at: usize, item: Value) -> Result<String, Problem> {
    let mut part = Fields::of(format!("input[{at}]"), item)?;
    let (kind_path, text_path) = (part.path("type"), part.path("text"));
    let kind: String = part.take("type", "text")?.ok_or_else(|| missing(&kind_path, "text"))?;
    if kind != "text" {
        let kind: String = kind.chars().take(60).collect();
        let message = format!("a part of the type `{kind}` cannot be judged here; expected text");
        return Err(Problem::bad(&kind_path, message));
    }
    let text = part.take("text", "a text")?.ok_or_else(|| missing(&text_path, "a text"))?;
    part.refuse_rest(neutral::NONE)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Standing, verdict::tests::verdict};

    fn parse(body: &Value) -> Result<ModerationRequest, Problem> {
        ModerationRequest::parse(body.to_string().as_bytes(), 3)
    }

    #[test]
    fn all_forms_of_input_are_texts() {
        let part = |text: &str| json!({"type": "text", "text": text});
        for (input, texts) in [
            (json!("a"), vec!["a"]),
            (json!(["a", "b"]), vec!["a", "b"]),
            (json!([part("a"), part("b")]), vec!["a\nb"]),
            (json!(""), vec![""]),
        ] {
            let read = parse(&json!({"input": input, "model": "omni-moderation-latest"})).unwrap();
            assert_eq!(read.texts, texts, "{input}");
            assert!(read.questions().iter().all(|one| one.part == Part::Prompt && one.conversation.is_none()));
        }
        let read = parse(&json!({"input": "a", "inferenceguard": {"bundle": "b", "deadline_ms": 9}})).unwrap();
        assert_eq!((read.bundle.as_deref(), read.deadline_ms), (Some("b"), Some(9)));
    }

    #[test]
    fn wrong_input_is_named() {
        let image = json!({"type": "image_url", "image_url": {"url": "data:"}});
        for (body, param) in [
            (json!({}), "input"),
            (json!({"input": null}), "input"),
            (json!({"input": 5}), "input"),
            (json!({"input": []}), "input"),
            (json!({"input": ["a", "b", "c", "d"]}), "input"),
            (json!({"input": ["a", 5]}), "input[1]"),
            (json!({"input": ["a", {"type": "text", "text": "b"}]}), "input[1]"),
            (json!({"input": [{"type": "text", "text": "a"}, "b"]}), "input[1]"),
            (json!({"input": [{"type": "text", "text": "a"}, image]}), "input[1].type"),
            (json!({"input": [{"type": "text"}]}), "input[0].text"),
            (json!({"input": [{"text": "a"}]}), "input[0].type"),
            (json!({"input": [{"type": "text", "text": "a", "more": "b"}]}), "input[0].more"),
            (json!({"input": "a", "inferenceguard": {"budgets": {}}}), "inferenceguard.budgets"),
            (json!({"input": "a", "context": "b"}), "context"),
        ] {
            assert_eq!(parse(&body).unwrap_err().param.as_deref(), Some(param), "{body}");
        }
    }

    #[test]
    fn a_result_has_a_category_for_each_constraint() {
        for (standing, spent, flagged, score) in [
            (Standing::Within, 1.0, false, 0.25),
            (Standing::Exceeded, 9.0, true, 1.0),
            (Standing::Exceeded, 1.0, true, 0.25),
        ] {
            let answer = answer("modr-1", "toy", &[verdict(standing, spent)]);
            let result = &answer["results"][0];
            assert_eq!((&result["flagged"], &result["categories"]["harm"]), (&json!(flagged), &json!(flagged)));
            assert_eq!(result["category_scores"]["harm"], json!(score), "{result}");
            assert_eq!(result["category_applied_input_types"]["harm"], json!(["text"]));
            assert_eq!(result["inferenceguard"]["constraints"][0]["spent"], json!(spent));
        }
    }

    #[test]
    fn a_failure_is_flagged_with_full_scores() {
        let failed = Verdict { failures: vec!["cost harm: trap".into()], ..verdict(Standing::Failed, 0.0) };
        let answer = answer("modr-1", "toy", &[failed]);
        let result = &answer["results"][0];
        assert_eq!((&result["flagged"], &result["category_scores"]["harm"]), (&json!(true), &json!(1.0)), "{result}");
        assert_eq!(result["inferenceguard"]["status"], "failed");
    }
}
