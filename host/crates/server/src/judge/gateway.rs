//! The server as the judge of gateways that ask through Envoy.

use super::{Face, Prompts};
use crate::{
    app::Server,
    arrival::Open,
    auth::Client,
    error::ApiError,
    span::{EXT_PROC, RequestSpan},
};
use axum::http::HeaderMap;
use inferenceguard_gateways::{Judge, OnUnsafe, Question, Refused, Verdict};
use std::sync::Arc;

/// A client that asks through Envoy.
#[derive(Debug, Clone)]
pub struct GatewayClient(Arc<Client>);

impl Judge for Server {
    type Client = GatewayClient;

    fn client(&self, key: Option<&str>) -> Result<GatewayClient, Refused> {
        Ok(self.app().clients.with_key(key).map(GatewayClient)?)
    }

    fn screens_prompts(&self) -> bool {
        self.app().settings.judge.prompts == Prompts::Screen
    }

    fn on_unsafe(&self) -> OnUnsafe {
        self.app().settings.judge.on_unsafe
    }

    async fn judge(&self, client: &GatewayClient, question: Question) -> Result<Verdict, Refused> {
        let app = self.app();
        let span = RequestSpan::begin(app, &HeaderMap::new(), EXT_PROC);
        // Until there is a verdict or an error, the question counts as cancelled.
        let mut open = Open::begin(Arc::clone(app), span);
        let part = question.part;
        let judged = app.ask(&client.0, Ok(question), &open.arrival).await;
        open.end = judged.as_ref().err().map(ApiError::end);
        let judged = judged?;
        app.report(Face::Envoy, part, &judged, &open.arrival);
        Ok(judged.verdict)
    }
}
