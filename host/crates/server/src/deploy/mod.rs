//! What decides: the active bundle and those before it, the tenants' layers, the canary, the shadow and the operator's denial.
//!
//! [`Deployer`] makes every change: it opens a bundle, checks its signature, compiles it, saves it (`saving`) and installs it in
//! the engine. Every failure is a [`DeployError`]; `error.rs` of this crate gives each its HTTP status.
//!
//! | what | in memory | on disk | changed by |
//! |---|---|---|---|
//! | the active bundle and those before it | `ActiveBundles` | `active.json`, `bundles/` | activate, roll back, promote |
//! | lanes of tenants' layers, the reduced lane | the engine | `bundles/` | the same, reload of layers, change of one |
//! | the canary, the shadow | `Canary`, `Shadow` | the numbers of their generations, in `active.json` | start, end; they do not outlive the server |
//! | the denial | `Denial` | `active.json` | deny, allow |
//! | attempts to change any of it | `History` | `swaps.jsonl` | every attempt |
//!
//! **Invariant**: a new active bundle is on the disk before it decides, so an acknowledged activation survives a kill.

mod active;
mod canary;
mod denial;
mod deployer;
mod error;
mod history;
mod layers;
mod saving;
mod shadow;
mod source;
mod store;
mod text_only;
mod trial;
mod writer;

pub use active::{SavedModelState, SavedState};
pub(crate) use canary::without_canary;
pub(crate) use denial::{Denial, Denied};
pub(crate) use deployer::Deployer;
pub use error::DeployError;
pub(crate) use history::Attempt;
pub(crate) use layers::tenant_lane;
pub(crate) use source::BundleSource;
pub use source::{Lender, OpenError, Opener};
pub use store::{Store, StoreError};
