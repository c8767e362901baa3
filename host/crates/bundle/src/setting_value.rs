//! A setting's value, and how it is read from a text file: an error says what was found and what is expected.

use serde::{
    Serialize,
    de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use std::{collections::BTreeMap, fmt};

const EXPECTED: &str =
    "true or false, a number, a text, a list of texts, or texts with weights such as { a = 1.0 } or [[\"a\", 1.0]]";

/// A setting's value. In a text file: `true`, `3`, `0.5`, `"a"`, `["a", "b"]`, and texts with weights as `{ a = 1.0 }` or
/// `[["a", 1.0]]`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum SettingValue {
    /// Yes or no.
    Flag(bool),
    /// A whole number.
    Integer(i64),
    /// A number.
    Number(f64),
    /// A text.
    Text(String),
    /// Texts.
    Texts(Vec<String>),
    /// Texts with weights.
    Weighted(Vec<(String, f64)>),
}

impl SettingValue {
    /// The name of its type, for messages.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Flag(_) => "a flag (true or false)",
            Self::Integer(_) => "an integer",
            Self::Number(_) => "a number",
            Self::Text(_) => "a text",
            Self::Texts(_) => "a list of texts",
            Self::Weighted(_) => "a list of texts with weights",
        }
    }
}

impl<'de> Deserialize<'de> for SettingValue {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Whole)
    }
}

struct Whole;

impl<'de> Visitor<'de> for Whole {
    type Value = SettingValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(EXPECTED)
    }

    fn visit_bool<E>(self, value: bool) -> Result<SettingValue, E> {
        Ok(SettingValue::Flag(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<SettingValue, E> {
        Ok(SettingValue::Integer(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<SettingValue, E> {
        let fits = i64::try_from(value).map(SettingValue::Integer);
        fits.map_err(|_| E::custom(format_args!("found {value}; expected at most {}", i64::MAX)))
    }

    fn visit_f64<E>(self, value: f64) -> Result<SettingValue, E> {
        Ok(SettingValue::Number(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<SettingValue, E> {
        Ok(SettingValue::Text(value.to_owned()))
    }

    /// Texts, or pairs of a text and its weight; not both.
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<SettingValue, A::Error> {
        let (mut texts, mut weighted) = (Vec::new(), Vec::new());
        while let Some(Entry(text, weight)) = list.next_element()? {
            match weight {
                Some(weight) => weighted.push((text, weight)),
                None => texts.push(text),
            }
        }
        match (texts.is_empty(), weighted.is_empty()) {
            (_, true) => Ok(SettingValue::Texts(texts)),
            (true, false) => Ok(SettingValue::Weighted(weighted)),
            (false, false) => {
                Err(A::Error::custom("found texts with and without weights in one list; expected one kind"))
            }
        }
    }

    /// Texts with weights. A date arrives as a map, too.
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<SettingValue, A::Error> {
        let mut weighted = Vec::new();
        while let Some(text) = map.next_key::<String>()? {
            let weight = map
                .next_value()
                .map_err(|_| A::Error::custom(format_args!("found a table or a date; expected {EXPECTED}")))?;
            weighted.push((text, weight));
        }
        Ok(SettingValue::Weighted(weighted))
    }
}

/// One text of a list, and its weight.
struct Entry(String, Option<f64>);

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(OfList)
    }
}

struct OfList;

impl<'de> Visitor<'de> for OfList {
    type Value = Entry;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, or a text and its weight such as [\"a\", 1.0]")
    }

    fn visit_str<E>(self, value: &str) -> Result<Entry, E> {
        Ok(Entry(value.to_owned(), None))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut pair: A) -> Result<Entry, A::Error> {
        let mut read = || Some((pair.next_element().ok()??, pair.next_element().ok()??));
        match read() {
            Some((text, weight)) if matches!(pair.next_element::<IgnoredAny>(), Ok(None)) => {
                Ok(Entry(text, Some(weight)))
            }
            _ => Err(A::Error::custom(
                "found another list in a list; expected a text and its weight such as [\"a\", 1.0]",
            )),
        }
    }
}

/// Reads settings by name, such as a table of a manifest; an error names the setting.
///
/// # Errors
/// The error of the reader; for a value that no setting has, the allowed types.
pub(crate) fn by_name<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<String, SettingValue>, D::Error> {
    from.deserialize_map(ByName)
}

struct ByName;

impl<'de> Visitor<'de> for ByName {
    type Value = BTreeMap<String, SettingValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("settings by name, such as { weight = 0.5 }")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut settings = BTreeMap::new();
        while let Some(name) = map.next_key::<String>()? {
            let value =
                map.next_value().map_err(|error| A::Error::custom(format_args!("setting `{name}`: {error}")))?;
            settings.insert(name, value);
        }
        Ok(settings)
    }
}
