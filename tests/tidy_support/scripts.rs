//! The words of `words.rs` in Python and HTML: comments, docstrings, messages, names, and what a page shows.

use super::{
    files, none, text,
    words::{BANNED, holds, unquoted},
};

#[test]
fn python_and_html_use_plain_words() {
    let mut complaints = Vec::new();
    for path in files().into_iter().filter(|path| [".py", ".html"].iter().any(|end| path.ends_with(end))) {
        for (line, word, piece) in banned(&path, &text(&path)) {
            complaints.push(format!("{path}:{line}: `{word}` in {piece:?}; say it plainly"));
        }
    }
    none(complaints);
}

#[test]
fn the_search_for_words_finds_them_in_python() {
    let found = |text: &str| banned("a.py", text).into_iter().map(|(line, word, _)| (line, word)).collect::<Vec<_>>();
    assert_eq!(found("x = 1\n# It was told.\n"), [(2, "told")]);
    assert_eq!(found("def f():\n    \"\"\"Counts as\n    ever.\"\"\"\n"), [(2, "as ever")]);
    assert_eq!(
        found("raise E('name one that is there')\nwhoever_asks = f\"so many {x}\""),
        [(1, "one that"), (2, "whoever"), (2, "so many")]
    );
    assert_eq!(found("x = \"it's\"\ny = 'a \\' b'  # `anew`, \"said\"\nretold = unsaid(x)"), []);
}

#[test]
fn the_search_for_words_finds_them_in_html() {
    let found = |text: &str| banned("a.html", text).into_iter().map(|(line, word, _)| (line, word)).collect::<Vec<_>>();
    assert_eq!(found("<p>So\nmany <b title=\"it was told\">x</b></p>"), [(1, "so many"), (2, "told")]);
    assert_eq!(
        found("<!-- anew -->\n<script>\nput(\"x\", one.said + ' as ever'); // lent\n</script>"),
        [(1, "anew"), (3, "said"), (3, "as ever"), (3, "lent")]
    );
    assert_eq!(found("<style>a { b: c; } /* dyed */</style>\n{{ answer.told }}"), [(1, "dyed"), (2, "told")]);
    assert_eq!(found("<p>retold, renewed</p><script>const unsaid = 'https://a';</script>"), []);
}

/// What a person reads, in pieces, each with the line on which it begins.
type Readable = Vec<(usize, String)>;

/// The banned words of a file, each with its line and the piece that it stands in.
fn banned(path: &str, text: &str) -> Vec<(usize, &'static str, String)> {
    let pieces = match path.rsplit('.').next() {
        Some("py") => PYTHON.read(text, 1),
        Some("html") => page(text),
        _ => Vec::new(),
    };
    let of = |(line, piece): (usize, String)| {
        let lower = piece.to_lowercase();
        let words = BANNED.into_iter().filter(move |word| holds(&lower, word));
        words.map(move |word| (line, word, piece.clone())).collect::<Vec<_>>()
    };
    pieces.into_iter().flat_map(of).collect()
}

/// What marks comments and texts in a language.
struct Syntax {
    comment: &'static str,
    /// The longest first.
    quotes: &'static [&'static str],
}

const PYTHON: Syntax = Syntax { comment: "#", quotes: &["\"\"\"", "'''", "\"", "'"] };
const SCRIPT: Syntax = Syntax { comment: "//", quotes: &["\"", "'", "`"] };
const STYLE: Syntax = Syntax { comment: "/*", quotes: &["\""] };
/// A tag of HTML has texts and names, and no comments.
const TAG: Syntax = Syntax { comment: "<!--", quotes: &["\""] };

impl Syntax {
    /// The comments, texts and names of code whose first line has this number. Comments and texts of several lines are prose, in
    /// which what stands between quotation marks is left out.
    fn read(&self, code: &str, first_line: usize) -> Readable {
        let (mut found, mut line, mut rest) = (Vec::new(), first_line, code);
        while let Some(first) = rest.chars().next() {
            let quote = self.quotes.iter().find(|quote| rest.starts_with(**quote));
            let (length, piece) = if rest.starts_with(self.comment) {
                let end = rest.find('\n').unwrap_or(rest.len());
                (end, unquoted(&rest[..end]))
            } else if let Some(quote) = quote {
                let inside = inside(&rest[quote.len()..], quote);
                let words = if quote.len() > 1 { unquoted(inside) } else { inside.to_owned() };
                ((inside.len() + 2 * quote.len()).min(rest.len()), words)
            } else if first.is_alphabetic() || first == '_' {
                let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
                (end, rest[..end].replace('_', " "))
            } else {
                (first.len_utf8(), String::new())
            };
            found.push((line, in_one_line(&piece)));
            line += rest[..length].matches('\n').count();
            rest = &rest[length..];
        }
        found
    }
}

/// What stands before the quotation mark that ends a text. A backslash takes its meaning from the character after it.
fn inside<'a>(text: &'a str, quote: &str) -> &'a str {
    let mut escaped = false;
    let end = text.char_indices().find(|(at, c)| {
        let ends = !escaped && text[*at..].starts_with(quote);
        escaped = *c == '\\' && !escaped;
        ends
    });
    end.map_or(text, |(at, _)| &text[..at])
}

/// The readable pieces of a page: its texts, comments, tags, scripts and styles.
fn page(text: &str) -> Readable {
    let (mut found, mut line, mut rest) = (Vec::new(), 1, text);
    while !rest.is_empty() {
        let until = |mark: &str| rest.find(mark).map_or(rest.len(), |at| at + mark.len());
        let parts = [
            ("<script", "</script>", &SCRIPT),
            ("<style", "</style>", &STYLE),
            ("<!--", "-->", &TAG),
            ("<", ">", &TAG),
        ];
        let part = parts.into_iter().find(|(begin, ..)| rest.starts_with(begin));
        let length = part.map_or_else(|| rest.find('<').unwrap_or(rest.len()), |(_, end, _)| until(end));
        match part {
            Some((.., syntax)) => found.extend(syntax.read(&rest[..length], line)),
            None => {
                let blank = rest[..length].len() - rest[..length].trim_start().len();
                found.push((line + rest[..blank].matches('\n').count(), in_one_line(&rest[..length])));
            }
        }
        line += rest[..length].matches('\n').count();
        rest = &rest[length..];
    }
    found
}

fn in_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
