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
    match level {
        log::Level::Error => tracing::error!(component, "{line}"),
        log::Level::Warn => tracing::warn!(component, "{line}"),
        log::Level::Info => tracing::info!(component, "{line}"),
        log::Level::Debug => tracing::debug!(component, "{line}"),
    }
}

/// The first `most` bytes, never ending inside a character.
pub(crate) fn cut(text: &str, most: usize) -> &str {
    text.get(..text.floor_char_boundary(most)).unwrap_or(text)
}
