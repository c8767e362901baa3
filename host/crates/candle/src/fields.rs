//! The keys of a JSON file, with errors that name file, key, what was found and what is expected.

use crate::CandleError;
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

/// An object of a JSON file.
pub(crate) struct Fields<'a> {
    pub(crate) path: PathBuf,
    pub(crate) map: &'a Map<String, Value>,
}

impl<'a> Fields<'a> {
    pub(crate) fn new(path: &Path, value: &'a Value) -> Result<Self, CandleError> {
        match value.as_object() {
            Some(map) => Ok(Self { path: path.to_owned(), map }),
            None => Err(CandleError::Field {
                path: path.to_owned(),
                field: "the file".into(),
                found: kind_of(value).into(),
                expected: "a JSON object".into(),
            }),
        }
    }

    /// This file, inside one key that holds an object.
    pub(crate) fn inside(&self, key: &str) -> Result<Option<Fields<'a>>, CandleError> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Object(map)) => Ok(Some(Fields { path: self.path.clone(), map })),
            Some(other) => Err(self.wrong(key, kind_of(other), "an object")),
        }
    }

    pub(crate) fn get(&self, key: &str) -> Option<&'a Value> {
        self.map.get(key).filter(|v| !v.is_null())
    }

    /// All keys that are not null.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &'a str> {
        self.map.iter().filter(|(_, value)| !value.is_null()).map(|(key, _)| key.as_str())
    }

    pub(crate) fn wrong(&self, field: &str, found: impl ToString, expected: impl Into<String>) -> CandleError {
        let (path, field) = (self.path.clone(), field.to_owned());
        CandleError::Field { path, field, found: found.to_string(), expected: expected.into() }
    }

    /// A number of 32 bits: the product of two fits 64, so that no width of heads wraps to that of a tensor.
    pub(crate) fn size(&self, key: &str) -> Result<usize, CandleError> {
        const EXPECTED: &str = "a whole number above 0, and below 2^32";
        let value = self.get(key).ok_or_else(|| self.wrong(key, "missing", EXPECTED))?;
        match value.as_u64().and_then(|n| u32::try_from(n).ok()) {
            Some(n) if n > 0 => Ok(n as usize),
            _ => Err(self.wrong(key, value, EXPECTED)),
        }
    }

    pub(crate) fn size_or(&self, key: &str, default: usize) -> Result<usize, CandleError> {
        if self.get(key).is_none() { Ok(default) } else { self.size(key) }
    }

    pub(crate) fn number(&self, key: &str) -> Result<f64, CandleError> {
        let value = self.get(key).ok_or_else(|| self.wrong(key, "missing", "a number above 0"))?;
        match value.as_f64() {
            Some(n) if n > 0.0 && n.is_finite() => Ok(n),
            _ => Err(self.wrong(key, value, "a number above 0")),
        }
    }

    pub(crate) fn number_or(&self, key: &str, default: f64) -> Result<f64, CandleError> {
        if self.get(key).is_none() { Ok(default) } else { self.number(key) }
    }

    pub(crate) fn flag_or(&self, key: &str, default: bool) -> Result<bool, CandleError> {
        let Some(value) = self.get(key) else { return Ok(default) };
        value.as_bool().ok_or_else(|| self.wrong(key, value, "true or false"))
    }

    /// Ids given as one number or a list; none if the key is not there.
    pub(crate) fn token_ids(&self, key: &str) -> Result<Vec<u32>, CandleError> {
        let wrong = |found: &Value| self.wrong(key, found, "a token's id, or a list of ids");
        let one = |found: &Value| found.as_u64().and_then(|id| u32::try_from(id).ok()).ok_or_else(|| wrong(found));
        match self.get(key) {
            None => Ok(Vec::new()),
            Some(Value::Array(ids)) => ids.iter().map(one).collect(),
            Some(id) => Ok(vec![one(id)?]),
        }
    }

    pub(crate) fn text_or(&self, key: &str, default: &'a str) -> Result<&'a str, CandleError> {
        let Some(value) = self.get(key) else { return Ok(default) };
        value.as_str().ok_or_else(|| self.wrong(key, value, "a string"))
    }
}

pub(crate) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
