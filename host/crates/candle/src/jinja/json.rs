//! `tojson` as transformers has it: Python's `json.dumps`, nothing escaped for HTML, letters as they are.

use crate::marked::plain;
use minijinja::{
    Error, ErrorKind, Value,
    value::{Kwargs, ValueKind},
};
use std::fmt::Write;

/// How `json.dumps` writes.
struct Style {
    ascii: bool,
    indent: Option<String>,
    item: String,
    key: String,
    sorted: bool,
}

/// The filter: `tojson(ensure_ascii, indent, separators, sort_keys)`.
pub(super) fn tojson(value: &Value, placed: &[Value], named: &Kwargs) -> Result<Value, Error> {
    let get = |at: usize, name: &str| match placed.get(at) {
        Some(found) => Ok(Some(found.clone())),
        None => named.get::<Option<Value>>(name),
    };
    let flag = |at, name: &str| get(at, name).map(|value| value.is_some_and(|value| value.is_true()));
    let indent = get(1, "indent")?.filter(|value| !value.is_none());
    let indent = indent.map(|value| match value.as_str() {
        Some(text) => Ok(text.to_owned()),
        None => usize::try_from(value).map(|spaces| " ".repeat(spaces.min(64))),
    });
    let indent = indent.transpose()?;
    let separators = get(2, "separators")?.filter(|value| !value.is_none());
    let (item, key) = match separators {
        Some(pair) => (text(&pair, 0)?, text(&pair, 1)?),
        None if indent.is_some() => (",".to_owned(), ": ".to_owned()),
        None => (", ".to_owned(), ": ".to_owned()),
    };
    let style = Style { ascii: flag(0, "ensure_ascii")?, sorted: flag(3, "sort_keys")?, indent, item, key };
    named.assert_all_used()?;
    let mut out = String::new();
    style.write(value, 0, &mut out)?;
    Ok(Value::from_safe_string(out))
}

fn text(pair: &Value, at: usize) -> Result<String, Error> {
    let found = pair.get_item_by_index(at)?;
    found
        .as_str()
        .map(str::to_owned)
        .ok_or_else(|| Error::new(ErrorKind::InvalidOperation, "separators are two strings"))
}

/// The deepest that values are nested.
const DEEPEST: usize = 128;

impl Style {
    fn write(&self, value: &Value, depth: usize, out: &mut String) -> Result<(), Error> {
        if depth > DEEPEST {
            return Err(Error::new(ErrorKind::InvalidOperation, "too many nested values for JSON"));
        }
        match value.kind() {
            ValueKind::None => out.push_str("null"),
            ValueKind::Bool => out.push_str(if value.is_true() { "true" } else { "false" }),
            ValueKind::Number => out.push_str(&number(value)),
            ValueKind::String => self.string(&value.to_string(), out),
            ValueKind::Seq | ValueKind::Iterable => {
                let items: Vec<Value> = value.try_iter()?.collect();
                self.nested(('[', ']'), items.len(), depth, out, |at, out| self.write(&items[at], depth + 1, out))?;
            }
            ValueKind::Map => {
                let mut keys: Vec<Value> = value.try_iter()?.collect();
                if self.sorted {
                    keys.sort_by_key(unmarked);
                }
                self.nested(('{', '}'), keys.len(), depth, out, |at, out| {
                    self.string(&key(&keys[at]), out);
                    out.push_str(&self.key);
                    self.write(&value.get_item(&keys[at])?, depth + 1, out)
                })?;
            }
            other => {
                let message = format!("a value of type {other} is not JSON serializable");
                return Err(Error::new(ErrorKind::InvalidOperation, message));
            }
        }
        Ok(())
    }

    fn nested(
        &self,
        brackets: (char, char),
        count: usize,
        depth: usize,
        out: &mut String,
        mut one: impl FnMut(usize, &mut String) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let line = |depth: usize| self.indent.as_ref().map(|indent| format!("\n{}", indent.repeat(depth)));
        out.push(brackets.0);
        for at in 0..count {
            if at > 0 {
                out.push_str(&self.item);
            }
            out.push_str(&line(depth + 1).unwrap_or_default());
            one(at, out)?;
        }
        if count > 0 {
            out.push_str(&line(depth).unwrap_or_default());
        }
        out.push(brackets.1);
        Ok(())
    }

    /// Characters keep their marks; escapes are the template's and have none.
    fn string(&self, text: &str, out: &mut String) {
        out.push('"');
        for shown in text.chars() {
            match plain(shown) {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                '\u{8}' => out.push_str("\\b"),
                '\u{c}' => out.push_str("\\f"),
                c if u32::from(c) < 0x20 || (self.ascii && !c.is_ascii()) => escape(c, out),
                _ => out.push(shown),
            }
        }
        out.push('"');
    }
}

fn escape(c: char, out: &mut String) {
    for unit in c.encode_utf16(&mut [0; 2]) {
        // Writing to a string does not fail.
        let _ = write!(out, "\\u{unit:04x}");
    }
}

fn unmarked(value: &Value) -> String {
    crate::marked::unmark(&value.to_string())
}

/// A key as Python writes it.
fn key(value: &Value) -> String {
    match value.kind() {
        ValueKind::None => "null".to_owned(),
        ValueKind::Bool => if value.is_true() { "true" } else { "false" }.to_owned(),
        ValueKind::Number => number(value),
        _ => value.to_string(),
    }
}

fn number(value: &Value) -> String {
    match value.to_string().as_str() {
        "inf" => "Infinity".to_owned(),
        "-inf" => "-Infinity".to_owned(),
        text => text.to_owned(),
    }
}
