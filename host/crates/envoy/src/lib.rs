//! Envoy's external processing (`ext_proc`): chats that pass a proxy are judged before they go on.
//!
//! Envoy opens a gRPC stream for every HTTP exchange and sends its parts, one after the other: headers and body of the request,
//! headers and body of the response. Each is answered with what Envoy should do with it. [`serve`] runs the service on a listener;
//! a [`Judge`] gives the verdicts.
//!
//! | part | what happens |
//! |---|---|
//! | request headers | a chat path goes on, an open path is let through, any other path is blocked |
//! | request body | the conversation is read, and judged if prompts are screened |
//! | response headers | JSON and server-sent events go on, everything else is blocked |
//! | response body, whole | every choice is judged, then passed, blocked or replaced |
//! | response body, streamed | events are held back until their words are judged |
//!
//! **Invariant**: Envoy gets a part of a guarded exchange back unchanged only if a verdict covers its words. Whatever is not
//! understood, and whatever fails, ends the exchange with an error.

mod exchange;
mod proto;
mod reply;
mod response;
mod server;

pub use server::{EnvoyError, EnvoyOptions, serve};

// For programs that speak to the service, such as tests.
pub use inferenceguard_gateways::Judge;
pub use proto::*;
pub use server::{PROCESS, Processor};
