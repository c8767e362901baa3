//! Who sends a request: a client or an administrator, known by a key.

use crate::{
    error::ApiError,
    quota::Quota,
    settings::{Settings, Tenant},
};
use axum::http::{HeaderMap, StatusCode, header::AUTHORIZATION};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use subtle::{Choice, ConstantTimeEq};

/// The header in which LiteLLM sends the key of a guardrail.
const GATEWAY_KEY: &str = "x-api-key";

/// A client.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) name: String,
    pub(crate) tenant: Tenant,
    pub(crate) quota: Arc<Quota>,
    /// The SHA-256 of its key; empty where no key is needed.
    key: Vec<u8>,
}

/// All clients, and the administrators.
#[derive(Debug)]
pub(crate) struct Clients {
    clients: Vec<Arc<Client>>,
    /// The SHA-256 of the administrators' token, if there is one.
    admin: Option<Vec<u8>>,
}

impl Clients {
    pub(crate) fn new(settings: &Settings) -> Self {
        let client = |name: &str, tenant: &Tenant| {
            let (key, quota) = (from_hex(&tenant.key_sha256), Quota::new(tenant.per_minute, tenant.at_once));
            Arc::new(Client { name: name.to_owned(), tenant: tenant.clone(), quota: Arc::new(quota), key })
        };
        let mut clients: Vec<_> = settings.tenants.iter().map(|(name, tenant)| client(name, tenant)).collect();
        if clients.is_empty() {
            clients.push(client("anyone", &Tenant::default()));
        }
        Self { clients, admin: settings.admin_token_sha256.as_deref().map(from_hex) }
    }

    /// The client with the key in these headers.
    pub(crate) fn client(&self, headers: &HeaderMap) -> Result<Arc<Client>, ApiError> {
        self.with_key(bearer(headers))
    }

    /// The client of a gateway, which may send the key in a header of its own.
    pub(crate) fn gateway(&self, headers: &HeaderMap) -> Result<Arc<Client>, ApiError> {
        let own = headers.get(GATEWAY_KEY).and_then(|value| value.to_str().ok()).map(str::trim);
        self.with_key(own.or_else(|| bearer(headers)))
    }

    /// The client with this key. All keys are compared, each in constant time.
    pub(crate) fn with_key(&self, key: Option<&str>) -> Result<Arc<Client>, ApiError> {
        if let [open] = self.clients.as_slice()
            && open.key.is_empty()
        {
            return Ok(Arc::clone(open));
        }
        let given = digest(key)?;
        let mut found = None;
        for client in &self.clients {
            if bool::from(same(&client.key, &given)) {
                found = Some(client);
            }
        }
        found.cloned().ok_or_else(|| unauthorized("the API key is not known here"))
    }

    /// Checks that the administrators' token is in these headers, if there is one.
    pub(crate) fn administrator(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        let Some(token) = &self.admin else { return Ok(()) };
        if bool::from(same(token, &digest(bearer(headers))?)) {
            return Ok(());
        }
        Err(unauthorized("this is not the administrators' token"))
    }
}

/// The key in the header `Authorization`, if there is one.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let key = value.and_then(|value| value.trim_start().split_once(' '));
    // The case of a scheme does not matter (RFC 9110, 11.1).
    key.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, key)| key.trim())
}

fn digest(key: Option<&str>) -> Result<[u8; 32], ApiError> {
    let key = key.ok_or_else(|| unauthorized("no API key; send the header `Authorization: Bearer KEY`"))?;
    Ok(Sha256::digest(key).into())
}

fn same(known: &[u8], given: &[u8; 32]) -> Choice {
    known.ct_eq(given.as_slice())
}

fn unauthorized(message: &str) -> ApiError {
    ApiError::new(StatusCode::UNAUTHORIZED, "invalid_api_key", message)
}

/// Bytes of pairs of hexadecimal digits, which [`Settings::validate`] has checked.
fn from_hex(text: &str) -> Vec<u8> {
    hex::decode(text).expect("settings with other texts are refused")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_of_a_key_has_no_case() {
        let of = |value: &str| {
            let headers = [(AUTHORIZATION, value.parse().unwrap())].into_iter().collect();
            digest(bearer(&headers)).ok().map(|digest| digest.to_vec())
        };
        let key = Some(Sha256::digest("k").to_vec());
        for value in ["Bearer k", "bearer k", "BEARER k", "Bearer   k ", " bEaReR k"] {
            assert_eq!(of(value), key, "{value}");
        }
        for value in ["", "k", "Bearer", "Bearerk", "Basic k", "Bearer: k", "xBearer k"] {
            assert_eq!(of(value), None, "{value}");
        }
        assert_ne!(of("Bearer K"), key, "the key has its case");
    }
}
