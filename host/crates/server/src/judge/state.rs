//! What the server remembers of gateways between two calls.

use super::JudgeSettings;
use crate::{auth::Client, error::ApiError};
use axum::http::StatusCode;
use inferenceguard_gateways::{Conversation, Joins};
use inferenceguard_model::lock;
use std::{sync::Mutex, time::Instant};

/// What the server remembers of gateways.
#[derive(Debug)]
pub(crate) struct GatewayState {
    joins: Mutex<Joins>,
    since: Instant,
}

impl GatewayState {
    pub(crate) fn new(settings: &JudgeSettings) -> Self {
        Self { joins: Mutex::new(Joins::new(settings.join_limits())), since: Instant::now() }
    }

    /// Remembers what a client asked until its answer comes.
    ///
    /// # Errors
    /// 503 `too_many_prompts` if the client has used too many ids; then its prompt must not go on.
    pub(super) fn remember(&self, client: &Client, id: &str, conversation: Conversation) -> Result<(), ApiError> {
        let remembered = lock(&self.joins).remember(&client.name, id, conversation, self.since.elapsed());
        remembered
            .map_err(|full| ApiError::later(StatusCode::SERVICE_UNAVAILABLE, "too_many_prompts", full.to_string(), 1))
    }

    pub(super) fn find(&self, client: &Client, id: &str) -> Option<Conversation> {
        lock(&self.joins).find(&client.name, id, self.since.elapsed())
    }
}
