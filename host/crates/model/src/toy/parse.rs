//! Reads scripts.

use super::{
    FLOOR, ToyScript,
    score::ToyScoreScript,
    script::{Fault, FaultKind},
    suffix::SuffixTable,
    tokenizer::{ToyTokenizer, Word, digest},
};
use crate::Token;
use std::sync::Arc;

const DEFAULT_CONTEXT: usize = 64;

/// Why a script could not be read. Lines are counted from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScriptError {
    /// A line is none of the known kinds.
    #[error(
        "line {line}: expected 'vocab:', 'context:', 'prompt:', 'after …:', 'score …:' or 'fault …:', found '{found}'"
    )]
    UnknownLine {
        /// Where.
        line: usize,
        /// The line.
        found: String,
    },
    /// A word is not in the vocabulary.
    #[error("line {line}: '{word}' is not in the vocabulary; add it to the 'vocab:' line, which must come first")]
    UnknownWord {
        /// Where.
        line: usize,
        /// The word.
        word: String,
    },
    /// A number is missing or out of range.
    #[error("line {line}: expected {expected}, found '{found}'")]
    BadValue {
        /// Where.
        line: usize,
        /// What is due.
        expected: &'static str,
        /// What is there.
        found: String,
    },
    /// An entry is there twice.
    #[error("line {line}: '{what}' is there already; keep one of them")]
    Duplicate {
        /// Where.
        line: usize,
        /// What.
        what: String,
    },
    /// A line is missing that every script needs.
    #[error("the script has no line '{0}'; add one")]
    Missing(&'static str),
}

struct Parser {
    tokenizer: Option<Arc<ToyTokenizer>>,
    context: Option<usize>,
    template: Option<String>,
    next: SuffixTable<Vec<f32>>,
    scores: Vec<ToyScoreScript>,
    fault: Option<Fault>,
}

pub(super) fn script(text: &str) -> Result<ToyScript, ScriptError> {
    let mut parser = Parser {
        tokenizer: None,
        context: None,
        template: None,
        next: SuffixTable::new(),
        scores: Vec::new(),
        fault: None,
    };
    for (i, line) in text.lines().enumerate() {
        let line = without_comment(line).trim();
        if !line.is_empty() {
            parser.line(i + 1, line)?;
        }
    }
    // Score models are models of their own.
    let own: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with("score ")).collect();
    parser.finish(digest(&own.join("\n")))
}

/// A `#` inside a word is part of it.
fn without_comment(line: &str) -> &str {
    let starts = line.match_indices('#').map(|(i, _)| i);
    let comment = starts.into_iter().find(|i| line[..*i].chars().next_back().is_none_or(char::is_whitespace));
    comment.map_or(line, |i| &line[..i])
}

impl Parser {
    fn line(&mut self, line: usize, text: &str) -> Result<(), ScriptError> {
        let unknown = || ScriptError::UnknownLine { line, found: text.to_owned() };
        let (head, body) = text.split_once(':').ok_or_else(unknown)?;
        let (head, body) = (head.split_whitespace().collect::<Vec<_>>(), body.trim());
        match head.as_slice() {
            ["vocab"] => self.vocab(line, body),
            ["context"] => self.context(line, body),
            ["prompt"] => set(&mut self.template, body.to_owned(), line, "prompt:"),
            ["after", pattern @ ..] => self.after(line, pattern, body),
            ["score", name, options @ ..] => self.score(line, name, options, body),
            ["fault", "step", call] => {
                let fault = fault(line, call, body)?;
                set(&mut self.fault, fault, line, "fault step")
            }
            ["fault", name, call] => self.score_fault(line, name, call, body),
            _ => Err(unknown()),
        }
    }

    fn vocab(&mut self, line: usize, body: &str) -> Result<(), ScriptError> {
        let mut words: Vec<Word> = Vec::new();
        for item in body.split_whitespace() {
            let (spelling, is_end) = match item.strip_suffix('*') {
                Some(spelling) if !spelling.is_empty() => (spelling, true),
                _ => (item, false),
            };
            if words.iter().any(|w| w.spelling == spelling) {
                return Err(ScriptError::Duplicate { line, what: spelling.to_owned() });
            }
            words.push(Word { spelling: spelling.to_owned(), is_end });
        }
        if !words.iter().any(|w| w.is_end) {
            let expected = "a word marked as end token, such as '<eos>*'";
            return Err(ScriptError::BadValue { line, expected, found: body.to_owned() });
        }
        set(&mut self.tokenizer, Arc::new(ToyTokenizer::new(words)), line, "vocab:")
    }

    fn context(&mut self, line: usize, body: &str) -> Result<(), ScriptError> {
        let context = body.parse().ok().filter(|c| *c > 0);
        let bad = || ScriptError::BadValue { line, expected: "a number of tokens above 0", found: body.to_owned() };
        set(&mut self.context, context.ok_or_else(bad)?, line, "context:")
    }

    fn after(&mut self, line: usize, pattern: &[&str], body: &str) -> Result<(), ScriptError> {
        let pattern = pattern.iter().map(|w| self.token(line, w)).collect::<Result<Vec<_>, _>>()?;
        let mut row = vec![FLOOR; self.vocabulary()?.vocab()];
        for item in items(body) {
            let (tokens, weight) = self.item(line, item)?;
            let ([token], 0.0..) = (tokens.as_slice(), weight) else {
                let expected = "one word and a weight of at least 0";
                return Err(ScriptError::BadValue { line, expected, found: item.to_owned() });
            };
            row[*token as usize] = weight.ln().max(FLOOR);
        }
        if row.iter().all(|logit| *logit <= FLOOR) {
            let expected = "a word with a weight above 0";
            return Err(ScriptError::BadValue { line, expected, found: body.to_owned() });
        }
        if self.next.insert(pattern, row) { Ok(()) } else { Err(duplicate(line, "after")) }
    }

    fn score(&mut self, line: usize, name: &str, options: &[&str], body: &str) -> Result<(), ScriptError> {
        if self.scores.iter().any(|s| s.name == name) {
            return Err(duplicate(line, name));
        }
        let bad = options.iter().find(|o| !["cumulative", "withheld"].contains(o));
        if let Some(option) = bad {
            let expected = "'cumulative' or 'withheld'";
            return Err(ScriptError::BadValue { line, expected, found: (*option).to_owned() });
        }
        let mut values = SuffixTable::new();
        for item in items(body) {
            let (pattern, value) = self.item(line, item)?;
            if !values.insert(pattern, value) {
                return Err(duplicate(line, item));
            }
        }
        let (cumulative, withheld) = (options.contains(&"cumulative"), options.contains(&"withheld"));
        self.scores.push(ToyScoreScript { name: name.to_owned(), values, cumulative, withheld, fault: None });
        Ok(())
    }

    fn score_fault(&mut self, line: usize, name: &str, call: &str, body: &str) -> Result<(), ScriptError> {
        let fault = fault(line, call, body)?;
        let score = self.scores.iter_mut().find(|s| s.name == name);
        let expected = "'step' or the name of a score line above";
        let score = score.ok_or_else(|| ScriptError::BadValue { line, expected, found: name.to_owned() })?;
        set(&mut score.fault, fault, line, name)
    }

    /// Words and a number: `a b -2`.
    fn item(&self, line: usize, item: &str) -> Result<(Vec<Token>, f32), ScriptError> {
        let expected = "words and a finite number";
        let bad = || ScriptError::BadValue { line, expected, found: item.to_owned() };
        let (words, number) = item.rsplit_once(char::is_whitespace).ok_or_else(bad)?;
        let number = number.parse().ok().filter(|n: &f32| n.is_finite()).ok_or_else(bad)?;
        let tokens = words.split_whitespace().map(|w| self.token(line, w)).collect::<Result<_, _>>()?;
        Ok((tokens, number))
    }

    fn token(&self, line: usize, word: &str) -> Result<Token, ScriptError> {
        let unknown = || ScriptError::UnknownWord { line, word: word.to_owned() };
        self.tokenizer.as_ref().and_then(|t| t.id(word)).ok_or_else(unknown)
    }

    fn vocabulary(&self) -> Result<&Arc<ToyTokenizer>, ScriptError> {
        self.tokenizer.as_ref().ok_or(ScriptError::Missing("vocab:"))
    }

    fn finish(self, fingerprint: String) -> Result<ToyScript, ScriptError> {
        let tokenizer = Arc::clone(self.vocabulary()?);
        if self.next.find(&[]).is_none() {
            return Err(ScriptError::Missing("after :"));
        }
        Ok(ToyScript {
            tokenizer,
            context: self.context.unwrap_or(DEFAULT_CONTEXT),
            template: self.template.unwrap_or_else(|| "{}".to_owned()),
            next: self.next,
            scores: self.scores,
            fault: self.fault,
            fingerprint,
        })
    }
}

fn items(body: &str) -> impl Iterator<Item = &str> {
    body.split(',').map(str::trim).filter(|item| !item.is_empty())
}

fn fault(line: usize, call: &str, kind: &str) -> Result<Fault, ScriptError> {
    let bad = |expected, found: &str| ScriptError::BadValue { line, expected, found: found.to_owned() };
    let call = call.parse().ok().filter(|c| *c > 0).ok_or_else(|| bad("a call counted from 1", call))?;
    let kind = match kind {
        "error" => FaultKind::Error,
        "nan" => FaultKind::Nan,
        _ => return Err(bad("'error' or 'nan'", kind)),
    };
    Ok(Fault { call, kind })
}

fn set<T>(slot: &mut Option<T>, value: T, line: usize, what: &str) -> Result<(), ScriptError> {
    if slot.is_some() {
        return Err(duplicate(line, what));
    }
    *slot = Some(value);
    Ok(())
}

fn duplicate(line: usize, what: &str) -> ScriptError {
    ScriptError::Duplicate { line, what: what.to_owned() }
}
