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

/// A choice of a client; it counts as running until this is dropped.
#[derive(Debug)]
pub(crate) struct Admitted(Arc<Client>);

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
    /// Places for so many choices, if it may ask for them now.
    pub(crate) fn admit(self: &Arc<Self>, choices: u32) -> Result<Vec<Admitted>, ApiError> {
        self.begin(Instant::now(), choices as usize)?;
        Ok((0..choices).map(|_| Admitted(Arc::clone(self))).collect())
    }

    fn begin(&self, now: Instant, choices: usize) -> Result<(), ApiError> {
        let per_minute = self.tenant.per_minute.map(|limit| limit as usize);
        let most = [self.tenant.at_once, per_minute].into_iter().flatten().min();
        if let Some(limit) = most.filter(|limit| choices > *limit) {
            return Err(ApiError::bad("n", format!("found {choices}; this key may ask for at most {limit}")));
        }
        let mut usage = self.usage.lock().unwrap_or_else(PoisonError::into_inner);
        while usage.begun.front().is_some_and(|begun| now.duration_since(*begun) >= MINUTE) {
            usage.begun.pop_front();
        }
        let too_many = |message, seconds| {
            Err(ApiError::later(StatusCode::TOO_MANY_REQUESTS, "rate_limit_exceeded", message, seconds))
        };
        if let Some(limit) = self.tenant.at_once.filter(|limit| usage.running + choices > *limit) {
            return too_many(format!("{limit} choices of this key may run at once, and {} do", usage.running), 1);
        }
        if let Some(limit) = per_minute {
            // There is room again when the last of those that are too many is a minute old.
            if let Some(last) = (usage.begun.len() + choices).checked_sub(limit + 1) {
                let left =
                    usage.begun.get(last).map_or(MINUTE, |begun| MINUTE.saturating_sub(now.duration_since(*begun)));
                return too_many(format!("{limit} requests a minute are allowed"), left.as_secs() + 1);
            }
            usage.begun.extend(std::iter::repeat_n(now, choices));
        }
        usage.running += choices;
        Ok(())
    }
}

fn digest(headers: &HeaderMap) -> Result<[u8; 32], ApiError> {
    let value = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let key = value.and_then(|value| value.trim_start().split_once(' '));
    // The name of a scheme has no case (RFC 9110, 11.1).
    let key = key.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, key)| key.trim());
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
    fn the_scheme_of_a_key_has_no_case() {
        let of = |value: &str| {
            let headers = [(AUTHORIZATION, value.parse().unwrap())].into_iter().collect();
            digest(&headers).ok().map(|digest| digest.to_vec())
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

    #[test]
    fn a_minute_is_a_sliding_one() {
        let (client, start) = (client(Some(2), None), Instant::now());
        let at = |seconds| client.begin(start + Duration::from_secs(seconds), 1);
        assert!(at(0).is_ok() && at(30).is_ok());
        let error = at(40).unwrap_err();
        assert_eq!((error.status.as_u16(), error.retry_after), (429, Some(21)));
        assert!(at(60).is_ok() && at(61).is_err() && at(90).is_ok());
    }

    #[test]
    fn so_many_at_once_and_room_again_after_one_ends() {
        let client = Arc::new(client(None, Some(1)));
        let first = client.admit(1).unwrap();
        assert_eq!(client.admit(1).unwrap_err().status.as_u16(), 429);
        drop(first);
        assert!(client.admit(1).is_ok());
    }

    #[test]
    fn each_choice_counts() {
        let (at_once, start) = (Arc::new(client(None, Some(3))), Instant::now());
        let two = at_once.admit(2).unwrap();
        assert_eq!(at_once.admit(2).unwrap_err().status.as_u16(), 429);
        drop(two);
        assert_eq!(at_once.admit(4).unwrap_err().status.as_u16(), 400, "it would never be let in");
        assert_eq!(at_once.admit(3).unwrap().len(), 3);
        let per_minute = client(Some(4), None);
        let at = |seconds, choices| per_minute.begin(start + Duration::from_secs(seconds), choices);
        assert!(at(0, 2).is_ok() && at(10, 1).is_ok() && at(20, 1).is_ok());
        assert_eq!(at(30, 3).unwrap_err().retry_after, Some(41), "when the one of second 10 is a minute old");
        assert!(at(70, 3).is_ok());
    }
}
