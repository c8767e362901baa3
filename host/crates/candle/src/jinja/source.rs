//! The source of a chat template, made ready for the engine.
//!
//! `{% generation %}` blocks only matter in training: they become scopes. Comparisons and searches become calls of the
//! tests `eq`, `ne` and `in`, because those know that words are marked and operators do not.

use super::tokens::{Kind, Token, tokens};
use std::ops::Range;

/// The longest source, in bytes.
const LONGEST: usize = 1 << 20;

/// The source as the engine takes it.
///
/// # Errors
/// When it is too long, or its brackets are nested too deeply.
pub(super) fn prepared(source: &str) -> Result<String, String> {
    if source.len() > LONGEST {
        return Err(format!("it has {} bytes; {LONGEST} are the most", source.len()));
    }
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(at) = next_tag(rest) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let used = match &rest[..2] {
            "{#" => copied(rest, "#}", &mut out),
            "{%" => tag(rest, "%}", &mut out)?,
            _ => tag(rest, "}}", &mut out)?,
        };
        rest = &rest[used..];
    }
    out.push_str(rest);
    Ok(out)
}

fn next_tag(text: &str) -> Option<usize> {
    let starts = |at: &usize| ["{{", "{%", "{#"].contains(&&text[*at..*at + 2]);
    text.match_indices('{').map(|(at, _)| at).filter(|at| text.is_char_boundary(at + 2)).find(starts)
}

/// Copies up to and including `end`; returns how much of the text that is.
fn copied(text: &str, end: &str, out: &mut String) -> usize {
    let used = text.find(end).map_or(text.len(), |at| at + end.len());
    out.push_str(&text[..used]);
    used
}

/// One tag, and what is raw after it.
fn tag(text: &str, end: &str, out: &mut String) -> Result<usize, String> {
    let (tokens, used) = tokens(text, end)?;
    let word = |at: usize| tokens.get(at).map(|token| &text[token.range.clone()]);
    let first = word(0).filter(|_| end == "%}");
    match (first, word(1)) {
        (Some("raw"), None) => {
            let raw = text[used..].find("endraw").map_or(text.len(), |at| used + at);
            out.push_str(&text[..raw]);
            return Ok(raw);
        }
        (Some(name @ ("generation" | "endgeneration")), None) => {
            let scope = if name == "generation" { "with" } else { "endwith" };
            out.push_str(&text[..used].replacen(name, scope, 1));
            return Ok(used);
        }
        _ => {}
    }
    let header = if first == Some("for") { tokens.iter().position(|t| &text[t.range.clone()] == "in") } else { None };
    let from = header.map_or(0, |at| at + 1);
    let begin = tokens.get(from).map_or(used, |token| token.range.start);
    out.push_str(&text[..begin]);
    Rewriter { text, tokens: &tokens, out }.emit(from..tokens.len());
    out.push_str(&text[tokens.last().map_or(begin, |token| token.range.end.max(begin))..used]);
    Ok(used)
}

/// Words that are not operands.
const KEYWORDS: [&str; 9] = ["and", "or", "not", "if", "else", "elif", "is", "in", "set"];

struct Rewriter<'a> {
    text: &'a str,
    tokens: &'a [Token],
    out: &'a mut String,
}

impl Rewriter<'_> {
    fn word(&self, at: usize) -> &str {
        self.tokens.get(at).map_or("", |token| &self.text[token.range.clone()])
    }

    /// Writes these tokens, and the whitespace between them.
    fn emit(&mut self, range: Range<usize>) {
        let mut at = range.start;
        while at < range.end {
            if at > range.start {
                let gap = self.tokens[at - 1].range.end..self.tokens[at].range.start;
                self.out.push_str(&self.text[gap]);
            }
            match self.comparison(at, range.end) {
                Some((left, test, right)) => {
                    let end = right.end;
                    self.emit(left);
                    self.out.push_str(test);
                    self.emit(right);
                    self.out.push(')');
                    at = end;
                }
                None => {
                    self.out.push_str(&self.text[self.tokens[at].range.clone()]);
                    at += 1;
                }
            }
        }
    }

    /// A comparison of two operands that begins here, with nothing beside it that binds more tightly.
    fn comparison(&self, at: usize, end: usize) -> Option<(Range<usize>, &'static str, Range<usize>)> {
        if at > 0 && (self.binds(at - 1) || self.word(at - 1) == "is" || self.word(at - 1) == ".") {
            return None;
        }
        let left = at..self.operand(at, end)?;
        if left.end >= end {
            return None;
        }
        let (test, from) = match (self.word(left.end), self.word(left.end + 1)) {
            ("==", _) => (" is eq(", left.end + 1),
            ("!=", _) => (" is ne(", left.end + 1),
            ("in", _) => (" is in(", left.end + 1),
            ("not", "in") => (" is not in(", left.end + 2),
            _ => return None,
        };
        let right = from..self.operand(from, end)?;
        (right.end <= end && !self.binds(right.end)).then_some((left, test, right))
    }

    /// Whether this token is an operator that would pull an operand away from a comparison.
    fn binds(&self, at: usize) -> bool {
        let signs = ["~", "+", "-", "*", "/", "//", "%", "**", "==", "!=", "<", ">", "<=", ">=", "|"];
        signs.contains(&self.word(at)) || ["is", "in"].contains(&self.word(at))
    }

    /// Whether an operand may end with this token.
    fn ends_operand(&self, at: usize) -> bool {
        match self.tokens.get(at).map(|token| token.kind) {
            Some(Kind::Sign) => matches!(self.word(at), ")" | "]" | "}"),
            Some(Kind::Word) => !KEYWORDS.contains(&self.word(at)),
            found => found.is_some(),
        }
    }

    /// Where the operand that begins here ends: a literal, a name or a group, with what is called, read and filtered.
    fn operand(&self, at: usize, end: usize) -> Option<usize> {
        let first = self.tokens.get(at).filter(|_| at < end)?;
        let mut next = match first.kind {
            // What is called or read belongs to the operand before it.
            Kind::Sign if at > 0 && self.ends_operand(at - 1) => return None,
            Kind::Sign => self.closed(at, end).filter(|_| self.word(at) != "{")?,
            Kind::Word if KEYWORDS.contains(&self.word(at)) => return None,
            _ => at + 1,
        };
        while next < end {
            next = match self.word(next) {
                "." => next + 2,
                "[" | "(" => self.closed(next, end)?,
                "|" => next + 2,
                _ => break,
            };
        }
        (next <= end).then_some(next)
    }

    /// Where the bracket that opens here has been closed.
    fn closed(&self, at: usize, end: usize) -> Option<usize> {
        let mut depth = 0usize;
        for next in at..end {
            match (self.tokens[next].kind, self.word(next)) {
                (Kind::Sign, "(" | "[" | "{") => depth += 1,
                (Kind::Sign, ")" | "]" | "}") => depth = depth.checked_sub(1)?,
                _ => {}
            }
            if depth == 0 {
                return (next > at).then_some(next + 1);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::prepared;

    #[test]
    fn comparisons_become_tests() {
        for (from, to) in [
            ("{% if '</think>' in m.content %}", "{% if '</think>' is in(m.content) %}"),
            ("{%- if 'a' not in m['x'][0] -%}", "{%- if 'a' is not in(m['x'][0]) -%}"),
            ("{{ (a == 'x') != (b % 2 == 0) }}", "{{ (a is eq('x')) is ne((b % 2 == 0)) }}"),
            ("{% for x in y if x in z %}", "{% for x in y if x is in(z) %}"),
            ("{{ a|trim == '' and not b in c.d() }}", "{{ a|trim is eq('') and not b is in(c.d()) }}"),
            ("{{ {'a': b == c} }}", "{{ {'a': b is eq(c)} }}"),
            ("{% generation %}x{%- endgeneration -%}", "{% with %}x{%- endwith -%}"),
        ] {
            assert_eq!(prepared(from).unwrap(), to);
        }
    }

    #[test]
    fn the_rest_stays_as_it_is() {
        for same in [
            "a == b {# {% if a == b %} #} {",
            "{% raw %}{{ a == b }}{% endraw %}",
            "{{ 'a == b' }}{{ \"it's '}}' a == b\" }}",
            "{{ a + b == c }}{{ 'x' in a ~ b }}{{ a < b == c }}{{ -a == 1 }}{{ a == -1 }}",
            "{% for a in b %}{% set c = d %}{{ f(a=b) }}{{ x is defined }}{{ a if b else c }}",
            "{{ a",
            "{{ 'a",
            "{%- if x is not none %}{{ {} }}{{ {'a': {'b': 1}} }}",
        ] {
            assert_eq!(prepared(same).unwrap(), same);
        }
    }

    #[test]
    fn sources_have_bounds() {
        let nested = |depth: usize| format!("{{{{ {}a{} == b }}}}", "(".repeat(depth), ")".repeat(depth));
        assert!(prepared(&nested(90)).unwrap().contains(" is eq(b)"));
        assert!(prepared(&nested(100_000)).is_err() && prepared(&"x".repeat(2 << 20)).is_err());
        let long = format!("{{{{ a{} == b }}}}", "[1]".repeat(100_000));
        assert!(prepared(&long).unwrap().ends_with(" is eq(b) }}"));
    }
}
