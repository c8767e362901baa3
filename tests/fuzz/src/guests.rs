//! Components of the tests, and a toy deployment.

use axum::Router;
use inferenceguard_bundle::Bundle;
use inferenceguard_host::{Engine, EngineBuilder};
use inferenceguard_server::{Server, ServerConfig};
use inferenceguard_testkit::{components, toy};
use std::sync::{Arc, LazyLock};
use tokio::runtime::{Builder, Runtime};

/// One policy, tracker, cost and reward; no limit is near.
pub(crate) const MANIFEST: &str = r#"
name = "toy"
version = "0.1.0"
task = "reward"
max_tokens = 12
refusal = "No."

[policy]
component = "inference-guard.wasm"
settings = { n = 4, keep = 2, chunk-len = 4 }

[tracker]
component = "safety-budget.wasm"

[costs.harm]
component = "score-cost.wasm"
settings = { model = "cost" }

[costs.reward]
component = "score-cost.wasm"
settings = { model = "reward", kind = "task" }

[[constraints]]
name = "harm"
cost = "harm"
budget = 4
"#;

/// `good` costs nothing, `bad` more than the budget.
const SCRIPT: &str = "vocab: <eos>* ask good bad plain
context: 64
after : good 3, plain 3, bad 3, <eos> 1
score cost: bad 5
score reward cumulative: good 1, bad 3";

/// What servers of the targets are made from.
pub(crate) struct Toy {
    pub(crate) runtime: Runtime,
    pub(crate) engine: Arc<Engine>,
    pub(crate) bundle: Bundle,
}

pub(crate) static TOY: LazyLock<Toy> = LazyLock::new(|| Toy { runtime: runtime(), engine: engine(), bundle: bundle() });

/// A server in memory, with the runtime that answers for it.
pub(crate) struct Running {
    pub(crate) runtime: Runtime,
    pub(crate) clients: Router,
    pub(crate) admin: Router,
}

impl Running {
    pub(crate) fn new(config: ServerConfig) -> Self {
        let (runtime, server) = (runtime(), Server::new(config).expect("a server"));
        server.begin().expect("a server that begins");
        Self { runtime, clients: server.router(), admin: server.admin_router() }
    }
}

/// A runtime that answers one input after the other.
pub(crate) fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime")
}

/// The bytes of a component of the tests, by its package.
pub(crate) fn rogue(package: &str) -> &'static [u8] {
    &components::guests()[package]
}

pub(crate) fn bundle() -> Bundle {
    toy::bundle(MANIFEST)
}

pub(crate) fn engine() -> Arc<Engine> {
    let builder = EngineBuilder::new().bundle(&bundle()).max_live(4);
    Arc::new(toy::with_models(builder, SCRIPT).build().expect("the toy"))
}
