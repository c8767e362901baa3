//! The gRPC service on a listener.

use crate::{
    exchange::{Exchange, Guard},
    proto::{ProcessingRequest, ProcessingResponse},
};
use futures_util::{Stream, StreamExt, stream};
use inferenceguard_gateways::{Judge, stream::StreamLimits};
use std::{convert::Infallible, future::Future, pin::Pin, sync::Arc};
use tokio::net::TcpListener;
use tonic::{
    Request, Response, Status, Streaming,
    body::Body,
    codegen::{BoxFuture, Context, Poll, Service, http},
    metadata::MetadataMap,
    server::{Grpc, StreamingService},
    transport::{Server, server::TcpIncoming},
};
use tonic_prost::ProstCodec;

/// The path of the service's only method.
pub const PROCESS: &str = "/envoy.service.ext_proc.v3.ExternalProcessor/Process";

/// Bytes of a message beside the body in it: headers, for instance.
const AROUND: usize = 256 << 10;

/// How exchanges are guarded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvoyOptions {
    /// The paths at which clients ask for chats.
    pub chat_paths: Vec<String>,
    /// The paths that are let through unjudged; all others are blocked.
    pub open_paths: Vec<String>,
    /// The most bytes of a body.
    pub max_body: usize,
    /// How streams are held back.
    pub stream: StreamLimits,
}

/// Why the service ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnvoyError {
    /// The network failed.
    #[error("the listener for Envoy failed: {0}")]
    Network(#[from] tonic::transport::Error),
}

/// Serves Envoy on this listener until `stop` ends, and then the exchanges that have begun.
///
/// # Errors
/// [`EnvoyError`].
pub async fn serve<J: Judge>(
    listener: TcpListener,
    judge: Arc<J>,
    options: EnvoyOptions,
    stop: impl Future<Output = ()>,
) -> Result<(), EnvoyError> {
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let processor = Processor { judge, options: Arc::new(options) };
    Ok(Server::builder().serve_with_incoming_shutdown(processor, incoming, stop).await?)
}

/// The service `envoy.service.ext_proc.v3.ExternalProcessor`.
pub struct Processor<J> {
    judge: Arc<J>,
    options: Arc<EnvoyOptions>,
}

impl<J> Clone for Processor<J> {
    fn clone(&self) -> Self {
        Self { judge: Arc::clone(&self.judge), options: Arc::clone(&self.options) }
    }
}

impl<J: Judge> Service<http::Request<Body>> for Processor<J> {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let (processor, most) = (self.clone(), self.options.max_body.saturating_add(AROUND));
        Box::pin(async move {
            if request.uri().path() != PROCESS {
                return Ok(Status::unimplemented("this service has the method Process").into_http());
            }
            let codec = ProstCodec::<ProcessingResponse, ProcessingRequest>::default();
            let mut grpc = Grpc::new(codec).max_decoding_message_size(most);
            Ok(grpc.streaming(processor, request).await)
        })
    }
}

type Replies = Pin<Box<dyn Stream<Item = Result<ProcessingResponse, Status>> + Send>>;

impl<J: Judge> StreamingService<ProcessingRequest> for Processor<J> {
    type Response = ProcessingResponse;
    type ResponseStream = Replies;
    type Future = BoxFuture<Response<Replies>, Status>;

    fn call(&mut self, request: Request<Streaming<ProcessingRequest>>) -> Self::Future {
        let Self { judge, options } = self.clone();
        Box::pin(async move {
            let client = judge.client(key(request.metadata()));
            let client = client.map_err(|refused| Status::unauthenticated(refused.message))?;
            let exchange = Exchange::new(Guard { judge, client, options });
            Ok(Response::new(replies(request.into_inner(), exchange)))
        })
    }
}

/// The key that Envoy's configuration puts into the gRPC call. Keys of the guarded requests are for the server behind Envoy.
fn key(metadata: &MetadataMap) -> Option<&str> {
    let value = metadata.get("authorization")?.to_str().ok()?;
    let (scheme, key) = value.trim_start().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}

/// One reply for each message, in order. An error ends the stream: Envoy then ends the exchange.
fn replies<J: Judge>(incoming: Streaming<ProcessingRequest>, exchange: Exchange<J>) -> Replies {
    let next = |state: Option<(Streaming<ProcessingRequest>, Exchange<J>)>| async move {
        let (mut incoming, mut exchange) = state?;
        let message = match incoming.next().await? {
            Ok(message) => message,
            Err(status) => return Some((Err(status), None)),
        };
        match exchange.reply(message).await {
            Ok(reply) => Some((Ok(reply), Some((incoming, exchange)))),
            Err(status) => Some((Err(status), None)),
        }
    };
    Box::pin(stream::unfold(Some((incoming, exchange)), next))
}
