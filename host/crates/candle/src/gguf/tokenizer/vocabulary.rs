//! The vocabulary in a GGUF file: each id's token, and what that token is.

use super::{Gguf, Rules, Value};
use crate::CandleError;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;

/// What a token is, by the numbers of llama.cpp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Normal,
    /// Stands for what the vocabulary lacks.
    Unknown,
    Control,
    /// Added by its authors; the model may generate it.
    Added,
    /// Only fills up the vocabulary.
    Unused,
    /// Stands for one byte.
    Byte,
}

impl Role {
    pub(super) fn of(number: i64) -> Option<Self> {
        Some(match number {
            1 => Self::Normal,
            2 => Self::Unknown,
            3 => Self::Control,
            4 => Self::Added,
            5 => Self::Unused,
            6 => Self::Byte,
            _ => return None,
        })
    }
}

/// The lists of a tokenizer: one entry for each id.
pub(super) struct Vocabulary<'a> {
    pub(super) gguf: &'a Gguf,
    pub(super) tokens: &'a [String],
    pub(super) roles: Vec<Role>,
}

impl<'a> Vocabulary<'a> {
    pub(super) fn of(gguf: &'a Gguf) -> Result<Self, CandleError> {
        const TYPES: &str = "tokenizer.ggml.token_type";
        let tokens = gguf.texts("tokenizer.ggml.tokens")?;
        let roles = match gguf.value(TYPES) {
            None => vec![Role::Normal; tokens.len()],
            Some(Value::Wholes(types)) if types.len() == tokens.len() => {
                let roles = types.iter().map(|number| Role::of(*number)).collect::<Option<_>>();
                roles.ok_or_else(|| gguf.wrong(TYPES, "numbers from 1 to 6"))?
            }
            Some(_) => return Err(gguf.wrong(TYPES, &format!("a list of {} whole numbers", tokens.len()))),
        };
        let vocabulary = Self { gguf, tokens, roles };
        vocabulary.refuse_twins()?;
        Ok(vocabulary)
    }

    fn refuse_twins(&self) -> Result<(), CandleError> {
        let mut ids = BTreeMap::new();
        for (id, token) in self.tokens.iter().enumerate() {
            if let Some(other) = ids.insert(token, id) {
                let found = format!("{token:?} is token {other} and token {id}");
                let (path, field) = (self.gguf.path.clone(), "tokenizer.ggml.tokens".to_owned());
                return Err(CandleError::Field { path, field, found, expected: "every token once".into() });
            }
        }
        Ok(())
    }

    /// Every token with its id.
    pub(super) fn ids(&self) -> impl Iterator<Item = (usize, &'a str, Role)> {
        self.tokens.iter().zip(&self.roles).enumerate().map(|(id, (token, role))| (id, token.as_str(), *role))
    }

    /// Ids from the first up to the last ordinary one. What follows is added behind it, or only fills up.
    pub(super) fn ordinary(&self) -> Json {
        let after =
            |roles: &[Role], ordinary: fn(&Role) -> bool| roles.iter().rposition(ordinary).map_or(0, |at| at + 1);
        let used = after(&self.roles, |role| *role != Role::Unused);
        let kept = after(&self.roles[..used], |role| !matches!(role, Role::Control | Role::Added));
        self.ids()
            .take(kept)
            .map(|(id, token, _)| (token.to_owned(), Json::from(id)))
            .collect::<serde_json::Map<_, _>>()
            .into()
    }

    /// A token that a key names by its id.
    pub(super) fn named(&self, key: &str) -> Result<Option<(usize, &'a str)>, CandleError> {
        let key = format!("tokenizer.ggml.{key}");
        let Some(value) = self.gguf.value(&key) else { return Ok(None) };
        let id = match value {
            Value::Whole(id) => usize::try_from(*id).ok(),
            _ => None,
        };
        let token = id.and_then(|id| Some((id, self.tokens.get(id)?.as_str())));
        let expected = || self.gguf.wrong(&key, &format!("an id below {}", self.tokens.len()));
        token.map(Some).ok_or_else(expected)
    }

    /// Tokens that are found in text before it is split: those that control, and those that its authors added.
    fn added(&self) -> Vec<Json> {
        let special = |role| matches!(role, Role::Control | Role::Unknown);
        let added = self.ids().filter(|(_, _, role)| special(*role) || *role == Role::Added);
        let token = |(id, content, role): (usize, &str, Role)| {
            json!({
                "id": id, "content": content, "special": special(role),
                "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
            })
        };
        added.map(token).collect()
    }

    /// What is put around a text: the beginning and the end token, as the metadata say.
    fn frame(&self, begins: bool) -> Result<Json, CandleError> {
        let around = |flag: &str, default: bool, key: &str| {
            let named = self.named(key)?;
            let wanted = self.gguf.flag(&format!("tokenizer.ggml.{flag}"), default)?;
            if wanted && named.is_none() && self.gguf.value(&format!("tokenizer.ggml.{flag}")).is_some() {
                return Err(self
                    .gguf
                    .wrong(&format!("tokenizer.ggml.{key}"), &format!("an id, because {flag} is true")));
            }
            Ok(named.filter(|_| wanted))
        };
        let first = around("add_bos_token", begins, "bos_token_id")?;
        let last = around("add_eos_token", false, "eos_token_id")?;
        if first.is_none() && last.is_none() {
            return Ok(Json::Null);
        }
        let part = |(_, token): (usize, &str)| json!({"SpecialToken": {"id": token, "type_id": 0}});
        let text = json!({"Sequence": {"id": "A", "type_id": 0}});
        let single: Vec<Json> = first.map(part).into_iter().chain([text.clone()]).chain(last.map(part)).collect();
        let special = first.into_iter().chain(last);
        let special =
            special.map(|(id, token)| (token.to_owned(), json!({"id": token, "ids": [id], "tokens": [token]})));
        let special: serde_json::Map<String, Json> = special.collect();
        let pair = json!([text, {"Sequence": {"id": "B", "type_id": 1}}]);
        Ok(json!({"type": "TemplateProcessing", "single": single, "pair": pair, "special_tokens": special}))
    }

    pub(super) fn file(&self, rules: Rules) -> Result<Json, CandleError> {
        Ok(json!({
            "version": "1.0", "truncation": null, "padding": null,
            "added_tokens": self.added(),
            "normalizer": rules.normalizer,
            "pre_tokenizer": rules.pre_tokenizer,
            "post_processor": self.frame(rules.begins)?,
            "decoder": rules.decoder,
            "model": rules.model,
        }))
    }
}
