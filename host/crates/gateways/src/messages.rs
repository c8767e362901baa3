//! Parses `messages`: the turns of a conversation.

use crate::{Fields, Problem, missing, neutral, wrong};
use inferenceguard_model::Message;
use serde_json::Value;

const LIST: &str = "a list of turns, the last one the user's";
const CONTENT: &str = "a text or a list of text parts";

/// The turns before the user's last turn, and the text of that turn.
///
/// # Errors
/// [`Problem`] for fields that are missing, of another type or not supported, and if the last turn is not the user's.
pub fn conversation(fields: &mut Fields) -> Result<(Vec<Message>, String), Problem> {
    let turns: Vec<Value> = fields.take("messages", LIST)?.ok_or_else(|| missing("messages", LIST))?;
    let turns = turns.into_iter().enumerate().map(|(at, turn)| message(Fields::of(format!("messages[{at}]"), turn)?));
    let mut turns = turns.collect::<Result<Vec<_>, _>>()?;
    let last = turns.pop().filter(|message| message.role == "user");
    let last = last.ok_or_else(|| Problem::bad("messages", "the last message must be the user's"))?;
    Ok((turns, last.content))
}

fn message(mut turn: Fields) -> Result<Message, Problem> {
    let role = role(&mut turn)?;
    let content = content(&mut turn, &role)?;
    let refusal = if role == "assistant" { turn.take::<String>("refusal", "a text")? } else { None };
    let path = turn.path("content");
    turn.refuse_rest(neutral::TURN)?;
    let content = match (content, refusal) {
        (None, None) => return Err(missing(&path, CONTENT)),
        (Some(content), None) => content,
        (None, Some(refusal)) => refusal,
        // This server's answers have a refusal in both fields.
        (Some(content), Some(refusal)) if content.ends_with(&refusal) => content,
        (Some(content), Some(refusal)) => content + &refusal,
    };
    Ok(Message { role, content })
}

fn role(turn: &mut Fields) -> Result<String, Problem> {
    const ROLE: &str = "system, developer, user or assistant";
    let path = turn.path("role");
    let role: String = turn.take("role", ROLE)?.ok_or_else(|| missing(&path, ROLE))?;
    match role.as_str() {
        "developer" => Ok("system".to_owned()),
        "system" | "user" | "assistant" => Ok(role),
        other => Err(Problem::bad(&path, format!("the role `{other}` is not supported; expected {ROLE}"))),
    }
}

fn content(turn: &mut Fields, role: &str) -> Result<Option<String>, Problem> {
    let path = turn.path("content");
    match turn.value("content") {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(Value::Array(parts)) => {
            let text = |(at, one)| part(Fields::of(format!("{path}[{at}]"), one)?, role);
            parts.into_iter().enumerate().map(text).collect::<Result<Vec<_>, _>>().map(|parts| Some(parts.concat()))
        }
        Some(other) => Err(wrong(&path, &other, CONTENT)),
    }
}

/// The text of a part.
fn part(mut part: Fields, role: &str) -> Result<String, Problem> {
    const KIND: &str = "text, or refusal in a turn of the assistant";
    let path = part.path("type");
    let kind: String = part.take("type", KIND)?.ok_or_else(|| missing(&path, KIND))?;
    let field = match kind.as_str() {
        "text" => "text",
        "refusal" if role == "assistant" => "refusal",
        other => {
            let message = format!("content of the type `{other}` is not supported here; expected {KIND}");
            return Err(Problem::bad(&path, message));
        }
    };
    let path = part.path(field);
    let text = part.take(field, "a text")?.ok_or_else(|| missing(&path, "a text"))?;
    part.refuse_rest(neutral::PART)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(messages: Value) -> Result<(Vec<Message>, String), Problem> {
        conversation(&mut Fields::of(String::new(), json!({"messages": messages})).unwrap())
    }

    fn content_of(turn: Value) -> String {
        read(json!([{"role": "user", "content": "a"}, turn, {"role": "user", "content": "b"}])).unwrap().0[1]
            .content
            .clone()
    }

    #[test]
    fn a_refusal_of_the_assistant_is_a_turn() {
        for turn in [
            json!({"role": "assistant", "content": "No.", "refusal": null}),
            json!({"role": "assistant", "content": null, "refusal": "No."}),
            json!({"role": "assistant", "refusal": "No."}),
            json!({"role": "assistant", "content": "No.", "refusal": "No."}),
            json!({"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]}),
            json!({"role": "assistant", "content": "No.", "tool_calls": [], "function_call": null, "audio": null,
                "annotations": [], "name": null, "reasoning_content": ""}),
        ] {
            assert_eq!(content_of(turn.clone()), "No.", "{turn}");
        }
        let both = json!({"role": "assistant", "content": "Sure.\nNo.", "refusal": "No."});
        assert_eq!(content_of(both), "Sure.\nNo.", "text that was released before the refusal");
    }

    #[test]
    fn a_wrong_field_is_named() {
        let user = |content: Value| json!({"role": "user", "content": content});
        for (messages, param, words) in [
            (json!([]), "messages", "the user's"),
            (json!({}), "messages", "expected a list of turns"),
            (json!(null), "messages", "is missing"),
            (json!([{"role": "assistant", "content": "x"}]), "messages", "the user's"),
            (json!(["x"]), "messages[0]", "expected an object"),
            (json!([{"content": "x"}]), "messages[0].role", "is missing"),
            (json!([{"role": "tool", "content": "x"}, user(json!("x"))]), "messages[0].role", "`tool`"),
            (json!([user(json!(5))]), "messages[0].content", "found 5"),
            (json!([user(json!(null))]), "messages[0].content", "is missing"),
            (
                json!([user(json!([{"type": "image_url", "image_url": {}}]))]),
                "messages[0].content[0].type",
                "image_url",
            ),
            (json!([user(json!([{"type": "refusal", "refusal": "x"}]))]), "messages[0].content[0].type", "refusal"),
            (json!([user(json!([{"type": "text"}]))]), "messages[0].content[0].text", "is missing"),
            (json!([user(json!([{"type": "text", "text": "x", "x": 1}]))]), "messages[0].content[0].x", "not known"),
            (json!([{"role": "user", "content": "x", "refusal": "y"}]), "messages[0].refusal", "not supported"),
            (json!([{"role": "user", "content": "x", "name": "eve"}]), "messages[0].name", "not supported"),
            (json!([{"role": "assistant", "content": null}, user(json!("x"))]), "messages[0].content", "is missing"),
            (
                json!([{"role": "assistant", "content": "", "tool_calls": [{"id": "1"}]}, user(json!("x"))]),
                "messages[0].tool_calls",
                "not supported",
            ),
        ] {
            let error = read(messages.clone()).unwrap_err();
            assert_eq!(error.param.as_deref(), Some(param), "{messages}: {error:?}");
            assert!(error.message.contains(words), "{words}: {error:?}");
        }
    }
}
