//! Who asks, and how much of it they may.

use crate::{
    error::ApiError,
    settings::{Settings, Tenant},
};
use axum::http::{HeaderMap, StatusCode, header::AUTHORIZATION};
use sha2::{Digest, Sha256};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use subtle::{Choice, ConstantTimeEq};

const MINUTE: Duration = Duration::from_secs(60);

/// A client, and what it is doing.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) name: String,
    pub(crate) tenant: Tenant,
    key: Vec<u8>,
    usage: Mutex<Recent>,
}

#[derive(Debug, Default)]
struct Recent {
    begun: VecDeque<Instant>,
    running: usize,
}

/// All who may ask.
#[derive(Debug)]
pub(crate) struct Clients {
    clients: Vec<Arc<Client>>,
    admin: Option<Vec<u8>>,
}

/// A request of a client; it counts as running until this is dropped.
#[derive(Debug)]
pub(crate) struct Admitted(pub(crate) Arc<Client>);

impl Drop for Admitted {
    fn drop(&mut self) {
        self.0.usage.lock().unwrap_or_else(PoisonError::into_inner).running -= 1;
    }
}

impl Clients {
    pub(crate) fn new(settings: &Settings) -> Self {
        let client = |name: &str, tenant: &Tenant| {
            let key = from_hex(&tenant.key_sha256);
            Arc::new(Client { name: name.to_owned(), tenant: tenant.clone(), key, usage: Mutex::default() })
        };
        let mut clients: Vec<_> = settings.tenants.iter().map(|(name, tenant)| client(name, tenant)).collect();
        if clients.is_empty() {
            clients.push(client("anyone", &Tenant::default()));
        }
        Self { clients, admin: settings.admin_token_sha256.as_deref().map(from_hex) }
    }

    /// The client of these headers, if it may ask now.
    pub(crate) fn admit(&self, headers: &HeaderMap) -> Result<Admitted, ApiError> {
        let client = self.client(headers)?;
        client.begin(Instant::now())?;
        Ok(Admitted(client))
    }

    /// The client of these headers. All keys are compared, each in constant time.
    pub(crate) fn client(&self, headers: &HeaderMap) -> Result<Arc<Client>, ApiError> {
        if let [open] = self.clients.as_slice()
            && open.key.is_empty()
        {
            return Ok(Arc::clone(open));
        }
        let given = digest(headers)?;
        let mut found = None;
        for client in &self.clients {
            if bool::from(same(&client.key, &given)) {
                found = Some(client);
            }
        }
        found.cloned().ok_or_else(|| unauthorized("the API key is not known here"))
    }

    /// Whether these headers are an administrator's.
    pub(crate) fn administrator(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        let Some(token) = &self.admin else { return Ok(()) };
        if bool::from(same(token, &digest(headers)?)) {
            return Ok(());
        }
        Err(unauthorized("this is not the administrators' token"))
    }
}

impl Client {
    fn begin(&self, now: Instant) -> Result<(), ApiError> {
        let mut usage = self.usage.lock().unwrap_or_else(PoisonError::into_inner);
        while usage.begun.front().is_some_and(|begun| now.duration_since(*begun) >= MINUTE) {
            usage.begun.pop_front();
        }
        let too_many = |message, seconds| {
            Err(ApiError::later(StatusCode::TOO_MANY_REQUESTS, "rate_limit_exceeded", message, seconds))
        };
        if let Some(limit) = self.tenant.at_once.filter(|limit| usage.running >= *limit) {
            return too_many(format!("{limit} requests of this key are running, and no more may"), 1);
        }
        if let Some(limit) = self.tenant.per_minute {
            if usage.begun.len() >= limit as usize {
                let left =
                    usage.begun.front().map_or(MINUTE, |begun| MINUTE.saturating_sub(now.duration_since(*begun)));
                return too_many(format!("{limit} requests a minute are allowed"), left.as_secs() + 1);
            }
            usage.begun.push_back(now);
        }
        usage.running += 1;
        Ok(())
    }
}

fn digest(headers: &HeaderMap) -> Result<[u8; 32], ApiError> {
    let value = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let key = value.and_then(|value| value.strip_prefix("Bearer ")).map(str::trim);
    let key = key.ok_or_else(|| unauthorized("no API key; send the header `Authorization: Bearer KEY`"))?;
    Ok(Sha256::digest(key).into())
}

fn same(known: &[u8], given: &[u8; 32]) -> Choice {
    known.ct_eq(given.as_slice())
}

fn unauthorized(message: &str) -> ApiError {
    ApiError::new(StatusCode::UNAUTHORIZED, "invalid_api_key", message)
}

/// Checked before: pairs of hexadecimal digits.
fn from_hex(text: &str) -> Vec<u8> {
    let pairs = text.as_bytes().chunks_exact(2);
    pairs.filter_map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(per_minute: Option<u32>, at_once: Option<usize>) -> Client {
        let tenant = Tenant { per_minute, at_once, ..Tenant::default() };
        Client { name: "a".into(), tenant, key: Vec::new(), usage: Mutex::default() }
    }

    #[test]
    fn a_minute_is_a_sliding_one() {
        let (client, start) = (client(Some(2), None), Instant::now());
        let at = |seconds| client.begin(start + Duration::from_secs(seconds));
        assert!(at(0).is_ok() && at(30).is_ok());
        let error = at(40).unwrap_err();
        assert_eq!((error.status.as_u16(), error.retry_after), (429, Some(21)));
        assert!(at(60).is_ok() && at(61).is_err() && at(90).is_ok());
    }

    #[test]
    fn so_many_at_once_and_room_again_after_one_ends() {
        let client = Arc::new(client(None, Some(1)));
        client.begin(Instant::now()).unwrap();
        let first = Admitted(Arc::clone(&client));
        assert_eq!(client.begin(Instant::now()).unwrap_err().status.as_u16(), 429);
        drop(first);
        assert!(client.begin(Instant::now()).is_ok());
    }
}
