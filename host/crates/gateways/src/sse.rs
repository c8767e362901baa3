//! Server-sent events, from pieces of bytes that are cut anywhere.
//!
//! Events are read and written again, and are never passed on as they came: what another reader would see in the bytes and this
//! one does not, goes nowhere.

use crate::Problem;

/// The data that ends a stream of OpenAI's.
pub const DONE: &str = "[DONE]";

/// Reads events.
#[derive(Debug, Clone)]
pub struct Decoder {
    /// Bytes of a line that has not ended.
    line: Vec<u8>,
    /// The data of an event that has not ended.
    data: Vec<String>,
    /// The most bytes of one event.
    most: usize,
    bytes: usize,
}

impl Decoder {
    /// A reader of events of at most this many bytes.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { line: Vec::new(), data: Vec::new(), most, bytes: 0 }
    }

    /// The data of the events that end in these bytes. Comments, names and ids of events are left out.
    ///
    /// # Errors
    /// [`Problem`] for data that is not UTF-8, and for an event that is too large.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<String>, Problem> {
        let mut events = Vec::new();
        for byte in bytes {
            self.bytes += 1;
            if self.bytes > self.most {
                return Err(Problem::new("event_too_large", format!("an event has more than {} bytes", self.most)));
            }
            match byte {
                b'\n' => events.extend(self.end_line()?),
                other => self.line.push(*other),
            }
        }
        Ok(events)
    }

    /// The data of the last event, if its stream ended in the middle of it.
    ///
    /// # Errors
    /// As [`Decoder::push`].
    pub fn end(&mut self) -> Result<Option<String>, Problem> {
        let last = self.end_line()?;
        Ok(last.or_else(|| self.end_event()))
    }

    fn end_line(&mut self) -> Result<Option<String>, Problem> {
        let line = std::mem::take(&mut self.line);
        let line = String::from_utf8(line).map_err(|_| Problem::new("invalid_event", "an event is not UTF-8"))?;
        let line = line.strip_suffix('\r').unwrap_or(&line);
        if line.is_empty() {
            return Ok(self.end_event());
        }
        if let Some(data) = line.strip_prefix("data:") {
            self.data.push(data.strip_prefix(' ').unwrap_or(data).to_owned());
        }
        Ok(None)
    }

    fn end_event(&mut self) -> Option<String> {
        self.bytes = 0;
        let data = std::mem::take(&mut self.data);
        (!data.is_empty()).then(|| data.join("\n"))
    }
}

/// An event with this data: a line for each of its lines.
#[must_use]
pub fn event(data: &str) -> String {
    data.split('\n').map(|line| format!("data: {line}\n")).chain(["\n".to_owned()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str =
        ": comment\n\ndata: {\"a\": \"ü\"}\r\n\r\nevent: x\nid: 1\ndata:one\ndata: two\n\ndata: [DONE]\n\n";

    fn all(decoder: &mut Decoder, pieces: &[&[u8]]) -> Vec<String> {
        let mut events: Vec<String> = pieces.iter().flat_map(|piece| decoder.push(piece).unwrap()).collect();
        events.extend(decoder.end().unwrap());
        events
    }

    #[test]
    fn events_are_the_same_wherever_the_bytes_are_cut() {
        let expected = ["{\"a\": \"ü\"}", "one\ntwo", DONE];
        let bytes = STREAM.as_bytes();
        for cut in 0..=bytes.len() {
            let (first, second) = bytes.split_at(cut);
            assert_eq!(all(&mut Decoder::new(100), &[first, second]), expected, "{cut}");
        }
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(all(&mut Decoder::new(100), &single), expected);
    }

    #[test]
    fn an_event_at_the_end_needs_no_empty_line() {
        for end in ["data: x", "data: x\n", "data: x\r\n", "data: x\n\n"] {
            assert_eq!(all(&mut Decoder::new(100), &[end.as_bytes()]), ["x"], "{end:?}");
        }
        assert!(all(&mut Decoder::new(100), &[b": comment"]).is_empty());
    }

    #[test]
    fn what_is_no_event_is_an_error() {
        let code = |bytes: &[u8]| Decoder::new(20).push(bytes).unwrap_err().code;
        assert_eq!(code(b"data: \xff\n\n"), "invalid_event");
        assert_eq!(code(b"data: aaaaaaaaaaaaaaaaaaaaaaaa"), "event_too_large");
        assert_eq!(code(b"data: a\ndata: a\ndata: a\n"), "event_too_large");
    }
}
