//! What the tests of several crates share. Only tests, benches and examples depend on this crate.
//!
//! | module | what it holds |
//! |---|---|
//! | `components` | first-party components and misbehaving guests, built once per process (feature `components`) |
//! | [`hooked`] | a toy model around whose calls a test does something |
//! | [`hooked_score`] | a toy score model around whose calls a test does something |
//! | [`player`] | searches over the toy model, played with roles in plain Rust |
//! | [`roles`] | roles in plain Rust, and a search configuration |
//! | [`described_by!`] | what a cost says of itself that holds another one |
//! | [`manifest!`] | the manifest of a toy deployment |
//! | `toy` | engines over the toy model (feature `engine`) |

#[cfg(feature = "components")]
pub mod components;
mod described;
pub mod hooked;
pub mod hooked_score;
mod manifest;
pub mod player;
pub mod roles;
#[cfg(feature = "engine")]
pub mod toy;
