//! How many choices one client may ask for, at once and in a minute.

use crate::error::ApiError;
use axum::http::StatusCode;
use inferenceguard_model::lock;
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

const MINUTE: Duration = Duration::from_secs(60);

/// A client's limits, and its choices that count towards them.
#[derive(Debug, Default)]
pub(crate) struct Quota {
    /// No limit if not given.
    per_minute: Option<usize>,
    /// No limit if not given.
    at_once: Option<usize>,
    usage: Mutex<Usage>,
}

#[derive(Debug, Default)]
struct Usage {
    /// When each choice of the last minute began, where `per_minute` limits them.
    begun: VecDeque<Instant>,
    running: usize,
}

/// A running choice of a client; it no longer counts as running when this is dropped.
#[derive(Debug)]
pub(crate) struct QuotaSlot(Arc<Quota>);

impl Drop for QuotaSlot {
    fn drop(&mut self) {
        lock(&self.0.usage).running -= 1;
    }
}

impl Quota {
    pub(crate) fn new(per_minute: Option<u32>, at_once: Option<usize>) -> Self {
        Self { per_minute: per_minute.map(|limit| limit as usize), at_once, usage: Mutex::default() }
    }

    /// A slot for each of these choices.
    ///
    /// # Errors
    /// 400 for more choices than the limits ever allow, 429 for more than they allow now.
    pub(crate) fn reserve(self: &Arc<Self>, choices: u32) -> Result<Vec<QuotaSlot>, ApiError> {
        self.begin(Instant::now(), choices as usize)?;
        Ok((0..choices).map(|_| QuotaSlot(Arc::clone(self))).collect())
    }

    fn begin(&self, now: Instant, choices: usize) -> Result<(), ApiError> {
        if let Some(limit) =
            [self.at_once, self.per_minute].into_iter().flatten().min().filter(|limit| choices > *limit)
        {
            return Err(ApiError::bad("n", format!("found {choices}; this key may ask for at most {limit}")));
        }
        let mut usage = lock(&self.usage);
        if let Some(limit) = self.at_once.filter(|limit| usage.running + choices > *limit) {
            return Err(too_many(format!("{limit} choices of this key may run at once, and {} do", usage.running), 1));
        }
        if let Some(limit) = self.per_minute {
            if let Some(wait) = usage.wait(now, choices, limit) {
                return Err(too_many(format!("{limit} requests a minute are allowed"), wait.as_secs() + 1));
            }
            usage.begun.extend(std::iter::repeat_n(now, choices));
        }
        usage.running += choices;
        Ok(())
    }
}

impl Usage {
    /// How long until this many choices may begin, if not now.
    fn wait(&mut self, now: Instant, choices: usize, limit: usize) -> Option<Duration> {
        while self.begun.front().is_some_and(|begun| now.duration_since(*begun) >= MINUTE) {
            self.begun.pop_front();
        }
        // There is room again when the last choice that is too many is a minute old.
        let last = (self.begun.len() + choices).checked_sub(limit + 1)?;
        let age = self.begun.get(last).map(|begun| now.duration_since(*begun)).unwrap_or_default();
        Some(MINUTE.saturating_sub(age))
    }
}

fn too_many(message: String, seconds: u64) -> ApiError {
    ApiError::later(StatusCode::TOO_MANY_REQUESTS, "rate_limit_exceeded", message, seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_is_a_sliding_one() {
        let (quota, start) = (Quota::new(Some(2), None), Instant::now());
        let at = |seconds| quota.begin(start + Duration::from_secs(seconds), 1);
        assert!(at(0).is_ok() && at(30).is_ok());
        let error = at(40).unwrap_err();
        assert_eq!((error.status.as_u16(), error.retry_after), (429, Some(21)));
        assert!(at(60).is_ok() && at(61).is_err() && at(90).is_ok());
    }

    #[test]
    fn a_limit_at_once_has_room_again_after_a_choice_ends() {
        let quota = Arc::new(Quota::new(None, Some(1)));
        let first = quota.reserve(1).unwrap();
        assert_eq!(quota.reserve(1).unwrap_err().status.as_u16(), 429);
        drop(first);
        assert!(quota.reserve(1).is_ok());
    }

    #[test]
    fn each_choice_counts() {
        let (at_once, start) = (Arc::new(Quota::new(None, Some(3))), Instant::now());
        let two = at_once.reserve(2).unwrap();
        assert_eq!(at_once.reserve(2).unwrap_err().status.as_u16(), 429);
        drop(two);
        assert_eq!(at_once.reserve(4).unwrap_err().status.as_u16(), 400, "it would never be let in");
        assert_eq!(at_once.reserve(3).unwrap().len(), 3);
        let per_minute = Quota::new(Some(4), None);
        let at = |seconds, choices| per_minute.begin(start + Duration::from_secs(seconds), choices);
        assert!(at(0, 2).is_ok() && at(10, 1).is_ok() && at(20, 1).is_ok());
        assert_eq!(at(30, 3).unwrap_err().retry_after, Some(41), "when the one of second 10 is a minute old");
        assert!(at(70, 3).is_ok());
    }
}
