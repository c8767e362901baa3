//! A tokenizer's vocabulary without its control tokens: what the words of clients and models may become.

use inferenceguard_model::Token;
use serde_json::Value;
use std::collections::BTreeSet;
use tokenizers::{Model, ModelWrapper};

/// Put before a spelling that must not be found any more. No text is normalised to it.
const HIDDEN: &str = "\u{10fffe}";

/// What words may become.
pub(crate) struct Words {
    pub(crate) model: ModelWrapper,
    /// What stands for unknown characters, if anything does.
    pub(crate) unknown: Option<Token>,
}

/// The same vocabulary, in which these tokens are spelled like nothing; `None` if it holds none of them.
///
/// Ids stay as they are. What stands for unknown characters still does.
pub(crate) fn without(model: &ModelWrapper, tokens: &BTreeSet<Token>) -> tokenizers::Result<Option<Words>> {
    if !tokens.iter().any(|id| model.id_to_token(*id).is_some()) {
        return Ok(None);
    }
    let mut value = serde_json::to_value(model)?;
    let hidden = hide(&mut value["vocab"], tokens);
    if let Some(merges) = value["merges"].as_array_mut() {
        merges.retain(|merge| !merge_parts(merge).is_some_and(|parts| parts.iter().any(|part| hidden.contains(part))));
    }
    let named = value["unk_token"].as_str().map(str::to_owned);
    let unknown = named.as_deref().and_then(|name| model.token_to_id(name));
    let unknown = unknown.or_else(|| value["unk_id"].as_u64().and_then(|id| Token::try_from(id).ok()));
    if let Some(named) = named.filter(|named| hidden.contains(named)) {
        value["unk_token"] = format!("{HIDDEN}{named}").into();
    }
    Ok(Some(Words { model: serde_json::from_value(value)?, unknown }))
}

/// Respells entries of a vocabulary; returns how they were spelled.
fn hide(vocab: &mut Value, tokens: &BTreeSet<Token>) -> BTreeSet<String> {
    let is_hidden = |id: Option<u64>| id.and_then(|id| Token::try_from(id).ok()).is_some_and(|id| tokens.contains(&id));
    let mut hidden = BTreeSet::new();
    match vocab {
        Value::Object(entries) => {
            let found = entries.iter().filter(|(_, id)| is_hidden(id.as_u64())).map(|(spelled, _)| spelled.clone());
            hidden.extend(found);
            for spelled in &hidden {
                let id = entries.remove(spelled).unwrap_or_default();
                entries.insert(format!("{HIDDEN}{spelled}"), id);
            }
        }
        // Unigram: pieces with scores, in order of their ids.
        Value::Array(pieces) => {
            let found = pieces.iter_mut().enumerate().filter(|(id, _)| is_hidden(Some(*id as u64)));
            for (_, piece) in found {
                if let Some(spelled) = piece[0].as_str().map(str::to_owned) {
                    piece[0] = format!("{HIDDEN}{spelled}").into();
                    hidden.insert(spelled);
                }
            }
        }
        _ => {}
    }
    hidden
}

/// Both sides of a merge, and what it makes.
fn merge_parts(merge: &Value) -> Option<[String; 3]> {
    let (left, right) = match merge {
        Value::Array(pair) => (pair.first()?.as_str()?, pair.get(1)?.as_str()?),
        Value::String(pair) => pair.split_once(' ')?,
        _ => return None,
    };
    Some([left.to_owned(), right.to_owned(), format!("{left}{right}")])
}
