//! A conversation under guard, line by line.

use crate::{
    Asked, ChatError,
    line::{HELP, Line},
    stream,
};
use inferenceguard_bundle::Bundle;
use inferenceguard_catalog::{Choice, build, bundles};
use inferenceguard_console::{answer, escape, record};
use inferenceguard_host::{Engine, OWN_METHOD, Output, Request};
use inferenceguard_model::Message;
use inferenceguard_record::Body;
use inferenceguard_search::Release;
use std::collections::BTreeMap;

/// A conversation that goes on.
pub struct Chat {
    asked: Asked,
    engine: Engine,
    bundle: Bundle,
    method: String,
    /// The largest budgets, by constraint.
    allowed: BTreeMap<String, f64>,
    /// Budgets that were tightened, by constraint.
    budgets: BTreeMap<String, f64>,
    /// The turns before, the system message first.
    turns: Vec<Message>,
    last: Option<Output>,
}

/// What a line led to.
#[derive(Debug)]
pub enum Taken {
    /// Nothing to show.
    Done,
    /// Words about the conversation or its last answer.
    Note(String),
    /// The line could not be followed; the conversation is as it was.
    Failed(ChatError),
    /// The conversation is over.
    Bye,
}

impl Chat {
    /// Opens a model and a bundle with its own method and these, under these budgets, `[NAME=]D`. The first answer is found by
    /// `method`, or the bundle's own.
    ///
    /// # Errors
    /// What cannot be opened or does not fit together; [`ChatError::MaxTokens`].
    pub fn open(
        choice: &Choice,
        method: Option<&str>,
        others: &[String],
        budgets: &[String],
        asked: Asked,
    ) -> Result<Self, ChatError> {
        let method = method.unwrap_or(OWN_METHOD).to_owned();
        let mut methods = vec![OWN_METHOD.to_owned()];
        for name in std::iter::once(&method).chain(others) {
            if !methods.contains(name) {
                methods.push(name.clone());
            }
        }
        let (builder, bundle) = choice.builder(&methods, budgets)?;
        let engine = build(builder)?;
        asked.check(&engine)?;
        let constraints = bundle.manifest().constraints.iter();
        let mut allowed: BTreeMap<String, f64> = constraints.map(|one| (one.name.clone(), one.budget)).collect();
        allowed.extend(bundles::budgets(&bundle, budgets)?);
        let turns = asked.opening();
        Ok(Self { asked, engine, bundle, method, allowed, budgets: BTreeMap::new(), turns, last: None })
    }

    /// Who speaks, and what guards it.
    #[must_use]
    pub fn greeting(&self) -> String {
        let manifest = self.bundle.manifest();
        let line = format!("{}, guarded by {} {}", self.engine.model().name, manifest.name, manifest.version);
        format!("{}. /help shows the commands, /bye ends", escape::line(&line))
    }

    /// Takes one line: a command, or what the user says. Text of an answer goes to `print` as it is released.
    ///
    /// # Errors
    /// That of `print`; [`ChatError::Record`] for an answer that cannot be explained.
    pub fn take<E: From<ChatError>>(
        &mut self,
        line: &str,
        print: impl FnMut(&str) -> Result<(), E>,
    ) -> Result<Taken, E> {
        Ok(match Line::read(line) {
            Err(unknown) => Taken::Note(unknown),
            Ok(Line::Bye) => Taken::Bye,
            Ok(Line::Help) => Taken::Note(HELP.to_owned()),
            Ok(Line::New) => self.begin(),
            Ok(Line::Method(name)) => self.choose(name),
            Ok(Line::Budget(given)) => self.tighten(given),
            Ok(Line::Why) => Taken::Note(self.explained()?),
            Ok(Line::Text("")) => Taken::Done,
            Ok(Line::Text(text)) => self.answer(text, print)?,
        })
    }

    fn begin(&mut self) -> Taken {
        self.turns = self.asked.opening();
        Taken::Done
    }

    fn choose(&mut self, name: &str) -> Taken {
        let methods = self.engine.methods();
        if !methods.iter().any(|method| method == name) {
            return Taken::Note(format!("method {name:?}; there are: {}", methods.join(", ")));
        }
        self.method = name.to_owned();
        Taken::Done
    }

    fn tighten(&mut self, given: &str) -> Taken {
        let budgets = match bundles::budgets(&self.bundle, &[given.to_owned()]) {
            Ok(budgets) => budgets,
            Err(error) => return Taken::Failed(error.into()),
        };
        if let Some(error) = budgets.iter().find_map(|(name, budget)| unfit(&self.allowed, name, *budget)) {
            return Taken::Failed(error);
        }
        self.budgets.extend(budgets);
        Taken::Done
    }

    fn explained(&self) -> Result<String, ChatError> {
        Ok(match &self.last {
            None => "nothing was answered yet".to_owned(),
            Some(last) => record::why(&Body::of(last)?, Some(&self.engine.tokenizer())),
        })
    }

    /// Answers a turn. A request that ends with an error leaves the conversation as it was.
    fn answer<E>(&mut self, text: &str, print: impl FnMut(&str) -> Result<(), E>) -> Result<Taken, E> {
        let request = Request {
            method: Some(self.method.clone()),
            budgets: self.budgets.clone(),
            release: Some(Release::Agreement),
            record: true,
            ..self.asked.request(text, self.turns.clone())
        };
        let answered = match stream(&self.engine, request, |_| {}, drop, print)? {
            Ok(answered) => answered,
            Err(error) => return Ok(Taken::Failed(error.into())),
        };
        let spoken = Message { role: "assistant".to_owned(), content: answered.text.clone() };
        self.turns.extend([Message::user(text), spoken]);
        let brief = answer::brief(&answered);
        self.last = Some(answered);
        Ok(Taken::Note(brief))
    }
}

/// Why a budget cannot count for the next answers, if it cannot.
fn unfit(allowed: &BTreeMap<String, f64>, name: &str, found: f64) -> Option<ChatError> {
    let Some(most) = allowed.get(name).copied() else {
        let known = allowed.keys().cloned().collect::<Vec<_>>().join(", ");
        return Some(ChatError::UnknownConstraint { found: name.to_owned(), known });
    };
    let fits = found > 0.0 && found <= most;
    (!fits).then(|| ChatError::Budget { name: name.to_owned(), found, most })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_checked_when_it_is_typed() {
        let allowed = [("words".to_owned(), 4.5)].into();
        assert!(unfit(&allowed, "words", 4.5).is_none());
        for (name, found, words) in [
            ("words", 9.0, "at most 4.5"),
            ("words", 0.0, "above 0"),
            ("words", f64::NAN, "above 0"),
            ("harm", 1.0, "expected one of: words"),
        ] {
            let error = unfit(&allowed, name, found).unwrap().to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
