//! What gateways send and get when they ask for a judgement. Plain data in, plain data out: no network, no clock, no engine.
//!
//! A gateway has a text and wants to know whether it may go out. It asks a [`Judge`] a [`Question`] and gets a [`Verdict`].
//! Each module for one kind of gateway (a *face*) reads what that gateway sends, and writes the answer that it expects:
//!
//! | module | gateway |
//! |---|---|
//! | [`judge`] | `/v1/judge`, the server's own interface |
//! | [`litellm`] | LiteLLM's generic guardrail route |
//! | [`moderations`] | clients of OpenAI's `/v1/moderations` |
//! | [`chat`], [`sse`], [`stream`] | OpenAI's chats as they pass a proxy, whole or as server-sent events |
//!
//! [`Fields`], [`messages`] and [`neutral`] read the JSON of all clients: every supported field is taken by its name, and a field
//! that is left is refused.
//!
//! **Invariant**: what a face does not understand is never a pass.

mod ask;
pub mod chat;
#[cfg(test)]
mod chat_tests;
mod fields;
mod joins;
pub mod judge;
mod kind;
pub mod litellm;
#[cfg(test)]
mod litellm_tests;
pub mod messages;
pub mod moderations;
pub mod neutral;
mod problem;
pub mod sse;
pub mod stream;
#[cfg(test)]
mod stream_tests;
mod verdict;

pub use ask::{Conversation, Judge, Part, Question, Refused, certain};
pub use fields::{Fields, missing, wrong};
pub use joins::{JoinLimits, Joins, TooManyIds};
pub use kind::error_kind;
pub use problem::Problem;
pub use verdict::{BundleName, ModelNames, OnUnsafe, Price, Standing, Verdict};
