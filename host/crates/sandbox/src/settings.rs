//! Settings that a component takes, and the values that it gets.

use crate::SandboxError;
use inferenceguard_bundle::SettingValue;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One setting a component takes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Setting {
    /// Its name, in kebab-case.
    pub name: String,
    /// The value where the operator gives none.
    pub default: SettingValue,
    /// One sentence, with unit and range.
    pub help: String,
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
    fitted(value, &setting.default).ok_or_else(|| SandboxError::SettingType {
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

/// This value as the type of `default`: an integer is a number, plain texts weigh 1.
fn fitted(value: &SettingValue, default: &SettingValue) -> Option<SettingValue> {
    match (value, default) {
        #[expect(clippy::cast_precision_loss, reason = "a setting this large is rounded like any number literal")]
        (SettingValue::Integer(value), SettingValue::Number(_)) => Some(SettingValue::Number(*value as f64)),
        (SettingValue::Texts(texts), SettingValue::Weighted(_)) => {
            Some(SettingValue::Weighted(texts.iter().map(|text| (text.clone(), 1.0)).collect()))
        }
        (value, default) if std::mem::discriminant(value) == std::mem::discriminant(default) => Some(value.clone()),
        _ => None,
    }
}
