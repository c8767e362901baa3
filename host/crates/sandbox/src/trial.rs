//! Calls every function of a component on made-up rows, and looks at what it returns as a search would.

use crate::{
    Activation, CallReport, SandboxError,
    instance::Guest,
    roles,
    synthetic::{self, Shape},
};
use inferenceguard_search::{
    Batch, BatchRow, Check, Cost, Critic, Decision, Policy, Role, RoleFailure, Steering, Tracker,
};
use std::fmt::Debug;

/// One call.
pub(crate) struct Tried {
    pub(crate) report: CallReport,
    /// The whole answer.
    pub(crate) answer: String,
    /// Whether there is none, so that the instance is not asked again.
    dead: bool,
}

impl Activation {
    /// Calls each of its functions once, on a few made-up rows of this shape: what fails on them fails on every request.
    ///
    /// # Errors
    /// [`SandboxError::Failed`] if one traps, exceeds a limit, reads what it did not declare, or returns what no search
    /// takes, such as NaN or too few rows. An error of the component's own is no failure: it may not like made-up rows.
    pub fn rehearse(&self, shape: &Shape) -> Result<(), SandboxError> {
        for Tried { report, .. } in calls(self, shape, 1)? {
            if report.is_failed()
                && let Some(kind) = report.failure
            {
                let (component, function) = (self.name().to_owned(), report.function);
                return Err(SandboxError::Failed { component, function, kind });
            }
        }
        Ok(())
    }
}

/// Calls all functions of a fresh instance a number of times, one after the other. A failed call kills the instance, so each
/// function after a failure gets a fresh one.
pub(crate) fn calls(activation: &Activation, shape: &Shape, times: usize) -> Result<Vec<Tried>, SandboxError> {
    match activation.role() {
        Role::Policy => policy(activation, shape, times),
        Role::Tracker => tracker(activation, shape, times),
        Role::Critic => repeated(times, || activation.start_critic(), |role| estimate(activation, shape, role)),
        Role::Cost => repeated(times, || activation.start_cost(), |role| price(activation, shape, role)),
        Role::Steering => repeated(times, || activation.start_steering(), |role| steer(activation, shape, role)),
        Role::Model => Ok(Vec::new()),
    }
}

fn policy(activation: &Activation, shape: &Shape, times: usize) -> Result<Vec<Tried>, SandboxError> {
    let (rows, check, mut tried) = (synthetic::batch(activation.needs(), shape), check(activation), Vec::new());
    let mut role = activation.start_policy()?;
    for _ in 0..times {
        // Whether there is a critic, only a bundle says.
        let rules = |plan| check.plan(plan, rows.rows.len(), &shape.limits, true);
        tried.push(outcome("plan", role.plan(&rows), rules, &role.guest));
        role = if failed(&tried) { activation.start_policy()? } else { role };
        tried.push(outcome("select", role.select(&rows), |decision| decided(check, decision, &rows), &role.guest));
        role = if failed(&tried) { activation.start_policy()? } else { role };
    }
    Ok(tried)
}

/// A decision that fits the rows, or that fits them if all have ended: a policy may count on what it planned.
fn decided(check: Check<'_>, decision: Decision, rows: &Batch) -> Result<Decision, RoleFailure> {
    check.decision(decision.clone(), rows).or_else(|wrong| {
        let all = rows.rows.iter().map(|row| BatchRow { finished: true, ..row.clone() }).collect();
        check.decision(decision, &Batch { rows: all, ..rows.clone() }).map_err(|_| wrong)
    })
}

fn tracker(activation: &Activation, shape: &Shape, times: usize) -> Result<Vec<Tried>, SandboxError> {
    let (check, mut tried) = (check(activation), Vec::new());
    if shape.constraints.is_empty() {
        return Ok(tried);
    }
    let mut role = activation.start_tracker()?;
    for constraint in std::iter::repeat_n(&shape.constraints, times).flatten() {
        let start = role.start(constraint);
        tried.push(outcome("start", start.clone(), |state| check.start(state), &role.guest));
        role = if failed(&tried) { activation.start_tracker()? } else { role };
        let rows = synthetic::tracked(&start.unwrap_or_default());
        let advanced = role.advance(constraint, &rows);
        tried.push(outcome("advance", advanced, |advanced| check.advanced(advanced, &rows), &role.guest));
        role = if failed(&tried) { activation.start_tracker()? } else { role };
    }
    Ok(tried)
}

fn estimate(activation: &Activation, shape: &Shape, role: &mut roles::WasmCritic) -> Tried {
    let rows = synthetic::batch(activation.needs(), shape);
    let (count, constraints) = (rows.rows.len(), rows.constraints.len());
    let rules = |estimates| check(activation).estimates(estimates, count, constraints);
    outcome("estimate", role.estimate(&rows), rules, &role.guest)
}

fn price(activation: &Activation, shape: &Shape, role: &mut roles::WasmCost) -> Tried {
    let rows = synthetic::batch(activation.needs(), shape);
    let lens: Vec<usize> = rows.rows.iter().map(|row: &BatchRow| row.tokens.len()).collect();
    let (prices, grain) = (role.price(&rows), role.grain());
    outcome("price", prices, |prices| check(activation).prices(prices, &lens, grain), &role.guest)
}

fn steer(activation: &Activation, shape: &Shape, role: &mut roles::WasmSteering) -> Tried {
    let rows = synthetic::batch(activation.needs(), shape);
    let width = rows.rows.iter().find_map(|row| row.latent.as_ref()).map_or(0, |latent| latent.len());
    let rules = |steered| check(activation).steered(steered, rows.rows.len(), width);
    outcome("steer", role.steer(&rows), rules, &role.guest)
}

fn check(activation: &Activation) -> Check<'_> {
    Check { role: activation.role(), component: activation.name() }
}

fn repeated<R>(
    times: usize,
    start: impl Fn() -> Result<R, SandboxError>,
    call: impl Fn(&mut R) -> Tried,
) -> Result<Vec<Tried>, SandboxError> {
    let (mut role, mut tried) = (start()?, Vec::new());
    for _ in 0..times {
        if failed(&tried) {
            role = start()?;
        }
        tried.push(call(&mut role));
    }
    Ok(tried)
}

fn failed(tried: &[Tried]) -> bool {
    tried.last().is_some_and(|tried| tried.dead)
}

/// What came of a call, and whether a search would take it.
fn outcome<T: Debug>(
    function: &'static str,
    result: Result<T, RoleFailure>,
    rules: impl FnOnce(T) -> Result<T, RoleFailure>,
    guest: &Guest,
) -> Tried {
    let answer = match &result {
        Ok(answer) => format!("{answer:?}"),
        Err(failure) => failure.kind.to_string(),
    };
    let dead = result.is_err();
    let failure = result.and_then(rules).err().map(|failure| failure.kind);
    let result = shortened(&failure.as_ref().map_or_else(|| answer.clone(), ToString::to_string));
    Tried { report: CallReport { function, fuel: guest.used, result, failure }, answer, dead }
}

pub(crate) fn shortened(answer: &str) -> String {
    const MOST: usize = 200;
    match answer.char_indices().nth(MOST) {
        Some((end, _)) => format!("{} …", &answer[..end]),
        None => answer.to_owned(),
    }
}
