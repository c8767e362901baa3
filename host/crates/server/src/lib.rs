//! An OpenAI-compatible server over a guarded [`Engine`](inferenceguard_host::Engine).
//!
//! 1. Build an engine, put it with its bundle and the [`Settings`] for clients into a [`ServerConfig`], and make a [`Server`].
//! 2. [`Server::run`] it on one listener for clients and, if you like, a second one for administrators. In a program with its own
//!    HTTP server, take [`Server::router`] and [`Server::admin_router`] instead.
//!
//! ```no_run
//! use inferenceguard_host::{Bundle, Engine};
//! use inferenceguard_server::{Server, ServerConfig, ServerError, Settings};
//! use std::{future::pending, sync::Arc};
//! use tokio::net::TcpListener;
//!
//! async fn serve(engine: Arc<Engine>, bundle: Bundle, listener: TcpListener) -> Result<(), ServerError> {
//!     let settings = Settings { max_choices: 4, ..Settings::default() };
//!     let server = Server::new(ServerConfig { settings, ..ServerConfig::new(engine, bundle) })?;
//!     server.run(listener, None, pending()).await
//! }
//! ```
//!
//! | path | |
//! |---|---|
//! | `/v1/chat/completions`, `/v1/completions` | answers, whole or as server-sent events |
//! | `/v1/judge`, `/v1/moderations`, `/beta/litellm_basic_guardrail_api` | judgements for gateways, each where its [`Face`] is on |
//! | `/v1/models`, `/v1/models/NAME`, `/health`, `/ready`, `/metrics` | the model, and the server's health |
//! | `/admin/` | on the second listener: a status page; `status`, `swaps`; `PUT` of `bundle`; `PUT` and `DELETE` of `canary`, `shadow`, `denial`; `POST` to `rollback` and `canary/promote` |
//!
//! `host/REQUESTS.md` lists the fields of requests and their limits; every other field is refused by its name. A request may have
//! an object `"inferenceguard": {"method", "budgets", "release"}`. Every choice of an answer has an object of that name with its
//! status, the rest of each budget, and the generation that decided it.
//!
//! **Invariant**: a client gets text only after its audit, in order, and text is never taken back. A client that leaves cancels
//! its request.

mod admin;
mod admission;
mod app;
mod arrival;
#[cfg(feature = "otlp")]
mod attributes;
#[cfg(not(feature = "otlp"))]
#[path = "without_attributes.rs"]
mod attributes;
mod auth;
mod config;
mod connections;
mod deploy;
mod end;
mod error;
mod exposition;
mod failures;
mod head_time;
mod judge;
mod labels;
mod live;
mod metric_labels;
mod metrics;
mod middleware;
mod openai;
mod outcome;
mod quota;
mod readiness;
mod replica_metrics;
mod request_line;
mod routes;
mod settings;
mod settings_check;
mod span;
mod terms;
mod totals;
mod write_timeout;

pub use app::Server;
pub use config::{ServerConfig, ServerError};
pub use deploy::{DeployError, Lender, OpenError, Opener, SavedModelState, SavedState, Store, StoreError};
pub use judge::{Face, GatewayClient, JudgeSettings, Prompts};
pub use request_line::REQUEST_LINES;
pub use settings::{BudgetPer, CanarySettings, InFlight, Overload, Settings, StreamRelease, Tenant};
pub use settings_check::SettingsError;
pub use span::REQUEST_SPANS;
