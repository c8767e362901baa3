//! A fake vLLM or llama.cpp server in memory: an honest server of a small made-up model, and ways to make it lie, fail, stop and die.

#![allow(missing_docs, reason = "it is for tests: names say what fields hold")]

pub mod llama;
pub mod model;
mod texts;

pub use texts::Texts;

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, Request, StatusCode},
    response::{IntoResponse, Response},
};
use inferenceguard_engines::{Deadlines, Endpoint, Local, Prompts, Remote, vllm::Vllm};
use inferenceguard_model::{
    BackEnd, BeamId, Caller, GrowRow, GrowingText, Growth, Message, ModelError, ModelInfo, ModelParts, Pick,
    SampleRequest, SamplingSettings, Token, Tokenizer,
};
use model::{Bytewise, Weights};
use serde_json::{Value, json};
use std::{
    net::TcpListener,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

/// A request that the fake got.
#[derive(Clone, Debug)]
pub struct Seen {
    pub path: String,
    pub query: String,
    pub headers: HeaderMap,
    pub body: Value,
}

/// What the fake does with a request.
pub enum Act {
    /// What an honest server does.
    Honest,
    /// The honest answer, changed.
    Changed(fn(&mut Value)),
    /// A status and a body.
    Status(u16, &'static str),
    /// A body with status 200.
    Raw(String),
    /// A body that begins and does not end.
    Half,
    /// No answer.
    Never,
    /// The honest answer, later.
    Late(Duration),
}

type Rule = Box<dyn Fn(&Seen) -> Act + Send + Sync>;

/// What a fake server is.
#[derive(Clone)]
pub struct Kind {
    pub plugin: bool,
    pub weights: Weights,
    pub fingerprint: String,
    pub version: String,
    pub context: usize,
    pub max_logprobs: usize,
    pub key: Option<String>,
    /// Whether `/pooling` leaves out the rows of texts that it read before.
    pub prefix: bool,
    /// Numbers per row of `/pooling`.
    pub width: usize,
    /// What llama.cpp's server calls its build, if it names it.
    pub build: Option<String>,
    /// The number of llama.cpp's slots.
    pub slots: usize,
    /// Whether llama.cpp's slots can be saved.
    pub saves: bool,
    /// The name under which the model is served.
    pub model: String,
}

impl Default for Kind {
    fn default() -> Self {
        Self {
            plugin: true,
            weights: Weights(1),
            fingerprint: "vllm-0.32.0-aaaa".into(),
            version: "0.32.0".into(),
            context: 2048,
            max_logprobs: 20,
            key: None,
            prefix: true,
            width: 1,
            build: Some("b11434-0b5f9d6".into()),
            slots: 5,
            saves: true,
            model: "smol".into(),
        }
    }
}

/// What the handlers share with the test.
pub struct Shared {
    pub kind: Mutex<Kind>,
    pub seen: Mutex<Vec<Seen>>,
    pub rule: Mutex<Option<Rule>>,
    /// Requests that are being answered: each counts from before its rule is asked until its answer is complete.
    pub running: AtomicUsize,
    /// The texts that `/pooling` read, by salt.
    pub read: Mutex<Vec<(String, Vec<Token>)>>,
    /// llama.cpp's slots and files.
    pub slots: Mutex<llama::Slots>,
}

/// A running fake server. Dropping it closes its port and all its connections.
pub struct Fake {
    pub port: u16,
    pub shared: Arc<Shared>,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Fake {
    pub fn new(kind: Kind) -> Self {
        let (kind, seen) = (Mutex::new(kind), Mutex::default());
        let shared = Shared {
            kind,
            seen,
            rule: Mutex::default(),
            running: AtomicUsize::new(0),
            read: Mutex::default(),
            slots: Mutex::default(),
        };
        let mut fake = Self { port: 0, shared: Arc::new(shared), runtime: None };
        fake.start();
        fake
    }

    /// Starts it, at its port if it has one.
    pub fn start(&mut self) {
        let listener = TcpListener::bind(("127.0.0.1", self.port)).unwrap();
        listener.set_nonblocking(true).unwrap();
        self.port = listener.local_addr().unwrap().port();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let app = Router::new().fallback(answer).with_state(Arc::clone(&self.shared));
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            axum::serve(listener, app).await.unwrap();
        });
        self.runtime = Some(runtime);
    }

    /// Kills it: connections break, and nothing is answered any more when this returns.
    pub fn kill(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
        let address = ("127.0.0.1", self.port);
        until("the port is closed", || std::net::TcpStream::connect(address).is_err());
        // The runtime drops what it was answering on threads of its own.
        until("no request is being answered", || self.running() == 0);
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn rule(&self, rule: impl Fn(&Seen) -> Act + Send + Sync + 'static) {
        *self.shared.rule.lock().unwrap() = Some(Box::new(rule));
    }

    /// Does so with completions.
    pub fn completions(&self, act: impl Fn() -> Act + Send + Sync + 'static) {
        self.rule(move |seen| if seen.path == "/v1/completions" { act() } else { Act::Honest });
    }

    pub fn honest(&self) {
        *self.shared.rule.lock().unwrap() = None;
    }

    pub fn change(&self, change: impl FnOnce(&mut Kind)) {
        change(&mut self.shared.kind.lock().unwrap());
    }

    /// Forgets what it saw, and returns it.
    pub fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut *self.shared.seen.lock().unwrap())
    }

    pub fn running(&self) -> usize {
        self.shared.running.load(Ordering::SeqCst)
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Waits for something that happens soon.
pub fn until(what: &str, done: impl Fn() -> bool) {
    let begin = Instant::now();
    while !done() {
        assert!(begin.elapsed() < Duration::from_secs(10), "{what}: not within 10 s");
        std::thread::sleep(Duration::from_millis(2));
    }
}

struct Running(Arc<Shared>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request<Body>) -> Response {
    shared.running.fetch_add(1, Ordering::SeqCst);
    let running = Running(Arc::clone(&shared));
    let (parts, body) = request.into_parts();
    let bytes = axum::body::to_bytes(body, 1 << 24).await.unwrap();
    let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
    let seen = Seen {
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: parts.headers,
        body,
    };
    shared.seen.lock().unwrap().push(seen.clone());
    let act = shared.rule.lock().unwrap().as_ref().map_or(Act::Honest, |rule| rule(&seen));
    match act {
        Act::Honest => honest(&shared, &seen).into_response(),
        Act::Changed(change) => {
            let mut reply = honest(&shared, &seen);
            change(&mut reply.1);
            reply.into_response()
        }
        Act::Status(status, text) => reply(status, text.to_owned()),
        Act::Raw(text) => reply(200, text),
        Act::Half => {
            let head = [("content-length", "1000")];
            let begun = std::iter::once(Ok::<_, std::io::Error>(Bytes::from("{\"choices\":")));
            let body = Body::from_stream(Begun { parts: begun.collect(), _running: running });
            (StatusCode::OK, head, body).into_response()
        }
        Act::Never => std::future::pending().await,
        Act::Late(wait) => {
            tokio::time::sleep(wait).await;
            honest(&shared, &seen).into_response()
        }
    }
}

fn reply(status: u16, text: String) -> Response {
    (StatusCode::from_u16(status).unwrap(), [("retry-after", "0")], text).into_response()
}

/// A body that gives its parts and then nothing; it is being answered until its connection is closed.
struct Begun {
    parts: Vec<Result<Bytes, std::io::Error>>,
    _running: Running,
}

impl futures_util::Stream for Begun {
    type Item = Result<Bytes, std::io::Error>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        self.parts.pop().map_or(std::task::Poll::Pending, |part| std::task::Poll::Ready(Some(part)))
    }
}

/// A status and JSON.
struct Json(u16, Value);

impl IntoResponse for Json {
    fn into_response(self) -> Response {
        reply(self.0, self.1.to_string())
    }
}

fn honest(shared: &Shared, seen: &Seen) -> Json {
    let kind = shared.kind.lock().unwrap().clone();
    let key = seen.headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
    if kind.key.is_some() && key != kind.key.as_ref().map(|key| format!("Bearer {key}")) {
        return Json(401, json!({"error": "Unauthorized"}));
    }
    match seen.path.as_str() {
        "/v1/models" => Json(
            200,
            json!({"object": "list", "data": [{"id": kind.model, "root": "/models/smol", "max_model_len": kind.context}]}),
        ),
        "/version" => Json(200, json!({"version": kind.version})),
        "/tokenize" => {
            let tokens =
                Bytewise.encode(seen.body["prompt"].as_str().or(seen.body["content"].as_str()).unwrap()).unwrap();
            Json(200, json!({"count": tokens.len(), "max_model_len": 2048, "tokens": tokens, "token_strs": null}))
        }
        "/v1/completions" if seen.body["logprobs"].as_u64().unwrap_or(0) as usize > kind.max_logprobs => {
            Json(400, json!({"error": {"message": "too many logprobs", "type": "BadRequestError", "code": 400}}))
        }
        "/v1/completions" if seen.body["model"] != kind.model.as_str() => {
            Json(404, json!({"error": {"message": "The model `x` does not exist.", "code": 404}}))
        }
        "/v1/completions" => Json(200, model::complete(&kind, &seen.body)),
        "/pooling" => Json(200, model::pool(&kind, &shared.read, &seen.body)),
        "/props" => Json(200, llama::props(&kind)),
        "/completion" => Json(200, llama::complete(&kind, &mut shared.slots.lock().unwrap(), &seen.body)),
        path if path.starts_with("/slots/") && kind.saves => {
            let slot = path.trim_start_matches("/slots/").parse().unwrap();
            llama::action(&mut shared.slots.lock().unwrap(), slot, &seen.query, &seen.body);
            Json(200, json!({"id_slot": slot}))
        }
        path if path.starts_with("/slots/") => {
            Json(501, json!({"error": {"message": "start it with `--slot-save-path`", "code": 501}}))
        }
        path => Json(404, json!({"detail": format!("Not Found: {path}")})),
    }
}

/// Deadlines for tests: short where something is to be waited for in vain.
pub fn deadlines() -> Deadlines {
    Deadlines {
        connect: Duration::from_millis(500),
        first_byte: Duration::from_secs(5),
        pause: Duration::from_secs(5),
        whole: Duration::from_secs(20),
        check: Duration::from_secs(3600),
        look: Duration::from_secs(3600),
        check_byte: Duration::from_secs(5),
        recheck: Duration::from_millis(50),
        backoff: Duration::from_millis(5),
    }
}

struct Chat;

impl Prompts for Chat {
    fn encode_chat(&self, messages: &[Message]) -> Result<Vec<Token>, ModelError> {
        Ok(Bytewise.encode(&messages.iter().map(|one| one.content.as_str()).collect::<String>())?)
    }
}

/// The folder of the fake's model.
pub fn local() -> Local {
    let info = ModelInfo {
        name: "smol".into(),
        vocab: model::VOCAB,
        hidden: model::HIDDEN,
        context: 4096,
        eos: vec![model::EOS],
        special: vec![model::EOS],
        sampling: SamplingSettings::default(),
        fingerprint: String::new(),
        parts: ModelParts { tokenizer: "t".into(), template: "c".into(), config: "f".into(), ..ModelParts::default() },
    };
    Local { info, tokenizer: Arc::new(Bytewise), prompts: Arc::new(Chat) }
}

/// These servers, with deadlines of tests.
pub fn remote(fakes: &[&Fake]) -> Remote {
    let endpoints = fakes.iter().map(|fake| Endpoint::new(&fake.url()).unwrap()).collect();
    Remote { deadlines: deadlines(), precision: "f32".into(), ..Remote::new(endpoints) }
}

pub fn connect(fakes: &[&Fake]) -> Vllm {
    Vllm::connect(&remote(fakes), local(), None).unwrap()
}

/// A request of this tenant.
pub fn tenant(name: &str) -> Caller {
    Caller { tenant: Some(name.to_owned()), ..Caller::default() }
}

/// Eight tokens, drawn from the model as it is.
pub fn growth() -> Growth {
    let sampling = SampleRequest::plain(Pick::Draw(0.0));
    Growth { max_tokens: 8, sampling, penalties: vec![], end: vec![model::EOS], stop: vec![] }
}

pub fn row(parent: BeamId, seed: u64) -> GrowRow {
    GrowRow { parent, picks: vec![Pick::Draw(0.5); 8], seed, repeated: vec![], text: GrowingText::default() }
}

/// Grows one row of a new request.
pub fn grow_one(vllm: &Vllm) -> Result<Vec<Token>, ModelError> {
    let mut handle = vllm.handle(&Caller::default());
    let beam = handle.open(&[7, 8, 9])?;
    let mut rows = handle.grow(&growth(), vec![row(beam, 1)])?;
    rows.remove(0).map(|(_, grown)| grown.tokens)
}
