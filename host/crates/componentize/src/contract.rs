//! What the contract allows, by name: roles, versions, and the imports of each role's world.

use std::{fmt, str::FromStr};

/// The only package a component may import.
pub const CONTRACT: &str = "inferenceguard:guard";

/// The versions of the contract that are known here, without their patch number.
pub const VERSIONS: &[&str] = &["0.1"];

/// What a component is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Plans chunks and selects beams.
    Policy,
    /// Keeps the safety state of one constraint.
    Tracker,
    /// Foresees safety and task cost.
    Critic,
    /// Prices new tokens.
    Cost,
    /// Edits latents.
    Steering,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Policy, Self::Tracker, Self::Critic, Self::Cost, Self::Steering];

    /// Its name, which is also the name of the interface it exports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Policy => "policy",
            Self::Tracker => "tracker",
            Self::Critic => "critic",
            Self::Cost => "cost",
            Self::Steering => "steering",
        }
    }

    /// The interfaces of the contract it may import.
    #[must_use]
    pub fn imports(self) -> &'static [&'static str] {
        match self {
            Self::Policy => &["types", "log", "batch"],
            Self::Tracker => &["types", "log"],
            Self::Cost => &["types", "log", "batch", "dense", "why"],
            Self::Critic | Self::Steering => &["types", "log", "batch", "dense"],
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|role| role.name() == name);
        found.ok_or_else(|| {
            format!("there is no role `{name}`; expected one of {}", Self::ALL.map(Self::name).join(", "))
        })
    }
}

/// An interface of the contract, as import and export names spell it: `inferenceguard:guard/NAME@VERSION`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Interface<'a> {
    pub(crate) name: &'a str,
    pub(crate) version: &'a str,
}

impl<'a> Interface<'a> {
    /// The interface, if the name is of the contract's package.
    pub(crate) fn of(name: &'a str) -> Option<Self> {
        let (name, version) = name.strip_prefix(CONTRACT)?.strip_prefix('/')?.split_once('@').unwrap_or(("", ""));
        Some(Self { name, version })
    }

    /// Whether the version is one we know.
    pub(crate) fn known(self) -> bool {
        let minor = self.version.rsplit_once('.').map_or("", |(minor, _)| minor);
        VERSIONS.contains(&minor)
    }
}
