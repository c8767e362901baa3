//! Judgements for gateways: text that another program generated, or is about to send, priced by the active bundle.
//!
//! `ask` answers one question; `gateway` asks it for Envoy. The handlers read what each kind of gateway sends and write what it
//! expects; the types of both are in [`inferenceguard_gateways`]. A judgement passes the same limits as a choice of an answer: key,
//! denial, capacity, quota.
//!
//! **Invariant**: text without a verdict, and text whose verdict is not that every budget holds, is never a pass.

mod ask;
mod ask_error;
mod gateway;
mod handlers;
mod litellm;
mod settings;
mod state;

pub use gateway::GatewayClient;
pub(crate) use handlers::{judge, moderations};
pub(crate) use litellm::litellm;
pub use settings::{Face, JudgeSettings, Prompts};
pub(crate) use state::GatewayState;
