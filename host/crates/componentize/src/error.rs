//! Why there is no component.

use crate::Role;
use std::path::PathBuf;

/// Why a crate did not become a component, or why a file is not one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ComponentError {
    /// The bytes are not WebAssembly.
    #[error("this is not WebAssembly: it does not begin with `\\0asm`; give the file that `component build` wrote")]
    NotWasm,
    /// A core module, not a component.
    #[error(
        "this is a core WebAssembly module, not a component; build it with `component build`, or make one of it with \
         `component encode`"
    )]
    CoreModule,
    /// A component, where a core module is expected.
    #[error("this is a component already; expected a core WebAssembly module: use it as it is")]
    AlreadyComponent,
    /// WebAssembly that does not validate.
    #[error("this WebAssembly is malformed: {0}; build it again")]
    Malformed(String),
    /// An import outside the contract.
    #[error(
        "{} imports `{import}`, but a component may import only `inferenceguard:guard`; remove what needs it (files, \
         clocks, randomness and the network are not there; build for wasm32-unknown-unknown, not wasm32-wasi*)",
        role.map_or_else(|| "the component".to_owned(), |role| format!("the {role} component"))
    )]
    ForeignImport {
        /// The import.
        import: String,
        /// The role, where its export is known.
        role: Option<Role>,
    },
    /// An import of the contract that this role's world does not have.
    #[error("the {role} component imports `{import}`, but its world has only {}", allowed.join(", "))]
    ImportOfAnotherRole {
        /// The import.
        import: String,
        /// The role.
        role: Role,
        /// The interfaces it may import.
        allowed: Vec<String>,
    },
    /// A version of the contract that is not known here.
    #[error("`{interface}` is of a contract version not known here; known are {}; build against one of them",
        crate::VERSIONS.join(", "))]
    UnknownVersion {
        /// The import or export.
        interface: String,
    },
    /// No role among the exports.
    #[error("it exports no role (found: {}); register one, for example with `register_policy!(MyPolicy);`",
        if exports.is_empty() { "no exports at all".to_owned() } else { exports.join(", ") })]
    NoRole {
        /// All exports.
        exports: Vec<String>,
    },
    /// More than one role.
    #[error("it exports the roles {}; a component fills exactly one, so make one crate per role",
        roles.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))]
    SeveralRoles {
        /// The roles.
        roles: Vec<Role>,
    },
    /// No `setup` interface.
    #[error("the {role} component does not export `inferenceguard:guard/setup`; every world has it")]
    NoSetup {
        /// The role.
        role: Role,
    },
    /// The core module could not be encoded.
    #[error("the module could not be encoded as a component: {0}")]
    Encode(String),
    /// The wasm target is missing and could not be installed.
    #[error(
        "the Rust target wasm32-unknown-unknown is missing and could not be installed ({0}); run `rustup target add \
         wasm32-unknown-unknown`"
    )]
    Target(String),
    /// A program did not start.
    #[error("`{program}` did not start: {source}; is it installed and on PATH?")]
    Start {
        /// The program.
        program: String,
        /// Why.
        source: std::io::Error,
    },
    /// The nested cargo failed.
    #[error("building {packages} failed:\n{stderr}")]
    Cargo {
        /// What was built.
        packages: String,
        /// The output of cargo.
        stderr: String,
    },
    /// Cargo made no wasm file for a package.
    #[error("{package} gave no wasm file; its Cargo.toml needs `[lib] crate-type = [\"cdylib\", \"rlib\"]`")]
    NoArtifact {
        /// The package or folder.
        package: String,
    },
    /// A file or folder could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A component's name that cannot be a crate's name.
    #[error("`{0}` cannot be a component's name; use lower-case letters, digits and single dashes, letter first")]
    Name(String),
    /// The folder for a new component is there already.
    #[error("{} exists already; choose another name or folder", .0.display())]
    Exists(PathBuf),
}

impl ComponentError {
    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }
}
