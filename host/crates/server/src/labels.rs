//! Text of strangers as the value of a label.

use prometheus_client::encoding::{EncodeLabelValue, LabelValueEncoder};
use std::{
    collections::BTreeSet,
    fmt::{self, Write},
    sync::{Mutex, PoisonError},
};

/// How many characters of a name are shown.
const LONGEST: usize = 128;
/// How many different names a label has.
const MOST: usize = 200;
/// Stands for all names beyond them.
const OTHERS: &str = "(others)";

/// The value of a label, escaped as the format wants it whatever it holds.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Text(String);

impl Text {
    /// The beginning of a text of any length.
    pub(crate) fn of(text: &str) -> Self {
        Self(text.chars().take(LONGEST).collect())
    }
}

impl EncodeLabelValue for Text {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|character| match character {
            '\\' => encoder.write_str("\\\\"),
            '"' => encoder.write_str("\\\""),
            '\n' => encoder.write_str("\\n"),
            // The format allows them, and its readers do not all agree.
            control if control.is_control() || "\u{2028}\u{2029}".contains(control) => encoder.write_char('\u{fffd}'),
            other => encoder.write_char(other),
        })
    }
}

/// The names that a label has had. Every bundle brings names of its own, and a series is never given up: there are so many
/// and no more.
#[derive(Debug, Default)]
pub(crate) struct Names(Mutex<BTreeSet<String>>);

impl Names {
    /// The value for a name.
    pub(crate) fn value(&self, name: &str) -> Text {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Text(shown) = Text::of(name);
        if known.contains(&shown) || known.len() < MOST {
            known.insert(shown.clone());
            return Text(shown);
        }
        Text(OTHERS.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_so_many_names_and_no_more() {
        let names = Names::default();
        let values: BTreeSet<String> = (0..1000).map(|number| names.value(&format!("c{number}")).0).collect();
        assert_eq!(values.len(), MOST + 1);
        assert!(values.contains(OTHERS) && names.value("c0") == Text::of("c0"));
        assert_eq!(names.value(&"x".repeat(1000)), Text(OTHERS.to_owned()));
        assert_eq!(Text::of(&"ü".repeat(1000)).0.chars().count(), LONGEST);
    }
}
