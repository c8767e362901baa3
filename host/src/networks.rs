//! Checks that the networks that roles open are there and were made for this model and these constraints.
//!
//! A network says what it was made for in its metadata (see [`inferenceguard_bundle::network`]). Keys that it does not
//! have are not compared.

use crate::{EngineError, roles::readers};
use inferenceguard_bundle::Network;
use inferenceguard_model::{LatentSelector, ModelInfo};
use inferenceguard_search::{Constraint, Needs, Role, RolesInfo, SearchConfig};
use std::collections::BTreeMap;

/// The networks of a bundle, by name.
pub(crate) type Networks = BTreeMap<String, Network>;

/// One role and one network it opens.
struct Use<'a> {
    role: Role,
    component: &'a str,
    needs: &'a Needs,
    name: &'a str,
}

fn uses(info: &RolesInfo) -> impl Iterator<Item = Use<'_>> {
    readers(info).into_iter().flat_map(|(role, component, needs)| {
        needs.networks.iter().map(move |name| Use { role, component, needs, name })
    })
}

/// Checks every network that the roles of a method open.
pub(crate) fn check(
    method: &str,
    info: &RolesInfo,
    networks: &Networks,
    model: &ModelInfo,
    config: &SearchConfig,
) -> Result<(), EngineError> {
    for one in uses(info) {
        let network = networks.get(one.name).ok_or_else(|| one.missing(method, networks))?;
        one.check(network, model, config)?;
    }
    check_budgets(info, networks, config)
}

impl Use<'_> {
    fn missing(&self, method: &str, networks: &Networks) -> EngineError {
        let names: Vec<&str> = networks.keys().map(String::as_str).collect();
        EngineError::NoNetwork {
            method: method.to_owned(),
            role: self.role,
            component: self.component.to_owned(),
            network: self.name.to_owned(),
            known: if names.is_empty() { "none".to_owned() } else { names.join(", ") },
        }
    }

    fn check(&self, network: &Network, model: &ModelInfo, config: &SearchConfig) -> Result<(), EngineError> {
        let accepted = [("model", vec![model.base().to_owned(), model.name.clone()])]
            .into_iter()
            .chain([("hidden", vec![model.hidden.to_string()])])
            .chain([("latent", vec![places(self.needs)])])
            .chain(of_constraints(config));
        for (key, accepted) in accepted {
            if let Some(found) = network.metadata.get(key).filter(|found| !fits(found, &accepted)) {
                return Err(self.wrong(key, found, accepted.join("` or `")));
            }
        }
        Ok(())
    }

    fn wrong(&self, key: &'static str, found: &str, expected: String) -> EngineError {
        let (network, component) = (self.name.to_owned(), self.component.to_owned());
        let (found, expected) = (found.to_owned(), format!("`{expected}`"));
        EngineError::WrongNetwork { network, role: self.role, component, key, found, expected }
    }
}

/// The places whose latents the role reads; those of every token, joined by `+`, if it reads such.
fn places(needs: &Needs) -> String {
    let read = if needs.token_latents.is_empty() { needs.latents.as_slice() } else { needs.token_latents.as_slice() };
    if read.is_empty() { "none".to_owned() } else { read.iter().map(latent).collect::<Vec<_>>().join("+") }
}

fn latent(selector: &LatentSelector) -> String {
    match selector {
        LatentSelector::FinalNorm => "final-norm".to_owned(),
        LatentSelector::Layer(layer) => format!("layer:{layer}"),
    }
}

/// What the constraints are, written as networks write it.
fn of_constraints(config: &SearchConfig) -> [(&'static str, Vec<String>); 4] {
    let list = |write: fn(&Constraint) -> String| {
        vec![config.constraints.iter().map(|priced| write(&priced.constraint)).collect::<Vec<_>>().join(",")]
    };
    [
        ("constraints", list(|constraint| constraint.name.clone())),
        ("gamma", list(|constraint| constraint.gamma.to_string())),
        ("clip", list(|constraint| constraint.clip.name().to_owned())),
        ("mode", list(|constraint| constraint.mode.name().to_owned())),
    ]
}

/// Whether two words are equal, or two ways to write one number.
fn same(one: &str, other: &str) -> bool {
    one == other || matches!((one.parse::<f64>(), other.parse::<f64>()), (Ok(one), Ok(other)) if one == other)
}

/// Space around commas does not count.
fn fits(found: &str, accepted: &[String]) -> bool {
    let found: Vec<&str> = found.split(',').map(str::trim).collect();
    accepted.iter().any(|one| {
        let one: Vec<&str> = one.split(',').collect();
        one.len() == found.len() && one.iter().zip(&found).all(|(one, found)| same(one, found))
    })
}

/// Checks that every network was trained for these budgets.
pub(crate) fn check_budgets(info: &RolesInfo, networks: &Networks, config: &SearchConfig) -> Result<(), EngineError> {
    for one in uses(info) {
        let Some(ranges) = networks.get(one.name).and_then(|network| network.metadata.get("budgets")) else { continue };
        let count = ranges.split(',').count();
        if count != config.constraints.len() {
            let expected = format!("{} ranges such as 2..40", config.constraints.len());
            return Err(one.wrong("budgets", ranges, expected));
        }
        for (range, priced) in ranges.split(',').zip(&config.constraints) {
            one.check_budget(range.trim(), &priced.constraint)?;
        }
    }
    Ok(())
}

impl Use<'_> {
    fn check_budget(&self, range: &str, constraint: &Constraint) -> Result<(), EngineError> {
        let bounds =
            range.split_once("..").and_then(|(low, high)| Some((low.trim().parse().ok()?, high.trim().parse().ok()?)));
        let (low, high): (f64, f64) =
            bounds.ok_or_else(|| self.wrong("budgets", range, "a range such as 2..40".to_owned()))?;
        if (low..=high).contains(&constraint.budget) {
            return Ok(());
        }
        Err(EngineError::UntrainedBudget {
            network: self.name.to_owned(),
            constraint: constraint.name.clone(),
            range: range.to_owned(),
            found: constraint.budget,
        })
    }
}
