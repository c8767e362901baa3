//! Why a component was not taken.

use inferenceguard_bundle::LimitError;
use inferenceguard_search::{FailureKind, Role};

/// Everything that can be wrong with a sandbox, a component or its settings, outside a request. Inside a request a
/// component fails with [`inferenceguard_search::RoleFailure`] instead.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SandboxError {
    /// A limit is out of its range.
    #[error(transparent)]
    Limit(#[from] LimitError),
    /// The engine did not start.
    #[error(
        "the wasm engine did not start: {reason}; it reserves {gigabytes} GiB of addresses for its instances, without using \
         that memory: allow the process as many (`ulimit -v`), or lower the limit `instances`. If it is the cache folder that \
         cannot be used, mend that"
    )]
    Engine {
        /// Its message.
        reason: String,
        /// The addresses that its pool needs, in GiB.
        gigabytes: u64,
    },
    /// The threads that compile did not start.
    #[error("the threads that compile components did not start: {reason}; allow the process more threads")]
    Compiler {
        /// The error of the system.
        reason: String,
    },
    /// The bytes are no component.
    #[error(
        "`{component}` is {found}; expected a WebAssembly component: build it with `inferguard component build`, or make one of \
         a core module with `inferguard component encode`"
    )]
    NotAComponent {
        /// The component.
        component: String,
        /// What the bytes are.
        found: String,
    },
    /// The file is larger than allowed.
    #[error(
        "`{component}` has {found} bytes; at most {limit} are allowed: raise the limit `component` or strip the file"
    )]
    TooLarge {
        /// The component.
        component: String,
        /// Its size.
        found: u64,
        /// The limit.
        limit: u64,
    },
    /// It imports something that is not ours.
    #[error(
        "`{component}` imports `{import}`; a component may import only inferenceguard:guard: build it for \
         wasm32-unknown-unknown, without WASI"
    )]
    ForeignImport {
        /// The component.
        component: String,
        /// The import.
        import: String,
    },
    /// It was built for another version of the contract.
    #[error(
        "`{component}` was built for contract version {found}; this host supports {expected}: build it for one of these"
    )]
    Version {
        /// The component.
        component: String,
        /// The version it names.
        found: String,
        /// The versions this host has.
        expected: &'static str,
    },
    /// It does not export what every component must.
    #[error("`{component}` exports {found}; expected {expected}")]
    Exports {
        /// The component.
        component: String,
        /// What it exports.
        found: String,
        /// What it must.
        expected: String,
    },
    /// It needs more of something than a limit allows.
    #[error(
        "`{component}` needs more than its limits allow: {reason}; raise the limit `{limit}`, or make it need less"
    )]
    OverLimit {
        /// The component.
        component: String,
        /// The error of the engine.
        reason: String,
        /// The limit.
        limit: &'static str,
    },
    /// It is a component that this host cannot run.
    #[error(
        "`{component}` cannot be used: {reason}; build it for this version of the contract, without features of \
         WebAssembly that this host does not have"
    )]
    Invalid {
        /// The component.
        component: String,
        /// The error of the engine.
        reason: String,
    },
    /// A function failed outside a request.
    #[error("`{component}` failed in `{function}`: {kind}")]
    Failed {
        /// The component.
        component: String,
        /// The function.
        function: &'static str,
        /// How.
        kind: FailureKind,
    },
    /// What it says of itself makes no sense.
    #[error("`{component}` describes {found}; expected {expected}")]
    Description {
        /// The component.
        component: String,
        /// Its message.
        found: String,
        /// What it must say.
        expected: String,
    },
    /// It has no such setting.
    #[error("`{component}` has no setting `{name}`; it has {known}")]
    UnknownSetting {
        /// The component.
        component: String,
        /// The name given.
        name: String,
        /// The names there are.
        known: String,
    },
    /// A setting has a value of the wrong type.
    #[error("setting `{name}` of `{component}` is {found}; expected {expected}")]
    SettingType {
        /// The component.
        component: String,
        /// The setting.
        name: String,
        /// The type given.
        found: &'static str,
        /// The type of its default.
        expected: &'static str,
    },
    /// It does not take its settings.
    #[error("`{component}` refuses its settings: {message}")]
    Configure {
        /// The component.
        component: String,
        /// Its own words.
        message: String,
    },
    /// It fills another role.
    #[error("`{component}` fills the role {found}; expected {expected}: put it where its role is wanted")]
    WrongRole {
        /// The component.
        component: String,
        /// Its role.
        found: Role,
        /// The role wanted.
        expected: Role,
    },
    /// All instances are in use.
    #[error("no instance is free for `{component}`: {reason}; try again later, or raise the limit `instances`")]
    PoolDry {
        /// The component.
        component: String,
        /// Which pool is dry, and its size.
        reason: String,
    },
    /// Two equal calls had different answers.
    #[error(
        "`{component}` answers `{function}` differently when asked again ({first} then {second}); a component must be a \
         function of its arguments: remove what it remembers between calls"
    )]
    NotDeterministic {
        /// The component.
        component: String,
        /// The function.
        function: &'static str,
        /// The first answer, shortened.
        first: String,
        /// The other, shortened.
        second: String,
    },
}
