//! A fake vLLM or llama.cpp server in memory: an honest server of a small made-up model, and ways to make it lie, fail, stop and die.

#![allow(missing_docs, reason = "it is for tests: names say what fields hold")]

mod clients;
mod kind;
pub mod llama;
pub mod model;
mod serve;
mod texts;

pub use clients::{connect, deadlines, grow_one, growth, local, remote, row, tenant};
pub use kind::Kind;
pub use texts::Texts;

use axum::{Router, http::HeaderMap};
use inferenceguard_model::Token;
use serde_json::Value;
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
        let app = Router::new().fallback(serve::answer).with_state(Arc::clone(&self.shared));
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
