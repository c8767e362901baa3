//! Trying a component before it is used: every function of its role is called, twice, and must answer the same, by the
//! rules that a search holds it to.

use crate::{
    Activation, Component, Description, Sandbox, SandboxError, SettingValue,
    component::Exports,
    instance::{self, Guest},
    state::State,
    synthetic::Shape,
    trial::{self, Tried, shortened},
};
use inferenceguard_search::{CostGrain, CostKind, FailureKind, Needs, Role};
use serde::Serialize;
use std::{collections::BTreeMap, fmt::Debug};
use wasmtime::Store;

/// What trying a component showed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CheckReport {
    /// What it says of itself.
    pub description: Description,
    /// What it reads, with the settings given.
    pub needs: Needs,
    /// For a cost: what its prices are for, and how many it gives.
    pub pricing: Option<(CostKind, CostGrain)>,
    /// The size of its file.
    pub bytes: u64,
    /// One entry per function tried, in order.
    pub calls: Vec<CallReport>,
}

/// One function on made-up rows.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CallReport {
    /// The function.
    pub function: &'static str,
    /// Fuel used, of what the limit allows.
    pub fuel: u64,
    /// The answer, shortened; or the failure, in words.
    pub result: String,
    /// The failure, if it failed.
    pub failure: Option<FailureKind>,
}

impl CallReport {
    /// Whether it gave no answer, or none that a search would take. An error of the component's own is an answer: it may not
    /// like made-up rows.
    #[must_use]
    pub fn is_failed(&self) -> bool {
        !matches!(self.failure, None | Some(FailureKind::Refused(_)))
    }
}

impl CheckReport {
    /// Whether every function answered.
    #[must_use]
    pub fn passed(&self) -> bool {
        !self.calls.iter().any(CallReport::is_failed)
    }
}

impl Sandbox {
    /// Loads a component, activates it, and calls each of its functions twice.
    ///
    /// # Errors
    /// As [`Sandbox::load`] and [`Component::activate`]; [`SandboxError::NotDeterministic`] when two equal calls have
    /// different answers. A function that fails is reported, not an error.
    pub fn check(
        &self,
        name: &str,
        bytes: &[u8],
        settings: &BTreeMap<String, SettingValue>,
    ) -> Result<CheckReport, SandboxError> {
        let component = self.load(name, bytes)?;
        let activation = component.activate(settings)?;
        steady(&activation)?;
        let calls = calls(&component, &activation)?;
        Ok(CheckReport {
            description: component.description().clone(),
            needs: activation.needs().clone(),
            pricing: activation.pricing(),
            bytes: component.bytes(),
            calls,
        })
    }
}

/// What one instance says of itself must be the same when it is asked again.
fn steady(activation: &Activation) -> Result<(), SandboxError> {
    let (mut guest, instance, setup) = activation.start_bare()?;
    same(&mut guest, "describe", |store| setup.call_describe(store))?;
    same(&mut guest, "needs", |store| instance::needs(store, &setup))?;
    let Exports::Cost(indices) = activation.exports() else { return Ok(()) };
    let cost = indices.load(&mut guest.store, &instance).map_err(|error| activation.invalid(&error))?;
    same(&mut guest, "kind", |store| cost.call_kind(store))?;
    same(&mut guest, "grain", |store| cost.call_grain(store))
}

fn same<T: Debug>(
    guest: &mut Guest,
    function: &'static str,
    ask: impl Fn(&mut Store<State>) -> wasmtime::Result<T>,
) -> Result<(), SandboxError> {
    let component = guest.component();
    let failed = |kind| SandboxError::Failed { component: component.clone(), function, kind };
    let first = format!("{:?}", guest.raw(&ask).map_err(failed)?);
    let second = format!("{:?}", guest.raw(&ask).map_err(failed)?);
    if first == second {
        return Ok(());
    }
    let (first, second) = (shortened(&first), shortened(&second));
    Err(SandboxError::NotDeterministic { component, function, first, second })
}

/// Two fresh instances must agree; and one instance with itself, unless it may remember.
fn calls(component: &Component, activation: &Activation) -> Result<Vec<CallReport>, SandboxError> {
    let shape = Shape::default();
    let (first, second) = (trial::calls(activation, &shape, 2)?, trial::calls(activation, &shape, 2)?);
    compare(component, &first, &second)?;
    let half = first.len() / 2;
    if component.role() != Role::Policy {
        compare(component, &first[..half], &first[half..])?;
    }
    Ok(first.into_iter().take(half).map(|tried| tried.report).collect())
}

fn compare(component: &Component, first: &[Tried], second: &[Tried]) -> Result<(), SandboxError> {
    let differs = first.iter().zip(second).find(|(first, second)| first.answer != second.answer);
    let Some((first, second)) = differs else { return Ok(()) };
    Err(SandboxError::NotDeterministic {
        component: component.name().to_owned(),
        function: first.report.function,
        first: shortened(&first.answer),
        second: shortened(&second.answer),
    })
}
