//! Safety policies for language models at inference time: the library that one embeds.
//!
//! 1. Open a bundle: what decides, what is priced, and how much is allowed.
//! 2. Build an [`Engine`] from a model, its score models and the bundle.
//! 3. Ask it: [`Engine::generate`], or [`Engine::stream`] for text as it is released and for progress.
//! 4. Read the [`Output`]: the text, its [`Status`], and the budget as it was spent.
//!
//! ```
//! use inferenceguard_host::{EngineBuilder, Request, Status, model::toy::ToyScript};
//! // Of the tests: a configuration with one budget, and roles in plain Rust in place of a bundle.
//! use inferenceguard_testkit::toy::{config, roles};
//!
//! let toy = ToyScript::parse(
//!     "vocab: <eos>* good bad\nafter : good 3, bad 2, <eos> 1\nscore cost: bad 5\nscore reward: good 1",
//! )?;
//! let mut builder = EngineBuilder::new().model(Box::new(toy.model()));
//! for score in toy.scores() {
//!     builder = builder.score_model(Box::new(score));
//! }
//! // With a bundle: builder.bundle(&Bundle::open("bundles/household".as_ref())?). Here, those roles decide.
//! let engine = builder.config(config(11.0)).roles("best-safe", roles).build()?;
//!
//! let mut request = Request::new("good");
//! request.budgets.insert("harm".to_owned(), 8.0);
//! let output = engine.generate(request)?;
//! let (harm, safe) = (&output.constraints[0], output.status == Status::WithinBudget);
//! println!("{}: {:.1} of {:.1} spent, safe: {safe}", output.text, harm.max_cost, harm.budget);
//! assert!(!safe || harm.max_cost < 8.0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! `host/EMBEDDING.md` is the guide; `host/examples` holds whole programs.
//!
//! # Key types
//! - [`EngineBuilder`], [`Engine`]: no globals, no async. Many threads may ask one engine at once, and
//!   [`Engine::activate`] changes the bundle under them.
//! - [`Request`], [`CancelToken`], [`Event`], [`Output`].
//! - [`Terms`]: what the operator decides for a request, beside its client.
//! - [`Bundle`], [`Trust`]: what decides, and whom the operator trusts to sign it.
//! - [`Prepared`], [`Judgement`]: bundles beside the active one, and what they say of an answer.
//! - [`Roles`], [`RolesFactory`]: what plays the roles: wasm components of a bundle, or plain Rust.
//! - [`methods`]: the methods by name.
//! - [`BackEnd`], [`ScoreBackEnd`]: models that several engines use, or that run elsewhere.
//! - [`bundle`], [`model`], [`sandbox`], [`schedule`], [`search`]: the crates below, for what is not named here.
//!
//! **Invariant**: however a request ends, its beams are released. A language model that fails ends the request with an error; a
//! component or a score model that fails is part of the outcome.

#![deny(missing_docs)]

mod abilities;
mod activation;
mod back_ends;
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
mod growing;
mod instances;
mod judge;
mod lanes;
mod likeliest;
pub mod methods;
mod migrate;
mod networks;
mod notes;
mod pins;
mod probe;
mod profile;
mod request;
mod roles;
mod run;
mod sandboxed;
mod scores;
mod steer;
mod templates;
mod terms;
mod watched;

pub use builder::{EngineBuilder, OWN_METHOD};
pub use engine::{Engine, LiveBeams};
pub use error::EngineError;
pub use event::{Best, Event, Generation, Progress};
pub use judge::Judgement;
pub use lanes::Prepared;
pub use pins::check_models;
pub use request::Request;
pub use roles::RolesFactory;
pub use terms::{Terms, UnderTerms};

// What an embedder touches of the crates below.
pub use inferenceguard_bundle::{self as bundle, Bundle, BundleError, Trust};
pub use inferenceguard_model::{
    self as model, Abilities, BackEnd, Cancel as CancelToken, Message, Model, ScoreBackEnd, ScoreModel, Tokenizer,
};
pub use inferenceguard_sandbox::{self as sandbox, Limits, Sandbox, SettingValue};
pub use inferenceguard_schedule as schedule;
pub use inferenceguard_search::{
    self as search, BundleIdentity, ConstraintReport, EngineRun, Finish, Inputs, Migration, Models, Output, Profile,
    Recorded, Release, RepeatsFrom, Roles, Sampling, SamplingSettings, SearchConfig, Status, VERSION,
};
