//! From a crate folder to a checked component: one builder for the command line, build scripts, tests and benches.
//!
//! Key types: [`Build`] says what to build and where; [`build_workspace_components`] builds many packages in one cargo
//! call; [`encode`] turns a core module into a component; [`inspect`] says what a component is, or why a file is not one.
//!
//! 1. The nested cargo gets a target directory of its own, because sharing the outer one's would wait for its lock.
//! 2. The variables that the outer cargo set for its own crates are removed.
//! 3. A component that imports anything but the contract is refused before it is written.

mod build;
mod contract;
mod encode;
mod environment;
mod error;
mod inspect;
mod scaffold;
mod toolchain;

pub use build::{Build, Built, build_workspace_components};
pub use contract::{CONTRACT, Role, VERSIONS};
pub use encode::encode;
pub use error::ComponentError;
pub use inspect::{Inspection, inspect};
pub use scaffold::{find_sdk, scaffold};
