//! Untrusted text on a terminal. Text from components, bundles, records, models and servers must not move the cursor, change
//! the order of letters, or look like lines of the program.

use std::borrow::Cow;

/// A text of several lines. Characters that a terminal would obey are written as escapes, such as `\u{1b}`.
#[must_use]
pub fn text(text: &str) -> Cow<'_, str> {
    written_out(text, |char| !matches!(char, '\n' | '\t') && is_obeyed(char), |char| char.escape_default().to_string())
}

/// The same for a text that must stay on one line: line breaks are escaped as well.
#[must_use]
pub fn line(text: &str) -> Cow<'_, str> {
    written_out(text, is_obeyed, |char| char.escape_default().to_string())
}

/// Several texts, each on a line of its own.
#[must_use]
pub fn lines<T: AsRef<str>>(lines: impl IntoIterator<Item = T>) -> String {
    lines.into_iter().map(|one| line(one.as_ref()).into_owned()).collect::<Vec<_>>().join("\n")
}

/// The same JSON value, without characters that a terminal would obey.
#[must_use]
pub fn json(text: &str) -> Cow<'_, str> {
    // They have four hexadecimal digits at most, and in JSON only strings hold them.
    written_out(text, is_obeyed, |char| format!("\\u{:04x}", u32::from(char)))
}

/// Control characters, and those that change the order in which text is shown.
fn is_obeyed(char: char) -> bool {
    char.is_control()
        || matches!(char, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn written_out(text: &str, obeyed: impl Fn(char) -> bool, written: impl Fn(char) -> String) -> Cow<'_, str> {
    if !text.chars().any(&obeyed) {
        return Cow::Borrowed(text);
    }
    let one = |char: char| if obeyed(char) { written(char) } else { char.to_string() };
    Cow::Owned(text.chars().map(one).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Clears the screen, sets the title, hides, returns, rings, turns round, and the eight-bit form of the first.
    const RUDE: &str = "a\u{1b}[2J\u{1b}]0;x\u{7}\u{1b}[8m\rb\u{8}\u{7f}\u{9b}2J\u{202e}c\u{2066}\u{200f}\u{2028}\0";

    #[test]
    fn nothing_that_a_terminal_obeys_is_left() {
        let every: String = (0..0x1_0000).filter_map(char::from_u32).collect();
        for rude in [RUDE, &every] {
            for shown in [text(rude), line(rude), json(rude)] {
                assert!(!shown.chars().any(|char| !matches!(char, '\n' | '\t') && is_obeyed(char)), "{shown:?}");
            }
            assert!(!line(rude).contains(['\n', '\t']));
        }
        assert_eq!(line("a\nb\u{1b}[m\u{202e}"), "a\\nb\\u{1b}[m\\u{202e}");
    }

    #[test]
    fn ordinary_text_is_left_alone() {
        let ordinary = "Grüße, мир, שלום, سلام, 你好, e\u{301}, 👩\u{200d}👩, `\\n`\n\tend";
        assert!(matches!(text(ordinary), Cow::Borrowed(same) if same == ordinary));
        assert_eq!(lines(["a\nb", "c"]), "a\\nb\nc");
    }

    #[test]
    fn json_means_the_same() {
        let written = serde_json::to_string(&[RUDE]).unwrap();
        let read: Vec<String> = serde_json::from_str(&json(&written)).unwrap();
        assert_eq!(read, [RUDE]);
    }
}
