//! Settings: what a component takes, and what an operator gives.

use crate::SandboxError;
use serde::{
    Deserialize, Serialize,
    de::{Deserializer, Error, MapAccess, Visitor},
};
use std::{collections::BTreeMap, fmt};

/// A setting's value. In a text file: `true`, `3`, `0.5`, `"a"`, `["a", "b"]`, `[["a", 1.0]]`.
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

    /// This value as the type of `default`: an integer is a number, plain texts weigh 1.
    fn fitted(&self, default: &Self) -> Option<Self> {
        match (self, default) {
            #[expect(clippy::cast_precision_loss, reason = "a setting this large is rounded like any number literal")]
            (Self::Integer(value), Self::Number(_)) => Some(Self::Number(*value as f64)),
            (Self::Texts(texts), Self::Weighted(_)) => {
                Some(Self::Weighted(texts.iter().map(|text| (text.clone(), 1.0)).collect()))
            }
            (value, default) if std::mem::discriminant(value) == std::mem::discriminant(default) => Some(value.clone()),
            _ => None,
        }
    }
}

/// One setting a component takes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Setting {
    /// Its name, in kebab-case.
    pub name: String,
    /// Used when nothing is said.
    pub default: SettingValue,
    /// One sentence, with unit and range.
    pub help: String,
}

/// Reads settings by name, such as a table of a manifest; an error names the setting.
///
/// # Errors
/// What the reader says, and for a value of no setting's type, what is allowed.
pub fn by_name<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<String, SettingValue>, D::Error> {
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

/// What the component gets: every setting it lists, in its order, with the operator's value or the default.
pub(crate) fn resolve(
    component: &str,
    takes: &[Setting],
    given: &BTreeMap<String, SettingValue>,
) -> Result<Vec<(String, SettingValue)>, SandboxError> {
    if let Some(name) = given.keys().find(|name| takes.iter().all(|setting| setting.name != **name)) {
        return Err(unknown(component, name, takes));
    }
    takes.iter().map(|setting| Ok((setting.name.clone(), value_of(component, setting, given)?))).collect()
}

fn value_of(
    component: &str,
    setting: &Setting,
    given: &BTreeMap<String, SettingValue>,
) -> Result<SettingValue, SandboxError> {
    let Some(value) = given.get(&setting.name) else { return Ok(setting.default.clone()) };
    value.fitted(&setting.default).ok_or_else(|| SandboxError::SettingType {
        component: component.to_owned(),
        name: setting.name.clone(),
        found: value.kind(),
        expected: setting.default.kind(),
    })
}

fn unknown(component: &str, name: &str, takes: &[Setting]) -> SandboxError {
    let names: Vec<String> = takes.iter().map(|setting| format!("`{}`", setting.name)).collect();
    let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    SandboxError::UnknownSetting { component: component.to_owned(), name: name.to_owned(), known }
}
