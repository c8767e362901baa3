//! Text with a note of who wrote what: the scaffold of a template, and the words of clients and models.
//!
//! Only the scaffold may spell control tokens. While a template is rendered, words are marked: each character except
//! whitespace becomes a code point that Unicode has not assigned, so wherever a template puts it, it is still known as
//! a word, and no token is spelled with it.

use std::ops::Range;

/// Where marked characters begin, and where they end.
const MARKED: Range<u32> = 0x4_0000..0xB_0000;
/// Code points of the last three planes come after those of the first four.
const LATE: u32 = 0xE_0000;
/// The late ones, marked.
const LATE_MARKED: u32 = 0x8_0000;

/// A text, and which parts of it are words of clients or models.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Marked {
    text: String,
    /// Ranges of bytes, in order.
    words: Vec<Range<usize>>,
}

impl Marked {
    /// A text of the operator or of the model's authors.
    #[must_use]
    pub fn scaffold(text: &str) -> Self {
        Self { text: text.to_owned(), words: Vec::new() }
    }

    /// A text of a client or of a model.
    #[must_use]
    pub fn words(text: &str) -> Self {
        Self::default().and_words(text)
    }

    /// Appends scaffold.
    #[must_use]
    pub fn and_scaffold(mut self, text: &str) -> Self {
        self.text.push_str(text);
        self
    }

    /// Appends words of clients or models.
    #[must_use]
    pub fn and_words(mut self, text: &str) -> Self {
        let from = self.text.len();
        self.text.push_str(text);
        self.words.push(from..self.text.len());
        self
    }

    /// The text itself.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Reads a text in which words are marked.
    pub(crate) fn from_marks(text: &str) -> Self {
        let mut marked = Self::default();
        for c in text.chars() {
            let from = marked.text.len();
            marked.text.push(plain(c));
            if !is_marked(c) {
                continue;
            }
            let to = marked.text.len();
            match marked.words.last_mut() {
                Some(last) if last.end == from => last.end = to,
                _ => marked.words.push(from..to),
            }
        }
        marked
    }

    /// The text, of which every character of a word is another one of the same length, whitespace excepted.
    pub(crate) fn masked(&self) -> String {
        let mut masked = String::with_capacity(self.text.len());
        let mut from = 0;
        for range in &self.words {
            masked.push_str(&self.text[from..range.start]);
            masked.extend(self.text[range.clone()].chars().map(|c| if is_blank(c) { c } else { filler(c.len_utf8()) }));
            from = range.end;
        }
        masked.push_str(&self.text[from..]);
        masked
    }

    /// Whether a character of a word, other than whitespace, lies in this range of bytes.
    pub(crate) fn has_words_in(&self, range: &Range<usize>) -> bool {
        let first = self.words.partition_point(|words| words.end <= range.start);
        self.words[first..].iter().take_while(|words| words.start < range.end).any(|words| {
            let both = words.start.max(range.start)..words.end.min(range.end);
            self.text.get(both).is_none_or(|text| !text.chars().all(is_blank))
        })
    }
}

/// A character that spells nothing, of this many bytes.
fn filler(bytes: usize) -> char {
    match bytes {
        1 => '\u{1}',
        2 => '\u{378}',
        3 => '\u{fdd0}',
        _ => '\u{10ffff}',
    }
}

/// What Python calls whitespace; it is never marked, so that templates can trim and split.
pub(crate) fn is_blank(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

pub(crate) fn is_marked(c: char) -> bool {
    MARKED.contains(&u32::from(c))
}

/// A character of a word. Code points of planes that Unicode has not assigned become U+FFFD.
pub(crate) fn mark_char(c: char) -> char {
    let code = u32::from(c);
    let marked = match code {
        _ if is_blank(c) => code,
        LATE.. => code - LATE + LATE_MARKED,
        code if code < MARKED.start => code + MARKED.start,
        _ => u32::from(char::REPLACEMENT_CHARACTER) + MARKED.start,
    };
    char::from_u32(marked).unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// The character that was marked; others are as they are.
pub(crate) fn plain(c: char) -> char {
    let code = u32::from(c);
    let plain = match code {
        _ if !is_marked(c) => code,
        LATE_MARKED.. => code - LATE_MARKED + LATE,
        _ => code - MARKED.start,
    };
    char::from_u32(plain).unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// A text as words.
pub(crate) fn mark(text: &str) -> String {
    text.chars().map(mark_char).collect()
}

/// The text that was marked.
pub(crate) fn unmark(text: &str) -> String {
    text.chars().map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_character_comes_back() {
        let all = (0..=u32::from(char::MAX)).filter(|code| !MARKED.contains(code) && !(0xB_0000..LATE).contains(code));
        for c in all.filter_map(char::from_u32) {
            assert_eq!(plain(mark_char(c)), c, "{c:?}");
            assert_eq!(is_marked(mark_char(c)), !is_blank(c), "{c:?}");
        }
        assert_eq!(plain(mark_char('\u{50000}')), '\u{fffd}');
    }

    #[test]
    fn words_are_found_again() {
        let text = format!("<s>{}</s>{}\n", mark("é <s>\n"), mark("b"));
        let marked = Marked::from_marks(&text);
        assert_eq!(marked.text(), "<s>é <s>\n</s>b\n");
        assert_eq!(marked.masked().len(), marked.text().len());
        assert_eq!(marked.masked(), "<s>\u{378} \u{1}\u{1}\u{1}\n</s>\u{1}\n");
        assert!(marked.has_words_in(&(2..4)) && !marked.has_words_in(&(0..3)) && !marked.has_words_in(&(5..6)));
        let built = Marked::scaffold("<s>").and_words("é <s>\n").and_scaffold("</s>").and_words("b\n");
        assert_eq!(built.masked(), marked.masked());
    }
}
