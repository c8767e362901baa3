//! A remote engine for tests: plays another back end, and gives bad answers where a script says so.
//!
//! One entry a line, `CALL NUMBER: FAULT`; `#` begins a comment. Calls of all handles are counted together, from 1, by kind.
//!
//! | call | what is counted |
//! |---|---|
//! | `open`, `fork`, `append`, `grow`, `logprobs`, `latents` | calls of this method |
//!
//! | fault | what happens |
//! |---|---|
//! | `time-out` | the call fails; the engine has done the work all the same, and its beams are lost |
//! | `error` | the call fails |
//! | `restart` | the call fails, and all beams of all handles are lost |
//! | `row-error R` | row R of `grow` is an error |
//! | `missing R` | row R of `grow` is left out of the answer |
//! | `wrong-beam R` | row R of `grow` names the beam of its parent |
//! | `outside R` | the first token of row R of `grow` is outside the vocabulary |
//! | `too-many R` | row R of `grow` has its last token once more than asked for |
//! | `clipped R` | row R of `grow` lacks its last token, and nothing says why |
//! | `nan R` | the first log-probability of row R of `grow`, or number of row R of `logprobs` and `latents`, is NaN |
//!
//! ```
//! # use inferenceguard_model::{LockedBackEnd, fake::FakeEngine, toy::ToyScript};
//! # use std::sync::Arc;
//! let toy = ToyScript::parse("vocab: <eos>* a b\nafter : a 1")?;
//! let engine = FakeEngine::new(Arc::new(LockedBackEnd::new(Box::new(toy.model()))), "grow 2: nan 0")?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod engine;
mod script;
mod spoil;

pub use engine::{FakeEngine, Spoil};
pub use script::{Call, Fault, FaultError};
