//! Whose certificates are believed.

use crate::{Fault, RemoteError};
use reqwest::Certificate;
use std::fmt;

/// Certificates that take the place of the system's: those of authorities, or those of engines themselves.
#[derive(Clone)]
pub struct Authority(Vec<Certificate>);

impl Authority {
    /// Reads certificates in PEM format, one after the other.
    ///
    /// # Errors
    /// [`Fault::Setup`] if the file has no certificate, or if one cannot be read.
    pub fn new(pem: &[u8]) -> Result<Self, RemoteError> {
        let wrong = |reason: &str| Fault::Setup { reason: reason.to_owned() }.at("(its certificates)");
        let all = Certificate::from_pem_bundle(pem).map_err(|_| wrong("the certificates cannot be read as PEM"))?;
        if all.is_empty() {
            return Err(wrong("there is no certificate; write at least one in PEM format"));
        }
        Ok(Self(all))
    }

    pub(crate) fn certificates(&self) -> Vec<Certificate> {
        self.0.clone()
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Authority({} certificates)", self.0.len())
    }
}
