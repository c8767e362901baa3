//! Filters and tests that look through the marks of words.

use super::{json, methods, text::Text};
use crate::marked::{is_blank, unmark};
use minijinja::{
    Environment, Error, ErrorKind, State, Value, filters, tests,
    value::{Kwargs, Rest, ValueKind},
};

/// Adds them, in place of those that would see the marks.
pub(super) fn add(environment: &mut Environment<'static>) {
    for name in ["upper", "lower", "capitalize", "replace"] {
        environment.add_filter(name, move |state: &mut State, value: &Value, args: Rest<Value>| {
            methods::call(state, &string(value), name, &args)
        });
    }
    environment.add_filter("trim", |state: &mut State, value: &Value, args: Rest<Value>| {
        methods::call(state, &string(value), "strip", &args)
    });
    environment.add_filter("title", |value: &Value| title(&value.to_string()));
    environment
        .add_filter("tojson", |value: &Value, args: Rest<Value>, named: Kwargs| json::tojson(value, &args, &named));
    for name in ["e", "escape"] {
        environment.add_filter(name, |value: &Value| Value::from_safe_string(escaped(value)));
    }
    environment.add_filter(
        "int",
        |state: &State, value: &Value, default: Option<Value>, base: Option<u32>, named: Kwargs| {
            filters::int(state, &unmarked(value), default, base, named)
        },
    );
    environment.add_filter("float", |state: &State, value: &Value, default: Option<Value>, named: Kwargs| {
        filters::float(state, &unmarked(value), default, named)
    });
    for name in ["eq", "equalto", "=="] {
        environment.add_test(name, |value: &Value, other: &Value| unmarked(value) == unmarked(other));
    }
    for name in ["ne", "!="] {
        environment.add_test(name, |value: &Value, other: &Value| unmarked(value) != unmarked(other));
    }
    environment.add_test("iterable", |value: &Value| is_any(value, &[]));
    environment.add_test("sequence", |value: &Value| is_any(value, &[ValueKind::Iterable]));
    environment.add_test("in", |state: &State, value: &Value, other: &Value| match other.kind() {
        ValueKind::None | ValueKind::Bool | ValueKind::Number => {
            Err(Error::new(ErrorKind::InvalidOperation, format!("nothing is in a value of type {}", other.kind())))
        }
        _ => tests::is_in(state, &unmarked(value), &unmarked(other)),
    });
}

/// Whether Python could iterate over the value, without the kinds that templates exclude: it is neither a number nor none.
fn is_any(value: &Value, less: &[ValueKind]) -> bool {
    use ValueKind::{Iterable, Map, Seq, String, Undefined};
    [String, Seq, Map, Iterable, Undefined].contains(&value.kind()) && !less.contains(&value.kind())
}

/// Filters of text take anything, as in Jinja.
fn string(value: &Value) -> Value {
    if value.as_str().is_some() { value.clone() } else { value.to_string().into() }
}

/// Jinja's `title` begins a word after whitespace, dashes and opening brackets only.
fn title(text: &str) -> String {
    let begins = |before: Option<char>| before.is_none_or(|c| is_blank(c) || "-({[<".contains(c));
    Text::new(text)
        .changed(|before, c| if begins(before) { c.to_uppercase().collect() } else { c.to_lowercase().collect() })
}

/// The value escaped for HTML, as Jinja's `escape` writes it.
fn escaped(value: &Value) -> String {
    let mut out = String::new();
    for c in value.to_string().chars() {
        match crate::marked::plain(c) {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\'' => out.push_str("&#39;"),
            '"' => out.push_str("&#34;"),
            _ => out.push(c),
        }
    }
    out
}

/// A value without marks, down to the texts in it.
pub(super) fn unmarked(value: &Value) -> Value {
    match value.kind() {
        ValueKind::String => value.as_str().map_or_else(|| value.clone(), |text| unmark(text).into()),
        ValueKind::Seq | ValueKind::Iterable => {
            value.try_iter().map_or_else(|_| value.clone(), |items| items.map(|one| unmarked(&one)).collect())
        }
        ValueKind::Map => value.try_iter().map_or_else(
            |_| value.clone(),
            |keys| {
                let one = |key: &Value| value.get_item(key).map_or(Value::UNDEFINED, |one| unmarked(&one));
                Value::from_pairs(keys.map(|key| (unmarked(&key), one(&key))))
            },
        ),
        _ => value.clone(),
    }
}
