//! What is known of a model beside its weights, and which file each fact was taken from.

use serde::Serialize;
use std::fmt::Display;

/// One fact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fact {
    /// What it is about, such as `end token`.
    pub name: &'static str,
    /// What holds.
    pub value: String,
    /// The files that state it; empty if no file states it.
    pub from: Vec<String>,
}

/// The facts of a model, in the order in which they were looked for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Facts {
    taken: Vec<Fact>,
    warnings: Vec<String>,
}

impl Facts {
    /// Each fact with its sources.
    #[must_use]
    pub fn all(&self) -> &[Fact] {
        &self.taken
    }

    /// What a person should know, such as settings that are not honoured.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Notes a fact. Sources that say the same join.
    pub(crate) fn take(&mut self, name: &'static str, value: impl Display, from: &str) {
        let value = value.to_string();
        match self.taken.iter_mut().find(|fact| fact.name == name && fact.value == value) {
            Some(fact) if fact.from.iter().any(|other| other == from) => {}
            Some(fact) => fact.from.push(from.to_owned()),
            None => self.taken.push(Fact { name, value, from: vec![from.to_owned()] }),
        }
    }

    /// Notes a fact that no file states.
    pub(crate) fn assume(&mut self, name: &'static str, value: impl Display) {
        self.taken.push(Fact { name, value: value.to_string(), from: Vec::new() });
    }

    pub(crate) fn warn(&mut self, warning: String) {
        self.warnings.push(warning);
    }
}
