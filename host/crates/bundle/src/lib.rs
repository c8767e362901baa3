//! A bundle: the policy of one deployment, as a folder of a manifest and the component files it names, or as one file of
//! all that.
//!
//! # Key types
//! - [`Bundle`]: a bundle that was read and checked, with the bytes and the digest of every file.
//! - [`Manifest`]: `bundle.toml`, typed.
//! - [`SettingValue`], [`Limits`]: what a component is given, and what it may use.
//! - [`Layer`]: what a tenant adds; it can only tighten.
//! - [`Network`]: a network of the bundle, for costs, critics and steering; its file's format is at [`network`].
//! - [`Signature`], [`Trust`]: who vouches for a bundle, and which bundles a deployment takes.
//! - [`Digest`]: SHA-256, shown as `sha256:…`.
//!
//! # The manifest
//! ```toml
//! name = "example"
//! version = "1.0.0"
//! task = "reward"                      # the cost that ranks answers
//! max_tokens = 128
//! on_exhausted = "refuse"              # refuse | least_violation | best_reward
//! refusal = "I cannot help with that."
//!
//! [policy]
//! component = "inference-guard.wasm"   # a file of the folder
//! settings = { n = 32 }
//!
//! [tracker]
//! component = "safety-budget.wasm"
//!
//! [costs.harm]
//! component = "score-cost.wasm"
//! settings = { model = "cost" }
//!
//! [costs.reward]
//! component = "score-cost.wasm"
//! settings = { model = "reward", kind = "task" }
//!
//! [costs.words]
//! component = "keyword-cost.wasm"
//! lists = { words = "words.txt" }      # a setting in a file: a text on each line, its weight behind a tab
//!
//! [critic]                             # optional, like [steering]
//! component = "latent-critic.wasm"
//!
//! [methods.cautious]                   # optional: a method of the bundle's own, or settings of another one
//! policy = "best-of-n.wasm"
//! settings = { n = 8 }
//!
//! [networks.critic]                    # what components open by the name `critic`
//! file = "critic.safetensors"
//!
//! [scores.cost]                        # the model it was made for; `bundle pin` writes it, and another one is refused
//! fingerprint = "sha256:…"             # likewise of the language model, in [model]
//!
//! [[constraints]]
//! name = "harm"
//! cost = "harm"
//! budget = 10.0                        # gamma, clip, mode and granularity have defaults
//! ```
//!
//! **Invariant**: a bundle names files inside its own folder only, and nothing it names stays unread: what runs is what
//! the digest covers.

mod archive;
mod bundle;
mod date;
mod digest;
mod entries;
mod error;
mod folder;
mod layer;
mod limits;
mod list;
mod manifest;
pub mod network;
mod places;
mod setting_value;
mod signature;
mod trust;
mod values;

pub use bundle::{Bundle, MANIFEST};
pub use date::{date, seconds_since_1970};
pub use digest::Digest;
pub use entries::{ConstraintEntry, MethodEntry, ModelEntry, NetworkEntry, RoleEntry};
pub use error::{BundleError, SignatureError};
pub use layer::{LAYER, Layer, LayerManifest};
pub use limits::{LimitError, Limits};
pub use manifest::Manifest;
pub use network::Network;
pub use setting_value::SettingValue;
pub use signature::{NewKey, Signature, SigningKey, Statement, VerifyingKey};
pub use trust::{Signer, Trust};
