//! An OpenAI-compatible server over a guarded [`Engine`](inferenceguard_host::Engine).
//!
//! 1. Build an engine, say what clients may do in [`Settings`], and make a [`Server`] of both.
//! 2. [`Server::run`] it on a listener; a second one takes the administrators.
//!
//! | path | |
//! |---|---|
//! | `/v1/chat/completions`, `/v1/completions` | answers, whole or as server-sent events |
//! | `/v1/models`, `/v1/models/NAME`, `/health`, `/ready`, `/metrics` | what is served, and how it fares |
//! | `/admin/` | on the second listener: a status page; `status`, `swaps`; `PUT` of `bundle`; `PUT` and `DELETE` of `canary`, `shadow`, `denial`; `POST` to `rollback` and `canary/promote` |
//!
//! `host/REQUESTS.md` lists the fields of requests, and what limits them; every other field is refused by its name. A request
//! may carry `"inferenceguard": {"method", "budgets", "release"}`; an answer carries an object of that name
//! with its status, what is left of each budget, and the generation that decided it.
//!
//! **Invariant**: text reaches a client only after its audit, in order, and is never taken back. A client that leaves
//! cancels its request.

mod admin;
mod admission;
mod app;
mod arrival;
mod auth;
mod config;
mod connections;
mod deploy;
mod end;
mod error;
mod exposition;
mod labels;
mod live;
mod locks;
mod metrics;
mod middleware;
mod openai;
mod quota;
mod readiness;
mod settings;
mod span;
mod terms;
mod write_timeout;

pub use app::Server;
pub use config::{ServerConfig, ServerError};
pub use deploy::{DeployError, Lender, OpenError, Opener, SavedModelState, SavedState, Store, StoreError};
pub use settings::{BudgetPer, CanarySettings, InFlight, Overload, Settings, SettingsError, StreamRelease, Tenant};
pub use span::REQUEST_SPANS;
