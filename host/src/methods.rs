//! Methods by name: which components play them, and with which settings. They are the rows of the paper's table 2;
//! numbers that are not given here are defaults of the components, which are those of its table 1.

use crate::EngineError;
use inferenceguard_sandbox::SettingValue;
use std::collections::BTreeMap;

/// A component and the settings a method gives it; the rest comes from the bundle or from the component's defaults.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// The component, by the name of its package.
    pub component: &'static str,
    /// Its settings.
    pub settings: BTreeMap<String, SettingValue>,
}

/// A method of the paper's table.
#[derive(Debug, Clone, PartialEq)]
pub struct Method {
    /// What plans and selects.
    pub policy: Part,
    /// What edits latents, if anything does.
    pub steering: Option<Part>,
    /// Whether the bundle's critic takes part.
    pub critic: bool,
}

/// Every name that [`find`] takes.
pub const METHODS: [&str; 14] = [
    "base",
    "re-control",
    "re-control+lagrangian",
    "best-of-n",
    "best-of-n+lagrangian",
    "best-of-n+augmented",
    "beam",
    "beam+lagrangian",
    "beam+augmented",
    "args",
    "args+lagrangian",
    "args+cost",
    "inference-guard",
    "inference-guard+critic",
];

/// The method of this name.
///
/// # Errors
/// [`EngineError::UnknownMethod`].
pub fn find(name: &str) -> Result<Method, EngineError> {
    if !METHODS.contains(&name) {
        return Err(EngineError::UnknownMethod { found: name.to_owned(), known: METHODS.join(", ") });
    }
    let (base, variant) = name.split_once('+').unwrap_or((name, ""));
    let objective = if variant.is_empty() { "reward" } else { variant };
    let policy = match base {
        "best-of-n" => part("best-of-n", "objective", text(objective)),
        "beam" => part("beam-search", "objective", text(objective)),
        "args" => part("args", "objective", text(objective)),
        "inference-guard" => part("inference-guard", "critic", SettingValue::Flag(variant == "critic")),
        // Steering needs no policy of its own.
        _ => Part { component: "base", settings: BTreeMap::new() },
    };
    Ok(Method { policy, steering: steering(base, variant), critic: variant == "critic" })
}

/// The setting that says how many candidates a first-party policy considers; none if it always considers one.
#[must_use]
pub fn candidates_setting(component: &str) -> Option<&'static str> {
    match component {
        "base" => None,
        "args" => Some("k"),
        _ => Some("n"),
    }
}

/// What the variant maximises is in the network's training, so each variant has a network of its own.
fn steering(base: &str, variant: &str) -> Option<Part> {
    match (base, variant) {
        ("re-control", "lagrangian") => Some(part("re-control", "network", text("value-lagrangian"))),
        ("re-control", _) => Some(Part { component: "re-control", settings: BTreeMap::new() }),
        _ => None,
    }
}

fn part(component: &'static str, setting: &str, value: SettingValue) -> Part {
    Part { component, settings: BTreeMap::from([(setting.to_owned(), value)]) }
}

fn text(text: &str) -> SettingValue {
    SettingValue::Text(text.to_owned())
}
