//! Trying a component before it is used: every function of its role is called, twice, and must answer the same.

use crate::{
    Activation, Component, Description, Sandbox, SandboxError, SettingValue, component::Exports, instance::Guest,
    state::State, synthetic,
};
use inferenceguard_search::{
    Cost, CostGrain, CostKind, Critic, FailureKind, Needs, Policy, Role, RoleFailure, Steering, Tracker,
};
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
    /// Whether it gave no answer. An error of the component's own is an answer: it may not like made-up rows.
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
    same(&mut guest, "needs", |store| setup.call_needs(store))?;
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
    let first = try_twice(activation)?;
    let second = try_twice(activation)?;
    compare(component, &first, &second)?;
    let half = first.len() / 2;
    if component.role() != Role::Policy {
        compare(component, &first[..half], &first[half..])?;
    }
    Ok(first.into_iter().take(half).map(|tried| tried.report).collect())
}

struct Tried {
    report: CallReport,
    /// The whole answer.
    answer: String,
}

fn compare(component: &Component, first: &[Tried], second: &[Tried]) -> Result<(), SandboxError> {
    let differs = first.iter().zip(second).find(|(first, second)| first.answer != second.answer);
    let Some((first, second)) = differs else { return Ok(()) };
    Err(SandboxError::NotDeterministic {
        component: component.name().to_owned(),
        function: first.report.function,
        first: first.report.result.clone(),
        second: second.report.result.clone(),
    })
}

/// Calls all functions of a fresh instance, then all of them again. A failed call kills the instance, so each function
/// after a failure gets a fresh one.
fn try_twice(activation: &Activation) -> Result<Vec<Tried>, SandboxError> {
    let rows = synthetic::batch(activation.needs());
    let mut tried = Vec::new();
    match activation.role() {
        Role::Policy => {
            let mut role = activation.start_policy()?;
            for _ in 0..2 {
                tried.push(outcome("plan", role.plan(&rows), &role.guest));
                role = if failed(&tried) { activation.start_policy()? } else { role };
                tried.push(outcome("select", role.select(&rows), &role.guest));
                role = if failed(&tried) { activation.start_policy()? } else { role };
            }
        }
        Role::Tracker => {
            let constraint = synthetic::constraint();
            let mut role = activation.start_tracker()?;
            for _ in 0..2 {
                let start = role.start(&constraint);
                tried.push(outcome("start", start.clone(), &role.guest));
                role = if failed(&tried) { activation.start_tracker()? } else { role };
                let rows = synthetic::tracked(&start.unwrap_or_default());
                tried.push(outcome("advance", role.advance(&constraint, &rows), &role.guest));
                role = if failed(&tried) { activation.start_tracker()? } else { role };
            }
        }
        Role::Critic => twice(
            &mut tried,
            || activation.start_critic(),
            |role| outcome("estimate", role.estimate(&rows), &role.guest),
        )?,
        Role::Cost => {
            twice(&mut tried, || activation.start_cost(), |role| outcome("price", role.price(&rows), &role.guest))?
        }
        Role::Steering => {
            twice(&mut tried, || activation.start_steering(), |role| outcome("steer", role.steer(&rows), &role.guest))?
        }
    }
    Ok(tried)
}

fn twice<R>(
    tried: &mut Vec<Tried>,
    start: impl Fn() -> Result<R, SandboxError>,
    call: impl Fn(&mut R) -> Tried,
) -> Result<(), SandboxError> {
    let mut role = start()?;
    tried.push(call(&mut role));
    if failed(tried) {
        role = start()?;
    }
    tried.push(call(&mut role));
    Ok(())
}

fn failed(tried: &[Tried]) -> bool {
    tried.last().is_some_and(|tried| tried.report.failure.is_some())
}

fn outcome<T: Debug>(function: &'static str, result: Result<T, RoleFailure>, guest: &Guest) -> Tried {
    let (answer, failure) = match result {
        Ok(answer) => (format!("{answer:?}"), None),
        Err(failure) => (failure.kind.to_string(), Some(failure.kind)),
    };
    let report = CallReport { function, fuel: guest.used, result: shortened(&answer), failure };
    Tried { report, answer }
}

fn shortened(answer: &str) -> String {
    const MOST: usize = 200;
    match answer.char_indices().nth(MOST) {
        Some((end, _)) => format!("{} …", &answer[..end]),
        None => answer.to_owned(),
    }
}
