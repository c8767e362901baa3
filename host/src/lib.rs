//! Safety policies for language models at inference time: the library one embeds.
//!
//! 1. Open or embed a bundle: what decides, what is priced, how much is allowed.
//! 2. Build an [`Engine`] from a model, its score models and the bundle.
//! 3. Ask it: [`Engine::generate`], or [`Engine::stream`] for text as it is released and for progress.
//! 4. Read the [`Output`]: the text, its [`Status`], and the budget as it was spent.
//!
//! ```no_run
//! use inferenceguard_bundle::Bundle;
//! use inferenceguard_host::{EngineBuilder, Request};
//! use inferenceguard_model::toy::ToyScript;
//!
//! let bundle = Bundle::open("bundles/household".as_ref())?;
//! let toy = ToyScript::parse("vocab: <eos>* good bad\nafter : good 3, bad 2, <eos> 1\nscore cost: bad 5")?;
//! let mut builder = EngineBuilder::new().model(Box::new(toy.model())).bundle(&bundle);
//! for score in toy.scores() {
//!     builder = builder.score_model(Box::new(score));
//! }
//! let engine = builder.build()?;
//!
//! let mut request = Request::new("good");
//! request.budgets.insert("harm".to_owned(), 3.0);
//! let output = engine.generate(request)?;
//! println!("{:?}: {}", output.status, output.text);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Key types
//! - [`EngineBuilder`], [`Engine`]: no globals, no async. Many threads may ask one engine at once, and
//!   [`Engine::activate`] changes the bundle under them.
//! - [`Request`], [`CancelToken`], [`Event`], [`Output`].
//! - [`Prepared`], [`Judgement`]: bundles beside the active one, and what they would have said of an answer.
//! - [`Roles`], [`RolesFactory`]: who plays the roles; wasm components of a bundle, or plain Rust.
//! - [`methods`]: the methods by name.
//!
//! **Invariant**: whatever happens to a request, its beams are released; a failing back end ends the request with an
//! error, a failing component is part of the outcome.

mod beams;
mod blueprint;
mod builder;
mod columns;
mod conversation;
mod deployment;
mod driver;
mod engine;
mod error;
mod event;
mod gate;
mod instances;
mod judge;
mod lanes;
mod likeliest;
pub mod methods;
mod migrate;
mod networks;
mod pins;
mod profile;
mod request;
mod roles;
mod run;
mod sandboxed;
mod scores;
mod steer;
mod templates;
mod terms;

pub use builder::{EngineBuilder, OWN_METHOD};
pub use engine::{Engine, Held};
pub use error::EngineError;
pub use event::{Best, Event, Generation, Progress};
pub use judge::Judgement;
pub use lanes::Prepared;
pub use pins::check_models;
pub use request::{CancelToken, Request};
pub use roles::RolesFactory;
pub use terms::{Terms, UnderTerms};

// What an embedder touches of the crates below.
pub use inferenceguard_bundle::{self as bundle, Bundle, BundleError, Trust};
pub use inferenceguard_model::{self as model, Message, Model, ScoreModel, Tokenizer};
pub use inferenceguard_sandbox::{self as sandbox, Limits, Sandbox, SettingValue};
pub use inferenceguard_search::{
    self as search, BundleIdentity, ConstraintReport, Finish, Inputs, Migration, Models, Output, Profile, Recorded,
    Release, Roles, Sampling, SamplingSettings, SearchConfig, Status, VERSION,
};
