//! Prompts from a file.

use super::{Dataset, Intent, Prompt};
use crate::EvalError;
use flate2::read::MultiGzDecoder;
use serde::Deserialize;
use serde_json::Value;
use std::{fs, io::Read, path::Path};

/// How a gzip file begins.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// One JSON line: a plain prompt, or a PKU-SafeRLHF record. Other keys are ignored.
#[derive(Deserialize)]
struct Fields {
    #[serde(alias = "prompt")]
    text: Option<String>,
    #[serde(default)]
    intent: Intent,
    topic: Option<String>,
    /// Some data sets name the topic so; of other types it is ignored.
    category: Option<Value>,
    /// The attack that the prompt is written in; of other types it is ignored.
    attack: Option<Value>,
    response_0: Option<String>,
    response_1: Option<String>,
    is_response_0_safe: Option<bool>,
    is_response_1_safe: Option<bool>,
}

impl Fields {
    /// Whether the line has a key that only PKU-SafeRLHF records have.
    fn is_record(&self) -> bool {
        self.response_0.is_some() || self.response_1.is_some()
    }

    /// The first key of a record that is missing.
    fn missing(&self) -> Option<&'static str> {
        let record = [
            ("response_0", self.response_0.is_none()),
            ("response_1", self.response_1.is_none()),
            ("is_response_0_safe", self.is_response_0_safe.is_none()),
            ("is_response_1_safe", self.is_response_1_safe.is_none()),
        ];
        record.into_iter().find(|(_, missing)| *missing && self.is_record()).map(|(key, _)| key)
    }
}

/// See [`Dataset::read`].
pub(super) fn dataset(path: &Path) -> Result<Dataset, EvalError> {
    let text = text(path)?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let lines = lines.map(|(at, line)| Line { path, line: at + 1, text: line });
    let name = path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned());
    if !is_json(path) {
        return Dataset::new(&name, lines.map(|line| plain(line.text.trim(), Intent::Unknown, None)).collect());
    }
    let found = lines.map(|line| line.parse()).collect::<Result<Vec<_>, _>>()?;
    let records = found.iter().any(|(_, is_record)| *is_record);
    let mut dataset = Dataset::new(&name, found.into_iter().map(|(prompt, _)| prompt).collect())?;
    if records {
        dataset.unique();
    }
    Ok(dataset)
}

/// The text of a file, gzipped or not.
pub(crate) fn text(path: &Path) -> Result<String, EvalError> {
    let failed = |source| EvalError::Read { path: path.to_owned(), source };
    let mut bytes = fs::read(path).map_err(failed)?;
    if bytes.starts_with(&GZIP) {
        let mut unpacked = Vec::new();
        MultiGzDecoder::new(bytes.as_slice()).read_to_end(&mut unpacked).map_err(failed)?;
        bytes = unpacked;
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let before = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..before].iter().filter(|byte| **byte == b'\n').count() + 1;
        wrong(path, line, "it is not UTF-8 text".to_owned())
    })?;
    Ok(text.trim_start_matches('\u{feff}').to_owned())
}

/// Whether the name says that the file holds JSON. An ending `.gz` does not count.
fn is_json(path: &Path) -> bool {
    let name = path.to_string_lossy().to_lowercase();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    name.ends_with(".jsonl") || name.ends_with(".json")
}

/// One line of the file.
struct Line<'a> {
    path: &'a Path,
    line: usize,
    text: &'a str,
}

impl Line<'_> {
    /// The prompt, and whether the line is a PKU-SafeRLHF record.
    fn parse(&self) -> Result<(Prompt, bool), EvalError> {
        const EXPECTED: &str = "expected one JSON object per line with a `text` (or `prompt`), and an `intent` of \
                                \"benign\", \"harmful\" or \"unknown\" if it is known";
        let wrong = |problem| wrong(self.path, self.line, problem);
        let fields: Fields = serde_json::from_str(self.text).map_err(|error| wrong(format!("{error}; {EXPECTED}")))?;
        if let Some(key) = fields.missing() {
            return Err(wrong(format!("`{key}` is missing; a PKU-SafeRLHF record has it")));
        }
        let is_record = fields.is_record();
        let category = fields.category.as_ref().and_then(Value::as_str).map(str::to_owned);
        let Some(text) = fields.text else { return Err(wrong(format!("`text` is missing; {EXPECTED}"))) };
        if text.trim().is_empty() {
            return Err(wrong("the text is empty; write a prompt or remove the line".to_owned()));
        }
        let group = fields.attack.as_ref().and_then(Value::as_str).filter(|attack| !attack.trim().is_empty());
        let group = group.map(str::to_owned);
        Ok((Prompt { group, ..plain(&text, fields.intent, fields.topic.or(category)) }, is_record))
    }
}

fn plain(text: &str, intent: Intent, topic: Option<String>) -> Prompt {
    Prompt { id: 0, text: text.to_owned(), intent, topic, group: None }
}

fn wrong(path: &Path, line: usize, problem: String) -> EvalError {
    EvalError::Line { path: path.to_owned(), line, problem }
}
