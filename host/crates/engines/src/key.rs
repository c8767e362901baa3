//! The key of an engine, which nothing shows.

use crate::{Fault, RemoteError};
use reqwest::header::HeaderValue;
use std::fmt;

/// A key that is sent to engines as a bearer token.
#[derive(Clone)]
pub struct Key(HeaderValue);

impl Key {
    /// A key as a file or a variable holds it; white space around it is not part of it.
    ///
    /// # Errors
    /// [`Fault::Setup`] if it is empty, or no text that a header can carry.
    pub fn new(text: &str) -> Result<Self, RemoteError> {
        let wrong = |reason: &str| Fault::Setup { reason: reason.to_owned() }.at("(its key)");
        let text = text.trim();
        if text.is_empty() {
            return Err(wrong("the key is empty; write the engine's key into the file or the variable"));
        }
        let value = HeaderValue::from_str(&format!("Bearer {text}"));
        let mut value = value.map_err(|_| wrong("the key holds characters that a header cannot carry"))?;
        value.set_sensitive(true);
        Ok(Self(value))
    }

    pub(crate) fn header(&self) -> &HeaderValue {
        &self.0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(not shown)")
    }
}
