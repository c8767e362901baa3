//! Words that make a sentence hard to read: comments, pages, messages and names do without them.

use super::{files, none, rust_files, text};

/// In lower case. A plain sentence names who acts: the caller passes, the file names, the operator sets. Text is marked, and files
/// are given.
pub(super) const BANNED: [&str; 10] =
    ["anew", "as ever", "dyed", "lent", "one that", "said", "so many", "told", "undye", "whoever"];

#[test]
fn comments_and_pages_use_plain_words() {
    let mut complaints = Vec::new();
    for path in files() {
        let Some(marker) = Marker::of(&path) else { continue };
        for (i, line) in text(&path).lines().enumerate() {
            let prose = marker.prose(line).map(unquoted).unwrap_or_default().to_lowercase();
            for word in BANNED.into_iter().filter(|word| holds(&prose, word)) {
                complaints.push(format!("{path}:{}: `{word}`; name who acts, and what", i + 1));
            }
        }
    }
    none(complaints);
}

/// The files that hold the words, to look for them.
const OWN_FILES: [&str; 2] = ["tests/tidy_support/scripts.rs", "tests/tidy_support/words.rs"];

/// A literal may be such a word where it is an old name that still works.
const OLD_NAMES: [(&str, &str); 1] = [("host/crates/cli/src/serve.rs", "anew")];

#[test]
fn messages_and_names_use_plain_words() {
    let mut complaints = Vec::new();
    for (path, text) in rust_files().into_iter().filter(|(path, _)| !OWN_FILES.contains(&path.as_str())) {
        for found in Code::read(&text).words() {
            if !OLD_NAMES.contains(&(path.as_str(), found.text.as_str())) {
                complaints.push(format!("{path}:{}: `{}` in {:?}; say it plainly", found.line, found.word, found.text));
            }
        }
    }
    none(complaints);
}

#[test]
fn the_search_for_words_finds_them_in_messages_and_names() {
    let found = |text: &str| Code::read(text).words().iter().map(|one| (one.line, one.word)).collect::<Vec<_>>();
    assert_eq!(found("#[error(\"name one that\n  is there\")]"), [(1, "one that")]);
    assert_eq!(found("x;\nbail!(\"record \\\n    anew\");"), [(2, "anew")]);
    assert_eq!(found("let a = r#\"it \"said\" so\"#;"), [(1, "said")]);
    assert_eq!(found("fn or_told_by() {}\nstruct Told;\nlet said = 1;"), [(1, "told"), (2, "told"), (3, "said")]);
    assert_eq!(found("// it was told\n/* said */ let c = '\"'; // \"said\"\nlet retold = b'\\\"';"), []);
    assert_eq!(found("fn f<'a>(a: &'a str) -> &'a str { \"--anew\" }"), []);
}

#[test]
fn the_search_for_words_finds_them_in_prose_only() {
    let found = |path: &str, line: &str| {
        let prose = Marker::of(path).and_then(|marker| marker.prose(line).map(unquoted)).unwrap_or_default();
        BANNED.into_iter().any(|word| holds(&prose.to_lowercase(), word))
    };
    assert!(
        found("a.rs", "/// Whoever asks.") && found("a.rs", "let a = 1; // So many.") && found("a.md", "It was told.")
    );
    assert!(found("a.toml", "a = 1 # anew") && found("a.wit", "    /// One that is priced."));
    assert!(found(".ci/run", "# It was told.") && found(".ci/release", "# It was told."));
    assert!(!found("a.rs", "let told = \"told\";") && !found("a.rs", "/// The flag `--anew`, \"as ever\"."));
    let in_a_string = format!("let url = \"http://a // {}\";", "told");
    assert!(!found("a.rs", &in_a_string) && !found("a.rs", "// retold, renewed, one thatch"));
    assert!(!found("a.json", "whoever"));
}

/// How a kind of file marks prose.
enum Marker {
    /// All of it is prose.
    Page,
    /// Prose follows this mark.
    Comment(&'static str),
}

impl Marker {
    fn of(path: &str) -> Option<Self> {
        match path.rsplit(['.', '/']).next()? {
            "md" => Some(Self::Page),
            "rs" | "wit" | "c" | "h" => Some(Self::Comment("//")),
            "toml" | "run" | "release" | "install" | "book" | "yaml" | "yml" | "Containerfile" => {
                Some(Self::Comment("#"))
            }
            _ => None,
        }
    }

    /// The prose of a line, if it has any. A mark inside a string literal begins none.
    fn prose<'a>(&self, line: &'a str) -> Option<&'a str> {
        let Self::Comment(mark) = self else { return Some(line) };
        let outside = |at: &usize| line[..*at].matches('"').count().is_multiple_of(2);
        line.match_indices(mark).map(|(at, _)| at).find(outside).map(|at| &line[at..])
    }
}

/// Without what stands between quotation marks or backticks.
pub(super) fn unquoted(line: &str) -> String {
    let outside = |text: &str, quote: char| text.split(quote).step_by(2).collect::<Vec<_>>().join(" ");
    outside(&outside(line, '`'), '"')
}

/// True if the words stand in the text as whole words.
pub(super) fn holds(text: &str, words: &str) -> bool {
    let is_edge = |c: Option<char>| !c.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '-');
    text.match_indices(words)
        .any(|(at, _)| is_edge(text[..at].chars().next_back()) && is_edge(text[at + words.len()..].chars().next()))
}

/// The literals and the names of a Rust file, each with its line.
#[derive(Default)]
struct Code {
    literals: Vec<(usize, String)>,
    names: Vec<(usize, String)>,
}

/// A word that was found.
struct Found {
    line: usize,
    word: &'static str,
    text: String,
}

impl Code {
    fn read(text: &str) -> Self {
        let (mut code, mut line, mut rest) = (Self::default(), 1, text);
        while let Some(first) = rest.chars().next() {
            let length = match first {
                '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
                '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
                '\'' => quoted_char(rest),
                '"' => code.literal(line, &rest[1..], end_of) + 1,
                'r' if rest.starts_with("r\"") => code.literal(line, &rest[2..], |text| text.find('"')) + 2,
                'r' if rest.starts_with("r#\"") => code.literal(line, &rest[3..], |text| text.find("\"#")) + 3,
                c if c.is_alphabetic() || c == '_' => code.name(line, rest),
                c => c.len_utf8(),
            };
            line += rest[..length].matches('\n').count();
            rest = &rest[length..];
        }
        code
    }

    /// Keeps a literal; how long it is, with the quotation mark at its end.
    fn literal(&mut self, line: usize, text: &str, end: impl Fn(&str) -> Option<usize>) -> usize {
        let end = end(text).unwrap_or(text.len());
        let words = text[..end].replace("\\\n", "\n");
        self.literals.push((line, words.split_whitespace().collect::<Vec<_>>().join(" ")));
        (end + 1).min(text.len())
    }

    /// Keeps a name; how long it is.
    fn name(&mut self, line: usize, text: &str) -> usize {
        let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
        self.names.push((line, text[..end].to_owned()));
        end
    }

    fn words(&self) -> Vec<Found> {
        let literals = self.literals.iter().map(|(line, text)| (*line, text.clone(), text.to_lowercase()));
        let names = self.names.iter().map(|(line, name)| (*line, name.clone(), name.to_lowercase().replace('_', " ")));
        let all: Vec<_> = literals.chain(names).collect();
        let of = |(line, text, lower): &(usize, String, String)| {
            let words = BANNED.into_iter().filter(|word| holds(lower, word));
            words.map(|word| Found { line: *line, word, text: text.clone() }).collect::<Vec<_>>()
        };
        all.iter().flat_map(of).collect()
    }
}

/// Where the quotation mark at the end of a literal is.
fn end_of(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.char_indices().find_map(|(at, c)| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends.then_some(at)
    })
}

/// The length of a character's literal; of a lifetime only its mark.
fn quoted_char(text: &str) -> usize {
    let inner = text[1..].chars().next().map_or(0, char::len_utf8);
    let escaped = text[1..].starts_with('\\');
    let end = if escaped { text[3..].find('\'').map(|end| end + 3) } else { Some(1 + inner) };
    end.filter(|end| text[*end..].starts_with('\'')).map_or(1, |end| end + 1)
}
