//! Where an engine is, and its key, which nothing shows.

use crate::{Fault, RemoteError, error::quoted};
use reqwest::{Url, header::HeaderValue};
use std::fmt;

/// The URL of an engine: `http` or `https`, a host, and a path before those of the engine if there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint(Url);

impl Endpoint {
    /// Reads one URL.
    ///
    /// # Errors
    /// [`Fault::Setup`] if it is no such URL, or holds user, password, query or fragment.
    pub fn new(text: &str) -> Result<Self, RemoteError> {
        let wrong = |reason: &str| Fault::Setup { reason: reason.to_owned() }.at(quoted(text));
        let url = Url::parse(text).map_err(|_| wrong("this is no URL; write http://HOST:PORT"))?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(wrong("write http://HOST:PORT or https://HOST:PORT"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Fault::Setup { reason: "a URL holds no user or password; use --engine-key-file".into() }
                .at(url.host_str().unwrap_or_default()));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(wrong("a URL of an engine has no query and no fragment"));
        }
        Ok(Self(url))
    }

    /// Reads URLs with commas between them.
    ///
    /// # Errors
    /// As [`Endpoint::new`]; also if there is no URL, or the same one twice.
    pub fn list(text: &str) -> Result<Vec<Self>, RemoteError> {
        let all = text.split(',').map(|one| Self::new(one.trim())).collect::<Result<Vec<_>, _>>()?;
        match all.iter().enumerate().find(|(i, one)| all[..*i].contains(one)) {
            Some((_, twice)) => Err(Fault::Setup { reason: "this URL is there twice".into() }.at(twice)),
            None => Ok(all),
        }
    }

    pub(crate) fn is_encrypted(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// The URL of a call.
    pub(crate) fn of(&self, path: &str) -> String {
        format!("{}{path}", self.0.as_str().trim_end_matches('/'))
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

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
