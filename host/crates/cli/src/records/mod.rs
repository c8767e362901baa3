//! Records: `verify`, `replay`, `explain` and `forget`.

mod explain;
mod forget;
mod replay;
mod verify;

pub(crate) use explain::{ExplainArguments, explain};
pub(crate) use forget::{ForgetArguments, forget};
pub(crate) use replay::{ReplayArguments, replay};
pub(crate) use verify::{VerifyArguments, verify};
