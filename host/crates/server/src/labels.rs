//! Values of labels that come from outside, such as names in bundles.

use inferenceguard_model::lock;
use prometheus_client::encoding::{EncodeLabelValue, LabelValueEncoder};
use std::{
    collections::BTreeSet,
    fmt::{self, Write},
    sync::Mutex,
};

/// The most characters of a value.
const LONGEST: usize = 128;
/// The most different names of a label.
const MOST: usize = 200;
/// The value for all further names.
const OTHERS: &str = "(others)";

/// The value of a label. It may hold any characters; they are escaped.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Text(String);

impl Text {
    /// The first characters of a text.
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
            // The format allows these, but some of its readers do not.
            control if control.is_control() || "\u{2028}\u{2029}".contains(control) => encoder.write_char('\u{fffd}'),
            other => encoder.write_char(other),
        })
    }
}

/// The names that a label has had. Every bundle may bring new ones, and a series never ends, so their number is limited.
#[derive(Debug, Default)]
pub(crate) struct Names(Mutex<BTreeSet<String>>);

impl Names {
    /// The value for a name.
    pub(crate) fn value(&self, name: &str) -> Text {
        let mut known = lock(&self.0);
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
    fn the_number_of_names_is_limited() {
        let names = Names::default();
        let values: BTreeSet<String> = (0..1000).map(|number| names.value(&format!("c{number}")).0).collect();
        assert_eq!(values.len(), MOST + 1);
        assert!(values.contains(OTHERS) && names.value("c0") == Text::of("c0"));
        assert_eq!(names.value(&"x".repeat(1000)), Text(OTHERS.to_owned()));
        assert_eq!(Text::of(&"ü".repeat(1000)).0.chars().count(), LONGEST);
    }
}
