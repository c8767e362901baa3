//! Tokens that were added to a tokenizer, as the files beside tokenizer.json name them.

use crate::{CandleError, ModelFiles};
use inferenceguard_model::Token;
use serde_json::Value;
use std::path::PathBuf;
use tokenizers::AddedToken;

/// One token, and the file that names it.
struct Added {
    id: Token,
    token: AddedToken,
    from: PathBuf,
}

/// Gives a tokenizer the tokens that it lacks and the files beside it name, as transformers does.
///
/// # Errors
/// [`CandleError::Field`] where a file gives a token another id than the tokenizer has or can give it.
pub(crate) fn join(files: &ModelFiles, tokenizer: &mut tokenizers::Tokenizer) -> Result<(), CandleError> {
    let mut all = listed(files)?;
    all.append(&mut described(files)?);
    all.sort_by_key(|added| added.id);
    for Added { id, token, from } in all {
        let field = token.content.clone();
        if tokenizer.token_to_id(&field).is_none() {
            tokenizer.add_tokens(&[token]);
        }
        let has = tokenizer.token_to_id(&field);
        if has != Some(id) {
            let expected = has.map_or("a token".to_owned(), |has| format!("{has}, its id in the tokenizer"));
            return Err(CandleError::Field { path: from, field, found: id.to_string(), expected });
        }
    }
    Ok(())
}

/// added_tokens.json: from tokens to ids.
fn listed(files: &ModelFiles) -> Result<Vec<Added>, CandleError> {
    const NAME: &str = "added_tokens.json";
    let from = || files.path().join(NAME);
    let one = |(content, id): (&String, &Value)| {
        let id = id.as_u64().and_then(|id| Token::try_from(id).ok()).ok_or_else(|| wrong(from(), content, id))?;
        Ok(Added { id, token: AddedToken::from(content.clone(), true).normalized(false), from: from() })
    };
    object(files, NAME, None)?.as_object().into_iter().flatten().map(one).collect()
}

/// `added_tokens_decoder` of tokenizer_config.json: from ids to tokens.
fn described(files: &ModelFiles) -> Result<Vec<Added>, CandleError> {
    const NAME: &str = "tokenizer_config.json";
    let from = || files.path().join(NAME);
    let one = |(id, token): (&String, &Value)| {
        let content = token.get("content").and_then(Value::as_str).filter(|content| !content.is_empty());
        let (Ok(id), Some(content)) = (id.parse::<Token>(), content) else { return Err(wrong(from(), id, token)) };
        let flag = |key: &str| token.get(key).and_then(Value::as_bool).unwrap_or(false);
        let token = AddedToken::from(content, flag("special"))
            .normalized(flag("normalized"))
            .lstrip(flag("lstrip"))
            .rstrip(flag("rstrip"))
            .single_word(flag("single_word"));
        Ok(Added { id, token, from: from() })
    };
    object(files, NAME, Some("added_tokens_decoder"))?.as_object().into_iter().flatten().map(one).collect()
}

/// The object in a file, or under one of its keys; null if there is none.
fn object(files: &ModelFiles, name: &str, key: Option<&str>) -> Result<Value, CandleError> {
    if !files.has(name) {
        return Ok(Value::Null);
    }
    let value = files.json(name, "tokens that were added")?;
    let value = key.map_or_else(|| value.clone(), |key| value.get(key).cloned().unwrap_or_default());
    match value {
        Value::Object(_) | Value::Null => Ok(value),
        other => Err(wrong(files.path().join(name), key.unwrap_or("the file"), &other)),
    }
}

fn wrong(path: PathBuf, field: &str, found: &Value) -> CandleError {
    let (field, found) = (field.to_owned(), found.to_string());
    CandleError::Field { path, field, found, expected: "ids and the tokens that were added".into() }
}
