//! `component check`: loads a component as a deployment would, and asks everything twice.
//!
//! Two fresh instances must answer the same, and so must one instance asked again, unless it is a policy: those may
//! remember within a request.

use crate::output;
use anyhow::{Context, bail};
use inferenceguard_sandbox::{Activation, Component, Sandbox};
use inferenceguard_search::{
    Batch, BatchRow, BudgetState, Constraint, ConstraintMode, CostClip, Moment, Needs, Role, RoleFailure, RowScores,
    Tracked,
};
use std::{collections::BTreeMap, fmt::Debug, sync::Arc};

const TOKENS: usize = 3;
const WIDTH: usize = 16;

/// Activates the component with its default settings and asks each of its functions twice.
pub(crate) fn ask_twice(sandbox: &Sandbox, name: &str, bytes: &[u8]) -> anyhow::Result<Component> {
    let component = sandbox.load(name, bytes)?;
    if sandbox.load(name, bytes)?.description() != component.description() {
        bail!("{name} describes itself differently each time; a component is a function of its arguments");
    }
    let activation = component.activate(&BTreeMap::new()).context("with its default settings")?;
    let again = component.activate(&BTreeMap::new())?;
    if (activation.needs(), activation.pricing()) != (again.needs(), again.pricing()) {
        bail!("{name} declares different needs each time; a component is a function of its arguments");
    }
    if !activation.needs().networks.is_empty() {
        let networks = activation.needs().networks.join(", ");
        output::note(format_args!(
            "it opens networks that only a bundle has ({networks}), so it is not asked anything"
        ));
        return Ok(component);
    }
    match activation.role() {
        Role::Policy => policy(&activation)?,
        Role::Tracker => tracker(&activation)?,
        Role::Critic => {
            same("estimate", activation.critic()?, activation.critic()?, |c| c.estimate(&batch(&activation)))?
        }
        Role::Cost => same("price", activation.cost()?, activation.cost()?, |c| c.price(&batch(&activation)))?,
        Role::Steering => {
            same("steer", activation.steering()?, activation.steering()?, |s| s.steer(&batch(&activation)))?
        }
    }
    Ok(component)
}

fn policy(activation: &Activation) -> anyhow::Result<()> {
    let batch = batch(activation);
    let ask = || -> anyhow::Result<_> {
        let mut policy = activation.policy()?;
        Ok((policy.plan(&batch)?, policy.select(&batch)?))
    };
    equal("plan and select", &ask()?, &ask()?)
}

fn tracker(activation: &Activation) -> anyhow::Result<()> {
    let constraint = constraint();
    same("start", activation.tracker()?, activation.tracker()?, |t| t.start(&constraint))?;
    let state = activation.tracker()?.start(&constraint)?;
    let rows = [vec![0.5, -0.25, 0.0], vec![], vec![20.0]];
    let rows = rows.map(|costs| Tracked { state: BudgetState::clone(&state), costs, ended: false });
    same("advance", activation.tracker()?, activation.tracker()?, |t| t.advance(&constraint, &rows))
}

/// Asks one instance twice and another once.
fn same<R: ?Sized, A: PartialEq + Debug>(
    function: &str,
    mut one: Box<R>,
    mut other: Box<R>,
    ask: impl Fn(&mut R) -> Result<A, RoleFailure>,
) -> anyhow::Result<()> {
    let first = ask(&mut one)?;
    equal(function, &first, &ask(&mut one)?)?;
    equal(function, &first, &ask(&mut other)?)
}

fn equal<A: PartialEq + Debug>(function: &str, first: &A, second: &A) -> anyhow::Result<()> {
    if first == second {
        return Ok(());
    }
    bail!(
        "{function} answers the same question differently: {first:?}, then {second:?}; a component is a function of its arguments"
    )
}

fn constraint() -> Constraint {
    let (name, clip, mode) = ("safety".to_owned(), CostClip::Capped, ConstraintMode::Anytime);
    Constraint { name, budget: 10.0, gamma: 0.999, clip, mode }
}

/// Two candidates with every column that was declared.
fn batch(activation: &Activation) -> Batch {
    let needs = activation.needs().clone();
    let rows = vec![row(0, "a first answer", &needs), row(1, "another one", &needs)];
    let moment = Moment { depth: TOKENS as u32, max_depth: 128, ..Moment::default() };
    Batch { moment, constraints: Arc::from([constraint()]), prompt: Arc::from("a prompt"), needs, rows }
}

fn row(id: u64, text: &str, needs: &Needs) -> BatchRow {
    let numbers = |n: usize| (0..n).map(|at| (at as f32 - id as f32) / 8.0).collect::<Vec<f32>>();
    let scores = RowScores { tokens: numbers(TOKENS), end: 0.5 - id as f32 };
    let characters = text.chars().count() as u32;
    BatchRow {
        id,
        length: TOKENS as u32,
        tokens: vec![1, 2, 3 + id as u32],
        text: text.to_owned(),
        text_ends: vec![1, 2, characters],
        logprobs: vec![-0.5; TOKENS],
        top_k: Some((0..needs.top_k).map(|token| (token, -1.0 - token as f32)).collect()),
        logits: needs.logits.then(|| numbers(WIDTH).into()),
        latent: needs.latents.is_some().then(|| numbers(WIDTH).into()),
        scores: needs.scores.iter().map(|name| (name.clone(), scores.clone())).collect(),
        priced: true,
        safe: true,
        budgets: vec![BudgetState { z: 9.0, memory: Vec::new() }],
        margins: vec![9.0],
        spent: vec![1.0],
        task_cost: Some(f64::from(id as u32)),
        logprob: -1.5,
        ..BatchRow::default()
    }
}
