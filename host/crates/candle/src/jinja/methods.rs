//! The methods of Python's strings, for texts of which some characters are marked.

use super::text::Text;
use crate::marked::{mark, unmark};
use minijinja::{
    Error, ErrorKind, State, Value,
    value::{Kwargs, ValueKind, from_args},
};
use minijinja_contrib::pycompat;

/// What templates call on a value.
pub(super) fn call(state: &mut State, value: &Value, method: &str, args: &[Value]) -> Result<Value, Error> {
    match (value.as_str(), method) {
        (Some(text), method) if method != "format" => string(&Text::new(text), text, method, &Arguments::new(args)?),
        _ => pycompat::unknown_method_callback(state, value, method, args),
    }
}

/// The arguments of a call, by place or by name.
struct Arguments<'a> {
    placed: &'a [Value],
    named: Kwargs,
}

impl<'a> Arguments<'a> {
    fn new(args: &'a [Value]) -> Result<Self, Error> {
        let (placed, named): (&[Value], Kwargs) = from_args(args)?;
        Ok(Self { placed, named })
    }

    /// An argument that is there and not `none`.
    fn get(&self, at: usize, name: &str) -> Option<Value> {
        let named = || self.named.get::<Value>(name).ok();
        let found = self.placed.get(at).cloned().or_else(named)?;
        (!found.is_none() && !found.is_undefined()).then_some(found)
    }

    fn text(&self, at: usize, name: &str) -> Result<Option<Text>, Error> {
        let text = |value: Value| match value.as_str() {
            Some(text) => Ok(Text::new(text)),
            None => Err(wrong(&format!("`{name}` must be a string, not {}", value.kind()))),
        };
        self.get(at, name).map(text).transpose()
    }

    fn needed(&self, at: usize, name: &str) -> Result<Text, Error> {
        self.text(at, name)?.ok_or_else(|| wrong(&format!("`{name}` is missing")))
    }

    fn number(&self, at: usize, name: &str) -> Result<Option<i64>, Error> {
        self.get(at, name).map(i64::try_from).transpose()
    }

    /// How often at most; Python's -1 is not a limit.
    fn most(&self, at: usize, name: &str) -> Result<Option<usize>, Error> {
        Ok(self.number(at, name)?.and_then(|most| usize::try_from(most).ok()))
    }

    /// Start and end of a search, the arguments after the first.
    fn bounds(&self, len: usize) -> Result<(usize, usize), Error> {
        let place = |number: Option<i64>, due: usize| match number {
            None => due,
            Some(back) if back < 0 => len.saturating_sub(usize::try_from(-back).unwrap_or(len)),
            Some(at) => usize::try_from(at).unwrap_or(len).min(len),
        };
        Ok((place(self.number(1, "start")?, 0), place(self.number(2, "end")?, len)))
    }

    /// One text, or a list of texts of which any will do.
    fn any(&self, at: usize) -> Result<Vec<Text>, Error> {
        let value = self.get(at, "prefix").ok_or_else(|| wrong("a string is missing"))?;
        let text = |value: &Value| value.as_str().map(Text::new).ok_or_else(|| wrong("expected a string, or several"));
        match value.kind() {
            ValueKind::Seq | ValueKind::Iterable => value.try_iter()?.map(|one| text(&one)).collect(),
            _ => Ok(vec![text(&value)?]),
        }
    }
}

fn wrong(message: &str) -> Error {
    Error::new(ErrorKind::InvalidOperation, message.to_owned())
}

fn string(text: &Text, shown: &str, method: &str, args: &Arguments<'_>) -> Result<Value, Error> {
    let found = stripping(text, method, args)?;
    let found = match found {
        None => splitting(text, shown, method, args)?,
        found => found,
    };
    let found = match found {
        None => searching(text, method, args)?,
        found => found,
    };
    let found = match found {
        None => changing(text, method, args)?,
        found => found,
    };
    let found = found.or_else(|| asking(&unmark(shown), method));
    found.ok_or_else(|| Error::from(ErrorKind::UnknownMethod))
}

fn stripping(text: &Text, method: &str, args: &Arguments<'_>) -> Result<Option<Value>, Error> {
    let (start, end) = match method {
        "strip" => (true, true),
        "lstrip" => (true, false),
        "rstrip" => (false, true),
        "removeprefix" => {
            let cut = Some(args.needed(0, "prefix")?).filter(|cut| text.has(cut, 0)).map_or(0, |cut| cut.len());
            return Ok(Some(text.part(cut, text.len()).into()));
        }
        "removesuffix" => {
            let cut = args.needed(0, "suffix")?;
            let at = text.len().checked_sub(cut.len()).filter(|at| text.has(&cut, *at));
            return Ok(Some(text.part(0, at.unwrap_or(text.len())).into()));
        }
        _ => return Ok(None),
    };
    let (from, to) = text.stripped(args.text(0, "chars")?.as_ref(), start, end);
    Ok(Some(text.part(from, to).into()))
}

fn splitting(text: &Text, shown: &str, method: &str, args: &Arguments<'_>) -> Result<Option<Value>, Error> {
    let list = |parts: Vec<(usize, usize)>| parts.into_iter().map(|(from, to)| text.part(from, to)).collect::<Vec<_>>();
    Ok(Some(match method {
        "split" | "rsplit" => {
            let (separator, most) = (args.text(0, "sep")?, args.most(1, "maxsplit")?);
            if separator.as_ref().is_some_and(|separator| separator.len() == 0) {
                return Err(wrong("the separator is empty"));
            }
            list(match (separator, method) {
                (Some(separator), "split") => text.split(&separator, most),
                (Some(separator), _) => text.rsplit(&separator, most),
                (None, "split") => text.split_blank(most),
                (None, _) => text.rsplit_blank(most),
            })
            .into()
        }
        "splitlines" => list(text.lines(args.get(0, "keepends").is_some_and(|value| value.is_true()))).into(),
        "partition" | "rpartition" => {
            let separator = args.needed(0, "sep")?;
            let first = method == "partition";
            let at = if first { text.find(&separator, 0, text.len()) } else { text.rfind(&separator, 0, text.len()) };
            match (at, first) {
                (Some(at), _) => list(vec![(0, at), (at, at + separator.len()), (at + separator.len(), text.len())]),
                (None, true) => vec![shown.to_owned(), String::new(), String::new()],
                (None, false) => vec![String::new(), String::new(), shown.to_owned()],
            }
            .into()
        }
        "join" => {
            let values = args.get(0, "iterable").ok_or_else(|| wrong("what to join is missing"))?;
            let values: Vec<String> = values.try_iter()?.map(|value| value.to_string()).collect();
            values.join(shown).into()
        }
        _ => return Ok(None),
    }))
}

fn searching(text: &Text, method: &str, args: &Arguments<'_>) -> Result<Option<Value>, Error> {
    let index = |at: Option<usize>| at.map_or(-1, |at| i64::try_from(at).unwrap_or(i64::MAX));
    Ok(Some(match method {
        "startswith" | "endswith" => {
            let (from, to) = args.bounds(text.len())?;
            let fits = |one: &Text| match method {
                "startswith" => from + one.len() <= to && text.has(one, from),
                _ => to.checked_sub(one.len()).is_some_and(|at| at >= from && text.has(one, at)),
            };
            args.any(0)?.iter().any(fits).into()
        }
        "find" | "index" | "rfind" | "rindex" => {
            let (what, (from, to)) = (args.needed(0, "sub")?, args.bounds(text.len())?);
            let last = method.starts_with('r');
            let at = if last { text.rfind(&what, from, to) } else { text.find(&what, from, to) };
            if at.is_none() && method.ends_with("index") {
                return Err(wrong("substring not found"));
            }
            index(at).into()
        }
        "count" => {
            let what = args.needed(0, "sub")?;
            let count = if what.len() == 0 { text.len() + 1 } else { text.split(&what, None).len() - 1 };
            count.into()
        }
        _ => return Ok(None),
    }))
}

fn changing(text: &Text, method: &str, args: &Arguments<'_>) -> Result<Option<Value>, Error> {
    let changed = match method {
        "replace" => {
            let (old, new) = (args.needed(0, "old")?, args.needed(1, "new")?);
            replaced(text, &old, &new.part(0, new.len()), args.most(2, "count")?)
        }
        "upper" => text.changed(|_, c| c.to_uppercase().collect()),
        "lower" | "casefold" => text.changed(|_, c| c.to_lowercase().collect()),
        "swapcase" => text.changed(|_, c| match c.is_uppercase() {
            true => c.to_lowercase().collect(),
            false => c.to_uppercase().collect(),
        }),
        "capitalize" => text.changed(|before, c| cased(before.is_none(), c)),
        "title" => text.changed(cased_title),
        "ljust" | "rjust" | "center" | "zfill" => padded(text, method, args)?,
        _ => return Ok(None),
    };
    Ok(Some(changed.into()))
}

fn cased(upper: bool, c: char) -> Vec<char> {
    if upper { c.to_uppercase().collect() } else { c.to_lowercase().collect() }
}

fn replaced(text: &Text, old: &Text, new: &str, most: Option<usize>) -> String {
    if old.len() > 0 {
        let parts = text.split(old, most);
        return parts.into_iter().map(|(from, to)| text.part(from, to)).collect::<Vec<_>>().join(new);
    }
    // Python puts it before every character and at the end.
    let places = most.unwrap_or(usize::MAX);
    let before = |at: usize| if at < places { new } else { "" };
    let mut out: String = (0..text.len()).map(|at| format!("{}{}", before(at), text.part(at, at + 1))).collect();
    out.push_str(before(text.len()));
    out
}

/// The widest that a text is filled up to: templates have no use for more.
const WIDEST: usize = 4096;

fn padded(text: &Text, method: &str, args: &Arguments<'_>) -> Result<String, Error> {
    let width = args.most(0, "width")?.unwrap_or(0);
    if width > WIDEST {
        return Err(wrong(&format!("a width of {width} is more than {WIDEST}")));
    }
    let missing = width.saturating_sub(text.len());
    let fill = args.text(1, "fillchar")?.map_or_else(|| " ".to_owned(), |fill| fill.part(0, fill.len()));
    let (shown, fill) = (text.part(0, text.len()), |count: usize| fill.repeat(count));
    let left = missing / 2 + (missing & width & 1);
    Ok(match method {
        "ljust" => shown + &fill(missing),
        "rjust" => fill(missing) + &shown,
        "center" => fill(left) + &shown + &fill(missing - left),
        _ => {
            let sign = usize::from(matches!(text.plain().first(), Some('+' | '-')));
            text.part(0, sign) + &"0".repeat(missing) + &text.part(sign, text.len())
        }
    })
}

/// Questions about all characters.
fn asking(text: &str, method: &str) -> Option<Value> {
    let all = |holds: fn(char) -> bool| !text.is_empty() && text.chars().all(holds);
    let cased = |this: fn(char) -> bool, other: fn(char) -> bool| text.chars().any(this) && !text.chars().any(other);
    Some(Value::from(match method {
        "isspace" => all(crate::marked::is_blank),
        "isdigit" | "isdecimal" | "isnumeric" => all(char::is_numeric),
        "isalpha" => all(char::is_alphabetic),
        "isalnum" => all(char::is_alphanumeric),
        "isascii" => text.is_ascii(),
        "islower" => cased(char::is_lowercase, char::is_uppercase),
        "isupper" => cased(char::is_uppercase, char::is_lowercase),
        "istitle" => {
            let title = Text::new(text).changed(cased_title);
            text.chars().any(char::is_alphabetic) && title == text
        }
        _ => return None,
    }))
}

fn cased_title(before: Option<char>, c: char) -> Vec<char> {
    cased(!before.is_some_and(char::is_alphabetic), c)
}

/// A text without marks, as JSON or HTML need it, marked as a whole.
pub(super) fn as_words(value: &Value) -> String {
    mark(&unmark(&value.to_string()))
}
