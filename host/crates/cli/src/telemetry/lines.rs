//! One line of the log for one event, whatever text of strangers is in it.

use std::io::{self, Write};

/// A writer that is given one event at a time. Line breaks and other controls inside it are written as escapes; the escape
/// character itself is not its affair, as colours are made with it and the formatter takes it out of messages.
pub(super) struct OneLine<W>(pub(super) W);

impl<W: Write> Write for OneLine<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let (text, end) = match event.strip_suffix(b"\n") {
            Some(text) => (text, &b"\n"[..]),
            None => (event, &b""[..]),
        };
        let control = |byte: &u8| byte.is_ascii_control() && !b"\t\x1b".contains(byte);
        if !text.iter().any(control) {
            return self.0.write_all(event).map(|()| event.len());
        }
        let shown = |byte: &u8| if control(byte) { byte.escape_ascii().collect() } else { vec![*byte] };
        let line: Vec<u8> = text.iter().flat_map(shown).chain(end.iter().copied()).collect();
        self.0.write_all(&line).map(|()| event.len())
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
        written.write_all(" WARN a: b\r\n WARN forged\0\x08 ü\t\u{1b}[0m\n".as_bytes()).unwrap();
        written.write_all(b"another\n").unwrap();
        let expected = " WARN a: b\\r\\n WARN forged\\x00\\x08 ü\t\u{1b}[0m\nanother\n";
        assert_eq!(String::from_utf8(written.0).unwrap(), expected);
    }
}
