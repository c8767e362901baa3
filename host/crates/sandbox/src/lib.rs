//! Roles played by WebAssembly components, fenced in: fuel, deadline, memory, and reads only of what was declared.
//!
//! # Key types
//! - [`Sandbox`]: an engine, its pool of instances and [`Limits`]; sandboxes with other limits may share the engine.
//! - [`Component`]: a wasm file that was checked, compiled and asked what it is ([`Description`]).
//! - [`Activation`]: a component with settings it accepted; gives fresh instances as the traits of the search.
//!
//! # Usage
//! 1. [`Sandbox::new`], once per process.
//! 2. [`Sandbox::load`] per component, [`Component::activate`] per deployment.
//! 3. [`Activation::policy`], [`Activation::tracker`] and so on, per request.
//!
//! **Invariants**: this is the only crate that names wasmtime. Nothing a component does panics the host. A component
//! that failed once is not asked again in that request. Precompiled code is never loaded, except what wasmtime's own
//! cache wrote. Generated types do not leave the crate.

mod activation;
mod bindings;
mod check;
mod clock;
mod compiled;
mod component;
mod convert;
mod dense_state;
mod error;
mod host_batch;
mod host_dense;
mod host_log;
mod host_why;
mod inspect;
mod instance;
mod roles;
mod runtime;
mod sandbox;
mod settings;
mod state;
mod synthetic;
mod trial;

pub use activation::Activation;
pub use check::{CallReport, CheckReport};
pub use component::{Component, Description};
pub use error::SandboxError;
pub use inferenceguard_bundle::{Limits, SettingValue};
pub use inspect::SUPPORTED_CONTRACT;
pub use sandbox::Sandbox;
pub use settings::Setting;
pub use synthetic::Shape;
