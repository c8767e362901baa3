//! A text in which some characters are marked, as the methods of Python's strings see it.

use crate::marked::{is_blank, is_marked, mark_char, plain};

/// Characters as they are, and as they are written.
#[derive(Clone)]
pub(super) struct Text {
    /// With their marks.
    shown: Vec<char>,
    /// Without.
    plain: Vec<char>,
}

impl Text {
    pub(super) fn new(text: &str) -> Self {
        let shown: Vec<char> = text.chars().collect();
        let plain = shown.iter().map(|c| plain(*c)).collect();
        Self { shown, plain }
    }

    pub(super) fn len(&self) -> usize {
        self.plain.len()
    }

    pub(super) fn plain(&self) -> &[char] {
        &self.plain
    }

    /// A part of it, marked as it was.
    pub(super) fn part(&self, from: usize, to: usize) -> String {
        self.shown[from.min(to)..to].iter().collect()
    }

    /// Where `other` stands first, from `from` on and before `to`.
    pub(super) fn find(&self, other: &Self, from: usize, to: usize) -> Option<usize> {
        let last = to.min(self.len()).checked_sub(other.len())?;
        (from..=last).find(|at| self.has(other, *at))
    }

    /// Where it stands last.
    pub(super) fn rfind(&self, other: &Self, from: usize, to: usize) -> Option<usize> {
        let last = to.min(self.len()).checked_sub(other.len())?;
        (from..=last).rev().find(|at| self.has(other, *at))
    }

    /// Whether `other` stands here.
    pub(super) fn has(&self, other: &Self, at: usize) -> bool {
        self.plain.get(at..at + other.len()).is_some_and(|part| part == other.plain)
    }

    /// Where it begins and ends without these characters around it; without whitespace if there are none given.
    pub(super) fn stripped(&self, set: Option<&Self>, start: bool, end: bool) -> (usize, usize) {
        let goes = |c: &char| set.map_or_else(|| is_blank(*c), |set| set.plain.contains(c));
        let from = if start { self.plain.iter().take_while(|c| goes(c)).count() } else { 0 };
        let tail = if end { self.plain[from..].iter().rev().take_while(|c| goes(c)).count() } else { 0 };
        (from, self.len() - tail)
    }

    /// Every character replaced by others, which are marked if it was. `change` is also given the character before.
    pub(super) fn changed(&self, change: impl Fn(Option<char>, char) -> Vec<char>) -> String {
        let mut before = None;
        let mut out = String::new();
        for (shown, plain) in self.shown.iter().zip(&self.plain) {
            let new = change(before, *plain);
            out.extend(new.into_iter().map(|c| if is_marked(*shown) { mark_char(c) } else { c }));
            before = Some(*plain);
        }
        out
    }

    /// Ranges between separators, at most `most` of them cut off from the left.
    pub(super) fn split(&self, separator: &Self, most: Option<usize>) -> Vec<(usize, usize)> {
        let (mut parts, mut from) = (Vec::new(), 0);
        while most.is_none_or(|most| parts.len() < most) {
            let Some(at) = self.find(separator, from, self.len()) else { break };
            parts.push((from, at));
            from = at + separator.len();
        }
        parts.push((from, self.len()));
        parts
    }

    /// The parts between separators, cut from the right.
    pub(super) fn rsplit(&self, separator: &Self, most: Option<usize>) -> Vec<(usize, usize)> {
        let (mut parts, mut to) = (Vec::new(), self.len());
        while most.is_none_or(|most| parts.len() < most) {
            let Some(at) = self.rfind(separator, 0, to) else { break };
            parts.push((at + separator.len(), to));
            to = at;
        }
        parts.push((0, to));
        parts.reverse();
        parts
    }

    /// Words between whitespace, at most `most` of them cut off from the left.
    pub(super) fn split_blank(&self, most: Option<usize>) -> Vec<(usize, usize)> {
        let (mut parts, mut at) = (Vec::new(), 0);
        loop {
            at += self.plain[at..].iter().take_while(|c| is_blank(**c)).count();
            if at == self.len() {
                return parts;
            }
            if most.is_some_and(|most| parts.len() >= most) {
                parts.push((at, self.len()));
                return parts;
            }
            let len = self.plain[at..].iter().take_while(|c| !is_blank(**c)).count();
            parts.push((at, at + len));
            at += len;
        }
    }

    /// The parts between blanks, cut from the right.
    pub(super) fn rsplit_blank(&self, most: Option<usize>) -> Vec<(usize, usize)> {
        let (mut parts, mut to) = (Vec::new(), self.len());
        loop {
            to -= self.plain[..to].iter().rev().take_while(|c| is_blank(**c)).count();
            if to == 0 {
                break;
            }
            if most.is_some_and(|most| parts.len() >= most) {
                parts.push((0, to));
                break;
            }
            let len = self.plain[..to].iter().rev().take_while(|c| !is_blank(**c)).count();
            parts.push((to - len, to));
            to -= len;
        }
        parts.reverse();
        parts
    }

    /// Lines, with or without their ends.
    pub(super) fn lines(&self, ends: bool) -> Vec<(usize, usize)> {
        const BREAKS: [char; 10] =
            ['\n', '\r', '\u{b}', '\u{c}', '\u{1c}', '\u{1d}', '\u{1e}', '\u{85}', '\u{2028}', '\u{2029}'];
        let (mut parts, mut from) = (Vec::new(), 0);
        while let Some(len) = self.plain[from..].iter().position(|c| BREAKS.contains(c)) {
            let at = from + len;
            let two = self.plain[at] == '\r' && self.plain.get(at + 1) == Some(&'\n');
            let next = at + 1 + usize::from(two);
            parts.push((from, if ends { next } else { at }));
            from = next;
        }
        if from < self.len() {
            parts.push((from, self.len()));
        }
        parts
    }
}
