//! Words that make a sentence hard to read: comments and pages do without them.

use super::{files, none, text};

/// In lower case. A plain sentence names who acts: the caller passes, the file names, the operator sets.
const BANNED: [&str; 7] = ["anew", "as ever", "one that", "said", "so many", "told", "whoever"];

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
            "toml" | "py" | "run" => Some(Self::Comment("#")),
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
fn unquoted(line: &str) -> String {
    let outside = |text: &str, quote: char| text.split(quote).step_by(2).collect::<Vec<_>>().join(" ");
    outside(&outside(line, '`'), '"')
}

/// True if the words stand in the text as whole words.
fn holds(text: &str, words: &str) -> bool {
    let is_edge = |c: Option<char>| !c.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '-');
    text.match_indices(words)
        .any(|(at, _)| is_edge(text[..at].chars().next_back()) && is_edge(text[at + words.len()..].chars().next()))
}
