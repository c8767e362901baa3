//! Reads settings, with errors that name what was found and what was expected.

use crate::{Description, LatentSelector, Value};
use std::{collections::BTreeMap, fmt::Display, ops::RangeBounds};

/// Settings by name: what the operator gave, over the defaults of the description.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Settings {
    values: BTreeMap<String, Value>,
}

impl Settings {
    /// Lays `given` over the defaults of `description`.
    ///
    /// # Errors
    /// A message for the operator when a name is unknown, given twice, or its value is of another kind.
    pub fn over_defaults(description: &Description, given: Vec<(String, Value)>) -> Result<Self, String> {
        let mut values: BTreeMap<_, _> =
            description.settings.iter().map(|setting| (setting.name.clone(), setting.default.clone())).collect();
        let mut seen = Vec::new();
        for (name, value) in given {
            let Some(default) = values.get(&name) else { return Err(unknown(&name, description)) };
            let value = fit(&name, value, default)?;
            if seen.contains(&name) {
                return Err(format!("setting `{name}` is given twice; give it once"));
            }
            values.insert(name.clone(), value);
            seen.push(name);
        }
        Ok(Self { values })
    }

    fn get(&self, name: &str) -> Result<&Value, String> {
        self.values.get(name).ok_or_else(|| format!("setting `{name}` is read but not described; add it to `describe`"))
    }

    /// A flag.
    ///
    /// # Errors
    /// A message for the operator when the value is not a flag.
    pub fn flag(&self, name: &str) -> Result<bool, String> {
        match self.get(name)? {
            Value::Flag(value) => Ok(*value),
            other => Err(wrong_kind(name, other, "a flag (true or false)")),
        }
    }

    /// A whole number in `range`.
    ///
    /// # Errors
    /// A message for the operator when it is something else, or outside.
    pub fn integer(&self, name: &str, range: impl RangeBounds<u32>) -> Result<u32, String> {
        let Value::Integer(found) = self.get(name)? else {
            return Err(wrong_kind(name, self.get(name)?, "a whole number"));
        };
        u32::try_from(*found)
            .ok()
            .filter(|value| range.contains(value))
            .ok_or_else(|| out_of_range(name, found, &range, "a whole number"))
    }

    /// A finite number in `range`; a whole number will do.
    ///
    /// # Errors
    /// A message for the operator when it is something else, not finite, or outside.
    pub fn number(&self, name: &str, range: impl RangeBounds<f64>) -> Result<f64, String> {
        let found = match self.get(name)? {
            Value::Number(value) => *value,
            Value::Integer(value) => *value as f64,
            other => return Err(wrong_kind(name, other, "a number")),
        };
        if found.is_finite() && range.contains(&found) {
            return Ok(found);
        }
        Err(out_of_range(name, &found, &range, "a finite number"))
    }

    /// A text.
    ///
    /// # Errors
    /// A message for the operator when the value is not a text.
    pub fn text(&self, name: &str) -> Result<&str, String> {
        match self.get(name)? {
            Value::Text(value) => Ok(value),
            other => Err(wrong_kind(name, other, "a text")),
        }
    }

    /// One of several named choices.
    ///
    /// # Errors
    /// A message for the operator that lists the choices.
    pub fn choice<T: Clone>(&self, name: &str, choices: &[(&str, T)]) -> Result<T, String> {
        let found = self.text(name)?;
        choices.iter().find(|(label, _)| *label == found).map(|(_, value)| value.clone()).ok_or_else(|| {
            let labels: Vec<_> = choices.iter().map(|(label, _)| format!("`{label}`")).collect();
            format!("setting `{name}` is `{found}`; expected one of {}", labels.join(", "))
        })
    }

    /// Which latent is read: `final-norm`, or `layer:N` with N from 0.
    ///
    /// # Errors
    /// A message for the operator when it is neither.
    pub fn latent(&self, name: &str) -> Result<LatentSelector, String> {
        let found = self.text(name)?;
        selector(found)
            .ok_or_else(|| format!("setting `{name}` is `{found}`; expected `final-norm`, or `layer:N` with N from 0"))
    }

    /// Which latents are read, joined by `+`: each as in [`Settings::latent`], none twice.
    ///
    /// # Errors
    /// A message for the operator when one is neither, or is named twice.
    pub fn latents(&self, name: &str) -> Result<Vec<LatentSelector>, String> {
        let (found, expected) = (self.text(name)?, "`final-norm`, or `layer:N` with N from 0; several joined by `+`");
        let wrong = || format!("setting `{name}` is `{found}`; expected {expected}, each once");
        let places: Vec<_> =
            found.split('+').map(|one| selector(one.trim())).collect::<Option<_>>().ok_or_else(wrong)?;
        let twice = places.iter().enumerate().any(|(at, place)| places[..at].contains(place));
        if twice { Err(wrong()) } else { Ok(places) }
    }

    /// A list of texts.
    ///
    /// # Errors
    /// A message for the operator when the value is something else.
    pub fn texts(&self, name: &str) -> Result<&[String], String> {
        match self.get(name)? {
            Value::Texts(value) => Ok(value),
            other => Err(wrong_kind(name, other, "a list of texts")),
        }
    }

    /// Texts with finite weights; a plain list of texts gets weight 1.
    ///
    /// # Errors
    /// A message for the operator when the value is something else, or a weight is not finite.
    pub fn weighted(&self, name: &str) -> Result<Vec<(String, f64)>, String> {
        let entries: Vec<(String, f64)> = match self.get(name)? {
            Value::Weighted(value) => value.clone(),
            Value::Texts(value) => value.iter().map(|text| (text.clone(), 1.0)).collect(),
            other => return Err(wrong_kind(name, other, "a list of texts with weights")),
        };
        match entries.iter().find(|(_, weight)| !weight.is_finite()) {
            Some((text, weight)) => {
                Err(format!("setting `{name}` gives `{text}` the weight {weight}; expected a finite number"))
            }
            None => Ok(entries),
        }
    }
}

/// Accepts a value of the default's kind, and the two harmless conversions.
fn fit(name: &str, value: Value, default: &Value) -> Result<Value, String> {
    match (value, default) {
        (Value::Integer(value), Value::Number(_)) => Ok(Value::Number(value as f64)),
        (Value::Texts(texts), Value::Weighted(_)) => {
            Ok(Value::Weighted(texts.into_iter().map(|text| (text, 1.0)).collect()))
        }
        (value, default) if value.kind() == default.kind() => Ok(value),
        (value, default) => Err(wrong_kind(name, &value, default.kind())),
    }
}

/// `final-norm`, or `layer:N`.
fn selector(text: &str) -> Option<LatentSelector> {
    match text {
        "final-norm" => Some(LatentSelector::FinalNorm),
        layer => Some(LatentSelector::Layer(layer.strip_prefix("layer:")?.parse().ok()?)),
    }
}

fn wrong_kind(name: &str, found: &Value, expected: &str) -> String {
    format!("setting `{name}` is {}; expected {expected}", found.kind())
}

fn unknown(name: &str, description: &Description) -> String {
    let known: Vec<_> = description.settings.iter().map(|setting| format!("`{}`", setting.name)).collect();
    let known = if known.is_empty() { "no settings".to_owned() } else { known.join(", ") };
    format!("setting `{name}` is unknown; {} takes {known}", description.name)
}

fn out_of_range<T: Display>(name: &str, found: &impl Display, range: &impl RangeBounds<T>, what: &str) -> String {
    use std::ops::Bound::{Excluded, Included, Unbounded};
    let low = match range.start_bound() {
        Included(bound) => format!(" of at least {bound}"),
        Excluded(bound) => format!(" above {bound}"),
        Unbounded => String::new(),
    };
    let high = match range.end_bound() {
        Included(bound) => format!(", at most {bound}"),
        Excluded(bound) => format!(", below {bound}"),
        Unbounded => String::new(),
    };
    format!("setting `{name}` is {found}; expected {what}{low}{high}")
}
