//! JSON objects that clients send. A key that stands twice is an error. Each reader takes the fields it knows by their names; what
//! is left at the end is unknown.
//!
//! A field with the value `null` counts as left out, at any depth.

use crate::Problem;
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::{
    cell::RefCell,
    fmt::{self, Display},
};

/// The most characters of a value that an error repeats.
const SHOWN: usize = 60;

/// The fields of an object that were not taken yet.
#[derive(Debug)]
pub struct Fields {
    /// The object's place in the body, such as `messages[0]`; empty for the body itself.
    path: String,
    left: Map<String, Value>,
}

impl Fields {
    /// Parses a body.
    ///
    /// # Errors
    /// 400 if it is not a JSON object in UTF-8, or holds a key twice at any depth.
    pub fn parse(body: &[u8]) -> Result<Self, Problem> {
        let text = std::str::from_utf8(body).map_err(|error| broken(format!("the body is not UTF-8: {error}")))?;
        let twice = RefCell::new(None);
        let mut json = serde_json::Deserializer::from_str(text.strip_prefix('\u{feff}').unwrap_or(text));
        let tree = Tree { path: &Path::Body, twice: &twice };
        let value = tree.deserialize(&mut json).and_then(|value| json.end().map(|()| value));
        match (value, twice.into_inner()) {
            (Ok(Value::Object(left)), _) => Ok(Self { path: String::new(), left }),
            (Ok(other), _) => Err(broken(format!("the body is {}; expected an object", shown(&other)))),
            (Err(_), Some(path)) => {
                Err(Problem::with_code("duplicate_parameter", &path, format!("`{path}` stands twice; give it once")))
            }
            (Err(error), None) => Err(broken(format!("the body is no JSON: {error}"))),
        }
    }

    /// The fields of a value at this place, which must be an object.
    ///
    /// # Errors
    /// [`Problem`] for another value.
    pub fn of(path: String, value: Value) -> Result<Self, Problem> {
        match value {
            Value::Object(left) => Ok(Self { path, left }),
            other => Err(wrong(&path, &other, "an object")),
        }
    }

    /// The place of a field of this object in the body.
    pub fn path(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// Takes a field of any type.
    pub fn value(&mut self, name: &str) -> Option<Value> {
        self.left.remove(name).filter(|value| !value.is_null())
    }

    /// Takes a field of type `T`; an error says `expected`.
    ///
    /// # Errors
    /// [`Problem`] for a value of another type.
    pub fn take<T: DeserializeOwned>(&mut self, name: &str, expected: &str) -> Result<Option<T>, Problem> {
        let Some(value) = self.value(name) else { return Ok(None) };
        let read = T::deserialize(&value).map_err(|_| wrong(&self.path(name), &value, expected));
        read.map(Some)
    }

    /// Takes a field that is an object.
    ///
    /// # Errors
    /// [`Problem`] for a value of another type.
    pub fn object(&mut self, name: &str) -> Result<Option<Self>, Problem> {
        let path = self.path(name);
        self.value(name).map(|value| Self::of(path, value)).transpose()
    }

    /// The fields that were not taken and are not `null`: name, place in the body, value.
    pub fn rest(self) -> Vec<(String, String, Value)> {
        let left = self.left.iter().filter(|(_, value)| !value.is_null());
        left.map(|(name, value)| (name.clone(), self.path(name), value.clone())).collect()
    }
}

/// The error for a value of another type than expected.
pub fn wrong(path: &str, found: &Value, expected: &str) -> Problem {
    Problem::with_code("invalid_type", path, format!("`{path}`: found {}; expected {expected}", shown(found)))
}

/// The error for a missing field.
pub fn missing(path: &str, expected: &str) -> Problem {
    Problem::with_code("missing_required_parameter", path, format!("`{path}` is missing; expected {expected}"))
}

fn broken(message: String) -> Problem {
    Problem::new("invalid_json", message)
}

/// The beginning of a value as JSON.
fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// The place of a value in the body.
enum Path<'p> {
    Body,
    Field(&'p Path<'p>, &'p str),
    Item(&'p Path<'p>, usize),
}

impl Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Body => Ok(()),
            Self::Field(Self::Body, name) => f.write_str(name),
            Self::Field(parent, name) => write!(f, "{parent}.{name}"),
            Self::Item(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

/// Reads a value of any type. If an object in it has a key twice, `twice` gets the key's place.
struct Tree<'p> {
    path: &'p Path<'p>,
    twice: &'p RefCell<Option<String>>,
}

impl<'de> DeserializeSeed<'de> for Tree<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Tree<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = items.next_element_seed(Tree { path: &Path::Item(self.path, values.len()), ..self })? {
            values.push(value);
        }
        Ok(values.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut values = Map::new();
        while let Some(name) = fields.next_key::<String>()? {
            let path = Path::Field(self.path, &name);
            if values.contains_key(&name) {
                self.twice.replace(Some(path.to_string()));
                return Err(A::Error::custom("a key stands twice"));
            }
            let value = fields.next_value_seed(Tree { path: &path, ..self })?;
            values.insert(name, value);
        }
        Ok(values.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_stands_twice_is_named_at_any_depth() {
        for (body, path) in [
            (r#"{"n": 1, "n": 1}"#, "n"),
            (r#"{"n": null, "\u006e": 1}"#, "n"),
            (r#"{"inferenceguard": {"budgets": {"harm": 1, "harm": 9}}}"#, "inferenceguard.budgets.harm"),
            (r#"{"messages": [{}, {"content": [{"text": "a", "text": "b"}]}]}"#, "messages[1].content[0].text"),
            (r#"{"metadata": {"a": {"b": {"c": 1, "c": 2}}}}"#, "metadata.a.b.c"),
        ] {
            let error = Fields::parse(body.as_bytes()).unwrap_err();
            assert_eq!((error.code, error.param.as_deref()), ("duplicate_parameter", Some(path)), "{body}");
            assert!(error.message.contains(path), "{error:?}");
        }
        assert!(Fields::parse(br#"{"a": {"x": 1}, "b": {"x": 1}, "c": [{"x": 1}, {"x": 1}]}"#).is_ok());
    }

    #[test]
    fn a_body_that_is_no_object_is_refused_with_a_message() {
        let deep = format!("{}1{}", "[".repeat(500), "]".repeat(500));
        let cases: [(&[u8], &str); 8] = [
            (b"", "no JSON"),
            (b"{", "no JSON"),
            (b"{} {}", "no JSON"),
            (b"[]", "expected an object"),
            (b"null", "expected an object"),
            (b"\xff", "not UTF-8"),
            (br#"{"n": 1e999}"#, "no JSON"),
            (deep.as_bytes(), "no JSON"),
        ];
        for (body, words) in cases {
            let error = Fields::parse(body).unwrap_err();
            assert!(error.code == "invalid_json" && error.message.contains(words), "{words}: {error:?}");
        }
        assert!(Fields::parse("\u{feff}{}".as_bytes()).is_ok(), "a byte order mark is skipped");
    }

    #[test]
    fn errors_repeat_only_the_beginning_of_a_value() {
        let mut fields = Fields::parse(format!(r#"{{"n": "{}"}}"#, "é".repeat(500)).as_bytes()).unwrap();
        let error = fields.take::<u32>("n", "a whole number").unwrap_err();
        assert!(
            error.message.chars().count() < 120 && error.message.contains("…; expected a whole number"),
            "{error:?}"
        );
    }
}
