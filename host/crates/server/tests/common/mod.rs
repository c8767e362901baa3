//! A server over the toy model, with real components, on a real port.
#![allow(dead_code, reason = "every test file uses another part")]

pub(crate) mod exposition;
pub(crate) mod judgements;

use inferenceguard_bundle::Bundle;
use inferenceguard_host::{Engine, EngineBuilder};
use inferenceguard_model::{Model, ModelIdentity, toy::ToyScript};
use inferenceguard_record::Journal;
use inferenceguard_server::{Face, OpenError, Opener, Server, ServerConfig, ServerError, Settings, Store};
pub(crate) use inferenceguard_testkit::toy::bundle;
use inferenceguard_testkit::{components, toy::with_models};
use serde_json::Value;
use std::{
    net::SocketAddr,
    path::Path,
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};
use tokio::{net::TcpListener, runtime::Runtime, sync::oneshot};
use ureq::{Agent, http::Response};

pub(crate) const MANIFEST: &str = inferenceguard_testkit::manifest!(
    max_tokens: 12,
    chunk_len: 4,
    budget: 4,
    head: "refusal = \"No.\"\n",
    tail: "",
);

/// `good` costs nothing, `bad` more than any budget; after `doomed` there is nothing else.
pub(crate) const SCRIPT: &str = "vocab: <eos>* ask doomed good bad plain
context: 64
after : good 3, plain 3, bad 3, <eos> 1
after doomed : bad 1
after bad : bad 1
score cost: bad 5
score reward cumulative: good 1, bad 3";

pub(crate) fn engine(max_live: usize) -> Arc<Engine> {
    engine_with(max_live, &bundle(MANIFEST), 1)
}

pub(crate) fn engine_with(max_live: usize, active: &Bundle, generation: u64) -> Arc<Engine> {
    engine_of(SCRIPT, max_live, active, generation)
}

pub(crate) fn engine_of(script: &str, max_live: usize, active: &Bundle, generation: u64) -> Arc<Engine> {
    let builder = EngineBuilder::new().bundle(active).max_live(max_live).generation(generation);
    Arc::new(with_models(builder, script).build().unwrap())
}

/// A running server; it stops when dropped.
pub(crate) struct Running {
    pub(crate) engine: Arc<Engine>,
    pub(crate) server: Server,
    clients: SocketAddr,
    admin: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    agent: Agent,
}

pub(crate) fn start(settings: &str) -> Running {
    start_with(engine(4), toml::from_str(settings).unwrap())
}

pub(crate) fn start_with(engine: Arc<Engine>, settings: Settings) -> Running {
    run(ServerConfig { settings, ..config(&engine, bundle(MANIFEST)) }).unwrap()
}

/// A script with a chat template, so that text can be judged without a prompt.
pub(crate) const TEMPLATE_SCRIPT: &str = "vocab: <eos>* <user> <bot> ask doomed good bad plain
context: 64
prompt: <user> {} <bot>
after : good 3, plain 3, bad 3, <eos> 1
score cost: bad 5
score reward cumulative: good 1, bad 3";

/// A running server that serves all gateways but Envoy beside its clients, over a model with a chat template.
pub(crate) fn start_faces(settings: &str, active: &Bundle) -> Running {
    run(faces(settings, active)).unwrap()
}

/// A running server of this configuration.
pub(crate) fn start_config(config: ServerConfig) -> Running {
    run(config).unwrap()
}

/// The configuration of such a server.
pub(crate) fn faces(settings: &str, active: &Bundle) -> ServerConfig {
    let engine = engine_of(TEMPLATE_SCRIPT, 4, active, 1);
    let faces = [Face::Judge, Face::Litellm, Face::Moderations].into();
    ServerConfig { faces, settings: toml::from_str(settings).unwrap(), ..config(&engine, active.clone()) }
}

/// A running server that opens administrators' bundles with `opener`.
pub(crate) fn start_opening(opener: Box<Opener>) -> Running {
    run(ServerConfig { opener, ..config(&engine(4), bundle(MANIFEST)) }).unwrap()
}

/// A running server that records every answer.
pub(crate) fn start_recording(path: &Path) -> Running {
    let records = Some(Journal::open(path, true).unwrap());
    run(ServerConfig { records, ..config(&engine(4), bundle(MANIFEST)) }).unwrap()
}

/// A server over the toy model, with the components at hand.
pub(crate) fn config(engine: &Arc<Engine>, active: Bundle) -> ServerConfig {
    let lender = Box::new(|file: &str| components::files().get(file).cloned());
    ServerConfig { opener: Box::new(opened), lender, ..ServerConfig::new(Arc::clone(engine), active) }
}

fn opened(path: &Path) -> Result<Bundle, OpenError> {
    Bundle::open_with(path, |file| components::files().get(file).cloned()).map_err(OpenError::new)
}

/// A running server that continues from the state of a folder, if there is any, as the program does.
pub(crate) fn start_stored(dir: &Path) -> Running {
    start_stored_with(dir, SCRIPT, None)
}

/// A running server with the model of another script, and with `first` in place of the saved bundle.
pub(crate) fn start_stored_with(dir: &Path, script: &str, first: Option<Bundle>) -> Running {
    start_stored_in(Store::open(dir).unwrap(), script, first).unwrap()
}

/// A running server in a store that is open.
pub(crate) fn start_stored_in(store: Store, script: &str, first: Option<Bundle>) -> Result<Running, ServerError> {
    let model = ModelIdentity::from(ToyScript::parse(script).unwrap().model().info());
    let state = store.state().unwrap().map(|state| state.for_model(&model));
    let last = state.as_ref().map_or_else(|| bundle(MANIFEST), |state| store.bundle(&state.bundle).unwrap());
    let number = state.map_or(1, |state| if first.is_some() { state.next_number() } else { state.generation });
    let active = first.unwrap_or(last);
    let engine = engine_of(script, 4, &active, number);
    run(ServerConfig { store: Some(store), ..config(&engine, active) })
}

fn run(config: ServerConfig) -> Result<Running, ServerError> {
    let engine = Arc::clone(&config.engine);
    let server = Server::new(config)?;
    let (stop, stopped) = oneshot::channel::<()>();
    let runtime = Runtime::new().unwrap();
    let listen = || runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let (first, second) = (listen(), listen());
    let (clients, admin) = (first.local_addr().unwrap(), second.local_addr().unwrap());
    server.begin().unwrap();
    let served = server.clone();
    let thread = thread::spawn(move || {
        let stop = async move { drop(stopped.await) };
        runtime.block_on(served.run(first, Some(second), stop)).unwrap();
    });
    let agent = Agent::config_builder().http_status_as_error(false).timeout_global(Some(Duration::from_secs(120)));
    let agent = agent.build().into();
    Ok(Running { engine, server, clients, admin, stop: Some(stop), thread: Some(thread), agent })
}

/// What came back: status, header `Retry-After`, body.
pub(crate) struct Got {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<String>,
    pub(crate) text: String,
}

impl Got {
    fn of(mut response: Response<ureq::Body>) -> Self {
        let retry_after = response.headers().get("retry-after").map(|value| value.to_str().unwrap().to_owned());
        Self { status: response.status().as_u16(), retry_after, text: response.body_mut().read_to_string().unwrap() }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// Checks an error: its status, its code, and words of its message.
    pub(crate) fn refuses(&self, status: u16, code: &str, words: &str) {
        let error = &self.json()["error"];
        assert_eq!((self.status, error["code"].as_str()), (status, Some(code)), "{}", self.text);
        assert!(error["message"].as_str().unwrap().contains(words), "{words}: {}", self.text);
        assert!(error["type"].is_string() && error.get("param").is_some(), "{}", self.text);
    }

    /// The events of a stream, `[DONE]` left out.
    pub(crate) fn events(&self) -> Vec<Value> {
        let data = self.text.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|data| *data != "[DONE]");
        data.map(|data| serde_json::from_str(data).unwrap()).collect()
    }
}

impl Running {
    pub(crate) fn address(&self) -> SocketAddr {
        self.clients
    }

    pub(crate) fn admin_address(&self) -> SocketAddr {
        self.admin
    }

    /// Waits until this many requests run and this many wait.
    pub(crate) fn becomes(&self, live: usize, waiting: usize) {
        let there = (0..3000).any(|_| {
            thread::sleep(Duration::from_millis(10));
            (self.engine.live(), self.engine.waiting()) == (live, waiting)
        });
        assert!(there, "{} run, {} wait", self.engine.live(), self.engine.waiting());
    }

    pub(crate) fn post(&self, path: &str, body: impl ToString) -> Got {
        self.post_as("", path, body)
    }

    pub(crate) fn post_as(&self, key: &str, path: &str, body: impl ToString) -> Got {
        let request = self.agent.post(format!("http://{}{path}", self.clients));
        let request = if key.is_empty() { request } else { request.header("authorization", format!("Bearer {key}")) };
        Got::of(request.send(body.to_string()).unwrap())
    }

    /// Sends a key as LiteLLM does.
    pub(crate) fn post_as_gateway(&self, key: &str, path: &str, body: impl ToString) -> Got {
        let request = self.agent.post(format!("http://{}{path}", self.clients)).header("x-api-key", key);
        Got::of(request.send(body.to_string()).unwrap())
    }

    pub(crate) fn get(&self, path: &str) -> Got {
        Got::of(self.agent.get(format!("http://{}{path}", self.clients)).call().unwrap())
    }

    /// The type and the text of what comes in answer to this `Accept`.
    pub(crate) fn get_accepting(&self, accept: &str, path: &str) -> (String, String) {
        let request = self.agent.get(format!("http://{}{path}", self.clients)).header("accept", accept);
        let mut response = request.call().unwrap();
        let kind = response.headers()["content-type"].to_str().unwrap().to_owned();
        (kind, response.body_mut().read_to_string().unwrap())
    }

    pub(crate) fn admin(&self, path: &str) -> Got {
        Got::of(self.agent.get(format!("http://{}{path}", self.admin)).call().unwrap())
    }

    pub(crate) fn admin_post(&self, path: &str) -> Got {
        Got::of(self.agent.post(format!("http://{}{path}", self.admin)).send_empty().unwrap())
    }

    pub(crate) fn admin_delete(&self, path: &str) -> Got {
        Got::of(self.agent.delete(format!("http://{}{path}", self.admin)).call().unwrap())
    }

    pub(crate) fn put(&self, path: &str, body: impl ToString) -> Got {
        Got::of(self.agent.put(format!("http://{}{path}", self.admin)).send(body.to_string()).unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.stop.take());
        self.thread.take().unwrap().join().unwrap();
    }
}

/// A chat of one turn.
pub(crate) fn chat(prompt: &str) -> Value {
    serde_json::json!({"messages": [{"role": "user", "content": prompt}], "seed": 1})
}

/// A body with one more field.
pub(crate) fn with(mut body: Value, field: &str, value: Value) -> Value {
    body[field] = value;
    body
}

/// The digest of a key, in hex.
pub(crate) fn sha256(text: &str) -> String {
    use sha2::{Digest, Sha256};
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}
