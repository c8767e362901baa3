//! A service with a scripted judge, and a client that speaks like Envoy.
#![allow(dead_code, reason = "every test file uses another part")]

use inferenceguard_envoy::{
    EnvoyOptions, HeaderMap, HeaderValue, HttpBody, HttpHeaders, Incoming, NewBody, Outgoing, PROCESS, PartResponse,
    ProcessingRequest, ProcessingResponse, ProtocolConfiguration, serve,
};
use inferenceguard_gateways::{
    BundleName, Judge, ModelNames, OnUnsafe, Part, Question, Refused, Standing, Verdict, stream::StreamLimits,
};
use serde_json::{Value, json};
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, Ordering},
};
use tokio::{
    net::TcpListener,
    sync::mpsc::{UnboundedSender, unbounded_channel},
};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::{Request, Status, Streaming, client::Grpc, codegen::http::uri::PathAndQuery, transport::Endpoint};
use tonic_prost::ProstCodec;

/// Text with the word `bad` breaks the budget, a component fails on `broken`, and there is no verdict on `down`.
#[derive(Debug, Default)]
pub(crate) struct Scripted {
    pub(crate) on_unsafe: OnUnsafe,
    pub(crate) screens: bool,
    pub(crate) key: Option<&'static str>,
    pub(crate) asked: Mutex<Vec<Question>>,
    pub(crate) generation: AtomicU64,
}

impl Judge for Scripted {
    type Client = String;

    fn client(&self, key: Option<&str>) -> Result<String, Refused> {
        if self.key.is_some() && self.key != key {
            return Err(refused(401, "invalid_api_key"));
        }
        Ok(key.unwrap_or("anyone").to_owned())
    }

    fn screens_prompts(&self) -> bool {
        self.screens
    }

    fn on_unsafe(&self) -> OnUnsafe {
        self.on_unsafe
    }

    async fn judge(&self, _: &String, question: Question) -> Result<Verdict, Refused> {
        let text = question.judged_text().to_owned();
        self.asked.lock().unwrap().push(question);
        if text.contains("down") {
            return Err(refused(503, "overloaded"));
        }
        let standing = match () {
            () if text.contains("broken") => Standing::Failed,
            () if text.contains("bad") => Standing::Exceeded,
            () => Standing::Within,
        };
        let generation = self.generation.load(Ordering::SeqCst);
        let bundle = BundleName { name: "toy".into(), version: "1".into(), digest: "d".into() };
        let refusal = format!("No by {generation}.");
        let (id, judged_chars) = ("judge-1".into(), text.chars().count());
        let (prices, failures) = (Vec::new(), Vec::new());
        Ok(Verdict {
            id,
            standing,
            prices,
            reason: None,
            failures,
            refusal,
            judged_chars,
            bundle,
            models: ModelNames::default(),
            generation,
            lane: None,
        })
    }
}

fn refused(status: u16, code: &'static str) -> Refused {
    Refused { status, code, message: "not now".into(), retry_after: Some(1) }
}

/// One exchange.
pub(crate) struct Stream {
    sender: UnboundedSender<ProcessingRequest>,
    replies: Streaming<ProcessingResponse>,
}

/// Runs the service with this judge, and opens an exchange with this key.
pub(crate) async fn open(judge: &Arc<Scripted>, key: Option<&str>) -> Result<Stream, Status> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let options = EnvoyOptions {
        chat_paths: vec!["/v1/chat/completions".into()],
        open_paths: vec!["/v1/models".into()],
        max_body: 2000,
        stream: StreamLimits { step: 5, bytes: 2000, choices: 4 },
    };
    tokio::spawn(serve(listener, Arc::clone(judge), options, std::future::pending()));
    let channel = Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
    let mut grpc = Grpc::new(channel);
    grpc.ready().await.unwrap();
    let (sender, receiver) = unbounded_channel();
    let mut request = Request::new(UnboundedReceiverStream::new(receiver));
    if let Some(key) = key {
        request.metadata_mut().insert("authorization", format!("Bearer {key}").parse().unwrap());
    }
    let codec = ProstCodec::<ProcessingRequest, ProcessingResponse>::default();
    let replies = grpc.streaming(request, PathAndQuery::from_static(PROCESS), codec).await?;
    Ok(Stream { sender, replies: replies.into_inner() })
}

impl Stream {
    pub(crate) async fn send(&mut self, message: ProcessingRequest) -> Result<Outgoing, Status> {
        self.sender.send(message).unwrap();
        Ok(self.replies.message().await?.expect("a reply").response.expect("a part"))
    }

    pub(crate) async fn part(&mut self, part: Incoming) -> Result<Outgoing, Status> {
        self.send(message(part)).await
    }

    /// Sends a chat, which must be let through.
    pub(crate) async fn ask(&mut self, body: &Value) {
        let reply = self.part(Incoming::RequestHeaders(request_headers("/v1/chat/completions"))).await.unwrap();
        assert!(matches!(reply, Outgoing::RequestHeaders(_)), "{reply:?}");
        let reply = self.part(Incoming::RequestBody(piece(body.to_string().as_bytes(), true))).await.unwrap();
        assert!(matches!(reply, Outgoing::RequestBody(_)), "{reply:?}");
    }

    /// Sends a piece of the response.
    pub(crate) async fn response(&mut self, bytes: &[u8], last: bool) -> Outgoing {
        self.part(Incoming::ResponseBody(piece(bytes, last))).await.unwrap()
    }

    /// Sends the headers of a response with this type.
    pub(crate) async fn begin(&mut self, status: &str, kind: &str) -> Outgoing {
        self.part(Incoming::ResponseHeaders(response_headers(status, kind))).await.unwrap()
    }
}

/// A message of a filter with `BUFFERED` requests and `STREAMED` responses, which it says with the headers of a request.
pub(crate) fn message(part: Incoming) -> ProcessingRequest {
    let modes = ProtocolConfiguration { request_body_mode: 2, response_body_mode: 1 };
    let protocol_config = matches!(part, Incoming::RequestHeaders(_)).then_some(modes);
    ProcessingRequest { request: Some(part), observability_mode: false, protocol_config }
}

/// The first message of a filter with these modes of bodies.
pub(crate) fn with_modes(path: &str, request: i32, response: i32) -> ProcessingRequest {
    let modes = ProtocolConfiguration { request_body_mode: request, response_body_mode: response };
    ProcessingRequest { protocol_config: Some(modes), ..message(Incoming::RequestHeaders(request_headers(path))) }
}

pub(crate) fn headers(values: &[(&str, &str)]) -> HttpHeaders {
    let value = |(key, value): &(&str, &str)| HeaderValue {
        key: (*key).to_owned(),
        value: String::new(),
        raw_value: value.as_bytes().to_vec(),
    };
    HttpHeaders { headers: Some(HeaderMap { headers: values.iter().map(value).collect() }), end_of_stream: false }
}

pub(crate) fn request_headers(path: &str) -> HttpHeaders {
    headers(&[(":method", "POST"), (":path", path), ("content-type", "application/json")])
}

pub(crate) fn response_headers(status: &str, kind: &str) -> HttpHeaders {
    headers(&[(":status", status), ("content-type", kind), ("content-length", "9")])
}

pub(crate) fn piece(bytes: &[u8], last: bool) -> HttpBody {
    HttpBody { body: bytes.to_vec(), end_of_stream: last }
}

pub(crate) fn chat(prompt: &str) -> Value {
    json!({"messages": [{"role": "user", "content": prompt}]})
}

pub(crate) fn answer(content: &str) -> Vec<u8> {
    let choice = json!({"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop"});
    json!({"object": "chat.completion", "choices": [choice]}).to_string().into_bytes()
}

pub(crate) fn delta(content: &str, finish: Option<&str>) -> String {
    let choice = json!({"index": 0, "delta": {"content": content}, "finish_reason": finish});
    format!("data: {}\n\n", json!({"id": "c", "object": "chat.completion.chunk", "choices": [choice]}))
}

/// Status and error code of a response in place of all others.
pub(crate) fn blocked(reply: &Outgoing) -> (i32, String) {
    let Outgoing::ImmediateResponse(response) = reply else { panic!("{reply:?}") };
    let body: Value = serde_json::from_slice(&response.body).unwrap();
    let error = &body["error"];
    assert!(error["message"].is_string() && error["type"].is_string(), "{body}");
    (response.status.as_ref().unwrap().code, error["code"].as_str().unwrap().to_owned())
}

/// What became of a piece of the response: `None` if it goes on as it is.
pub(crate) fn body(reply: &Outgoing) -> Option<String> {
    let Outgoing::ResponseBody(part) = reply else { panic!("{reply:?}") };
    match mutation(part)? {
        NewBody::Body(bytes) => Some(String::from_utf8(bytes).unwrap()),
        NewBody::Clear(_) => Some(String::new()),
    }
}

fn mutation(part: &PartResponse) -> Option<NewBody> {
    part.response.as_ref()?.body_mutation.as_ref()?.mutation.clone()
}

pub(crate) fn parts(judge: &Scripted) -> Vec<(Part, String)> {
    judge.asked.lock().unwrap().iter().map(|question| (question.part, question.text.clone())).collect()
}
