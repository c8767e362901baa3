//! One line of the log for each event, also if the event quotes line breaks.

use inferenceguard_console::escape;
use std::io::{self, Write};

/// A writer that receives one event at a time. Line breaks and other characters that a terminal would obey are written as
/// escapes, in the message and in all fields. That rules out colours: they would look like those in quoted text.
pub(super) struct OneLine<W>(pub(super) W);

impl<W: Write> Write for OneLine<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let (text, end) = match event.strip_suffix(b"\n") {
            Some(text) => (text, &b"\n"[..]),
            None => (event, &b""[..]),
        };
        let text = String::from_utf8_lossy(text);
        self.0.write_all(&[escape::line(&text).as_bytes(), end].concat())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line() {
        let mut written = OneLine(Vec::new());
        written.write_all(" WARN a: b\r\n WARN forged\0\x08 ü\t\u{1b}[0m\u{202e}\u{9b}\u{2028}\n".as_bytes()).unwrap();
        written.write_all(b"another\n").unwrap();
        let expected = " WARN a: b\\r\\n WARN forged\\u{0}\\u{8} ü\\t\\u{1b}[0m\\u{202e}\\u{9b}\\u{2028}\nanother\n";
        assert_eq!(String::from_utf8(written.0).unwrap(), expected);
    }
}
