//! The contract's `log`.

use crate::{
    Limits,
    bindings::inferenceguard::guard::{log, types},
    state::State,
};

impl types::Host for State {}

impl log::Host for State {
    fn write(&mut self, level: log::Level, message: String) -> wasmtime::Result<()> {
        let line = cut(&message, Limits::LOG_LINE);
        if self.log.take(line, self.limits.log_lines) {
            emit(level, &self.component, line);
        }
        Ok(())
    }
}

fn emit(level: log::Level, component: &str, line: &str) {
    let line = printable(line);
    match level {
        log::Level::Error => tracing::error!(component, "{line}"),
        log::Level::Warn => tracing::warn!(component, "{line}"),
        log::Level::Info => tracing::info!(component, "{line}"),
        log::Level::Debug => tracing::debug!(component, "{line}"),
    }
}

/// The text with all that moves a cursor, begins a line or turns the direction of writing shown as escapes: what a component
/// says is one line, and looks like what it says.
fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            character if character.is_control() => shown.extend(character.escape_default()),
            '\u{2028}' | '\u{2029}' | '\u{feff}' => shown.extend(character.escape_default()),
            '\u{061c}' | '\u{200e}' | '\u{200f}' => shown.extend(character.escape_default()),
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => shown.extend(character.escape_default()),
            character => shown.push(character),
        }
    }
    shown
}

/// The first `most` bytes, never ending inside a character.
pub(crate) fn cut(text: &str, most: usize) -> &str {
    text.get(..text.floor_char_boundary(most)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_a_component_forges_nothing() {
        for (line, shown) in [
            ("plain, grün, 日本語", "plain, grün, 日本語"),
            ("one\n WARN two", "one\\n WARN two"),
            ("\u{1b}[2J\u{7}\r\u{8}\u{9b}31m", "\\u{1b}[2J\\u{7}\\r\\u{8}\\u{9b}31m"),
            ("a\u{202e}b\u{2066}c\u{2028}d\u{85}e", "a\\u{202e}b\\u{2066}c\\u{2028}d\\u{85}e"),
        ] {
            assert_eq!(printable(line), shown);
        }
    }
}
