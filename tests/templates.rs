//! The sources of new components compile against the SDK, and their own unit tests pass.
#![allow(dead_code, unreachable_pub, reason = "each source is a crate of its own once it is written")]

#[path = "../host/crates/componentize/templates/cost.rs"]
mod cost;
#[path = "../host/crates/componentize/templates/critic.rs"]
mod critic;
#[path = "../host/crates/componentize/templates/policy.rs"]
mod policy;
#[path = "../host/crates/componentize/templates/steering.rs"]
mod steering;
#[path = "../host/crates/componentize/templates/tracker.rs"]
mod tracker;
