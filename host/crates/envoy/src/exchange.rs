//! One HTTP exchange, part by part. An error of gRPC makes Envoy end the exchange.

use crate::{
    proto::{BodyMode, HttpBody, HttpHeaders, Incoming, ProcessingRequest, ProcessingResponse, ProtocolConfiguration},
    reply::{self, Blocked},
    response::Guarded,
    server::EnvoyOptions,
};
use inferenceguard_gateways::{Conversation, Judge, Part, Question, Refused, Verdict, chat::ChatRequest};
use std::sync::Arc;
use tonic::Status;

/// An exchange and its guard.
pub(crate) struct Exchange<J: Judge> {
    pub(crate) guard: Guard<J>,
    state: State,
}

/// Who judges, for whom, and how.
pub(crate) struct Guard<J: Judge> {
    pub(crate) judge: Arc<J>,
    pub(crate) client: J::Client,
    pub(crate) options: Arc<EnvoyOptions>,
}

/// How far an exchange is.
enum State {
    /// Before its headers.
    New,
    /// Nothing of it is judged.
    Open,
    /// A chat whose request has no body yet.
    Asking,
    /// A chat whose response has not begun.
    Asked(Conversation),
    /// The response of a chat.
    Answering(Guarded),
    /// It has ended with an error.
    Over,
}

impl<J: Judge> Guard<J> {
    /// The verdict on a text.
    pub(crate) async fn ask(
        &self,
        conversation: Option<&Conversation>,
        text: String,
        part: Part,
    ) -> Result<Verdict, Refused> {
        let question = Question { conversation: conversation.cloned(), text, part, bundle: None, deadline_ms: None };
        self.judge.judge(&self.client, question).await
    }
}

impl<J: Judge> Exchange<J> {
    pub(crate) fn new(guard: Guard<J>) -> Self {
        Self { guard, state: State::New }
    }

    /// The reply to a part.
    ///
    /// # Errors
    /// A status of gRPC for a part that may not come now, and where no reply would hold it back.
    pub(crate) async fn reply(&mut self, message: ProcessingRequest) -> Result<ProcessingResponse, Status> {
        if message.observability_mode {
            return Err(Status::failed_precondition("in observability mode Envoy ignores verdicts; turn it off"));
        }
        let part =
            message.request.ok_or_else(|| Status::invalid_argument("a message has no part that is known here"))?;
        if matches!(self.state, State::Open) && !matches!(part, Incoming::RequestHeaders(_)) {
            return Ok(unjudged(&part));
        }
        match part {
            Incoming::RequestHeaders(headers) => self.request_headers(&headers, message.protocol_config.as_ref()),
            Incoming::RequestBody(body) => self.request_body(&body).await,
            Incoming::ResponseHeaders(headers) => self.response_headers(&headers),
            Incoming::ResponseBody(body) => self.response_body(&body).await,
            Incoming::RequestTrailers(_) => Ok(reply::request_trailers()),
            Incoming::ResponseTrailers(_) => self.response_trailers(),
        }
    }

    fn request_headers(
        &mut self,
        headers: &HttpHeaders,
        modes: Option<&ProtocolConfiguration>,
    ) -> Result<ProcessingResponse, Status> {
        if !matches!(self.state, State::New) {
            return Err(order("the headers of a request"));
        }
        let path = headers.only(":path").map(|path| path.split('?').next().unwrap_or(path));
        let path = path.map(str::to_owned);
        let among = |paths: &[String]| path.as_ref().is_some_and(|path| paths.contains(path));
        if among(&self.guard.options.open_paths) {
            self.state = State::Open;
            return Ok(reply::open_request());
        }
        if !among(&self.guard.options.chat_paths) {
            return Ok(self.block(&Blocked::new(404, "unguarded_path", "this path is not let through here")));
        }
        if let Some(wrong) = wrong_chat(headers, modes) {
            return Ok(self.block(&wrong));
        }
        self.state = State::Asking;
        Ok(reply::chat_request())
    }

    async fn request_body(&mut self, body: &HttpBody) -> Result<ProcessingResponse, Status> {
        if !matches!(self.state, State::Asking) {
            return Err(order("the body of a request"));
        }
        match self.conversation(body).await {
            Err(wrong) => Ok(self.block(&wrong)),
            Ok(conversation) => {
                self.state = State::Asked(conversation);
                Ok(reply::request_body())
            }
        }
    }

    /// The conversation in the body of a request, judged if prompts are screened.
    async fn conversation(&self, body: &HttpBody) -> Result<Conversation, Blocked> {
        if !body.end_of_stream {
            return Err(misconfigured("the body of a request came in pieces; set `request_body_mode: BUFFERED`"));
        }
        let most = self.guard.options.max_body;
        if body.body.len() > most {
            return Err(Blocked::new(413, "invalid_body", format!("the body has more than {most} bytes")));
        }
        let conversation = ChatRequest::parse(&body.body)?.conversation;
        if self.guard.judge.screens_prompts() {
            let verdict = self.guard.ask(None, conversation.prompt.clone(), Part::Prompt).await?;
            if !verdict.standing.passes() {
                return Err(Blocked::refusal(&verdict.refusal));
            }
        }
        Ok(conversation)
    }

    fn response_headers(&mut self, headers: &HttpHeaders) -> Result<ProcessingResponse, Status> {
        let conversation = match std::mem::replace(&mut self.state, State::Over) {
            State::Asked(conversation) => conversation,
            State::Asking => return Ok(self.block(&unasked(headers))),
            _ => return Err(order("the headers of a response")),
        };
        if headers.end_of_stream {
            // There are no words in it.
            self.state = State::Open;
            return Ok(reply::open_response());
        }
        match Guarded::begin(headers, conversation, &self.guard.options) {
            Err(wrong) => Ok(self.block(&wrong)),
            Ok(guarded) => {
                let reply = reply::guarded_response(guarded.mode());
                self.state = State::Answering(guarded);
                Ok(reply)
            }
        }
    }

    async fn response_body(&mut self, body: &HttpBody) -> Result<ProcessingResponse, Status> {
        let State::Answering(guarded) = &mut self.state else { return Err(order("the body of a response")) };
        match guarded.take(body, &self.guard).await {
            Ok(reply) => Ok(reply),
            Err(wrong) => Ok(self.block(&wrong)),
        }
    }

    fn response_trailers(&mut self) -> Result<ProcessingResponse, Status> {
        match &self.state {
            State::Answering(guarded) if guarded.is_over() => Ok(reply::response_trailers()),
            _ => Err(Status::failed_precondition("trailers came while text was held back; they cannot carry it")),
        }
    }

    fn block(&mut self, wrong: &Blocked) -> ProcessingResponse {
        self.state = State::Over;
        wrong.reply()
    }
}

/// The reply to a part of an exchange of which nothing is judged.
fn unjudged(part: &Incoming) -> ProcessingResponse {
    match part {
        Incoming::RequestHeaders(_) => reply::open_request(),
        Incoming::RequestBody(_) => reply::request_body(),
        Incoming::ResponseHeaders(_) => reply::open_response(),
        Incoming::ResponseBody(_) => reply::same_body(),
        Incoming::RequestTrailers(_) => reply::request_trailers(),
        Incoming::ResponseTrailers(_) => reply::response_trailers(),
    }
}

/// Why a request to a chat path cannot be judged, if it cannot.
fn wrong_chat(headers: &HttpHeaders, modes: Option<&ProtocolConfiguration>) -> Option<Blocked> {
    if headers.only(":method") != Some("POST") {
        return Some(Blocked::new(405, "method_not_allowed", "this path takes POST"));
    }
    if headers.end_of_stream {
        return Some(Blocked::new(400, "invalid_json", "the request has no body"));
    }
    if let Some(coding) = headers.packed() {
        let coding: String = coding.chars().take(20).collect();
        let message = format!("the body has the content-encoding `{coding}`; send it without one");
        return Some(Blocked::new(415, "unsupported_encoding", message));
    }
    match modes {
        None => Some(misconfigured("it does not say how it sends bodies (`protocol_config`); use a version that does")),
        Some(modes) => wrong_modes(modes),
    }
}

fn wrong_modes(modes: &ProtocolConfiguration) -> Option<Blocked> {
    let (request, response) = (modes.request_body_mode, modes.response_body_mode);
    if request != i32::from(BodyMode::Buffered) {
        return Some(misconfigured("set `request_body_mode: BUFFERED`"));
    }
    let allowed = [BodyMode::Buffered, BodyMode::Streamed].map(i32::from).contains(&response);
    (!allowed).then(|| misconfigured("set `response_body_mode: BUFFERED` or `STREAMED`"))
}

fn misconfigured(message: &str) -> Blocked {
    Blocked::new(500, "gateway_misconfigured", format!("Envoy's filter ext_proc: {message}"))
}

/// The error for a response to a request whose body never came: Envoy's own error, or a filter that does not send bodies.
fn unasked(headers: &HttpHeaders) -> Blocked {
    match headers.only(":status").and_then(|status| status.parse().ok()) {
        Some(status) if status >= 400 => Blocked::not_understood(status, "request_failed", "the request was not sent"),
        _ => misconfigured("the body of the request did not come; set `request_body_mode: BUFFERED`"),
    }
}

fn order(part: &str) -> Status {
    Status::failed_precondition(format!(
        "{part} may not come now; send headers and body of request and response in order"
    ))
}
