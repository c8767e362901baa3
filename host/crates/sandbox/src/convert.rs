//! Between the contract's generated types and ours. Nothing is judged here, except what ours cannot say.

use crate::{
    Description, Limits, Setting, SettingValue,
    bindings::{
        exports::inferenceguard::guard::{cost, policy, setup, steering, tracker},
        inferenceguard::guard::{batch::ReadError, types},
    },
    host_log::cut,
};
use inferenceguard_model::LatentSelector;
use inferenceguard_search as ours;
use inferenceguard_search::{ConstraintMode, CostClip, Needs, Role};
use std::collections::BTreeSet;

pub(crate) fn constraint(from: &ours::Constraint) -> types::Constraint {
    let clip = match from.clip {
        CostClip::None => types::CostClip::None,
        CostClip::Nonneg => types::CostClip::Nonneg,
        CostClip::Capped => types::CostClip::Capped,
    };
    let mode = match from.mode {
        ConstraintMode::Anytime => types::ConstraintMode::Anytime,
        ConstraintMode::Terminal => types::ConstraintMode::Terminal,
    };
    types::Constraint { name: from.name.clone(), budget: from.budget, gamma: from.gamma, clip, mode }
}

pub(crate) fn budget_state(from: &ours::BudgetState) -> types::BudgetState {
    types::BudgetState { z: from.z, memory: from.memory.clone() }
}

pub(crate) fn our_budget_state(from: types::BudgetState) -> ours::BudgetState {
    ours::BudgetState { z: from.z, memory: from.memory }
}

pub(crate) fn estimate(from: &ours::Estimate) -> types::Estimate {
    types::Estimate { safe: from.safe.clone(), cost_to_go: from.cost_to_go }
}

pub(crate) fn our_estimate(from: types::Estimate) -> ours::Estimate {
    ours::Estimate { safe: from.safe, cost_to_go: from.cost_to_go }
}

pub(crate) fn tracked(from: &ours::Tracked) -> tracker::Tracked {
    tracker::Tracked { state: budget_state(&from.state), costs: from.costs.clone(), ended: from.ended }
}

pub(crate) fn our_advanced(from: tracker::Advanced) -> ours::Advanced {
    ours::Advanced { state: our_budget_state(from.state), safe: from.safe, trace: from.trace }
}

pub(crate) fn our_plan(from: policy::ChunkPlan) -> ours::Plan {
    let (mut retry_candidates, mut keep, mut unknown_options) = (None, None, Vec::new());
    for (name, value) in from.options {
        match (name.as_str(), count(&value)) {
            ("retry-candidates", Some(count)) => retry_candidates = Some(count),
            ("keep", Some(count)) => keep = Some(count),
            _ => unknown_options.push(name),
        }
    }
    ours::Plan {
        candidates: from.candidates,
        chunk_len: from.chunk_len,
        source: match from.source {
            policy::Source::Sample => ours::Source::Sample,
            policy::Source::Expand(k) => ours::Source::Expand(k),
        },
        pricing: match from.pricing {
            policy::Pricing::All => ours::Pricing::All,
            policy::Pricing::OnDemand => ours::Pricing::OnDemand,
        },
        task_cost: from.task_cost,
        estimate: from.estimate,
        retry_candidates,
        keep,
        unknown_options,
    }
}

/// A value that counts something: an integer from 1 to 4294967295.
fn count(value: &types::Value) -> Option<u32> {
    let types::Value::Integer(count) = value else { return None };
    u32::try_from(*count).ok().filter(|count| *count > 0)
}

pub(crate) fn our_decision(from: policy::Decision) -> ours::Decision {
    match from {
        policy::Decision::Keep(rows) => ours::Decision::Keep(rows),
        policy::Decision::Price(rows) => ours::Decision::Price(rows),
        policy::Decision::Retry(retry) => {
            ours::Decision::Retry(ours::Retry { penalty: retry.penalty, max_mass: retry.max_mass })
        }
        policy::Decision::Answer(row) => ours::Decision::Answer(row),
        policy::Decision::Exhausted => ours::Decision::Exhausted,
    }
}

pub(crate) fn our_edit(from: steering::Edit) -> (u32, Vec<f32>) {
    (from.row, from.latent)
}

pub(crate) fn our_kind(from: cost::CostKind) -> ours::CostKind {
    match from {
        cost::CostKind::Safety => ours::CostKind::Safety,
        cost::CostKind::Task => ours::CostKind::Task,
    }
}

pub(crate) fn our_grain(from: cost::CostGrain) -> ours::CostGrain {
    match from {
        cost::CostGrain::Token => ours::CostGrain::Token,
        cost::CostGrain::Chunk => ours::CostGrain::Chunk,
    }
}

pub(crate) fn value(from: &SettingValue) -> types::Value {
    match from.clone() {
        SettingValue::Flag(value) => types::Value::Flag(value),
        SettingValue::Integer(value) => types::Value::Integer(value),
        SettingValue::Number(value) => types::Value::Number(value),
        SettingValue::Text(value) => types::Value::Text(value),
        SettingValue::Texts(value) => types::Value::Texts(value),
        SettingValue::Weighted(value) => types::Value::Weighted(value),
    }
}

fn our_value(from: types::Value) -> SettingValue {
    match from {
        types::Value::Flag(value) => SettingValue::Flag(value),
        types::Value::Integer(value) => SettingValue::Integer(value),
        types::Value::Number(value) => SettingValue::Number(value),
        types::Value::Text(value) => SettingValue::Text(value),
        types::Value::Texts(value) => SettingValue::Texts(value),
        types::Value::Weighted(value) => SettingValue::Weighted(value),
    }
}

pub(crate) fn our_description(from: setup::Description) -> Description {
    let setting = |from: setup::Setting| Setting { name: from.name, default: our_value(from.default), help: from.help };
    Description {
        name: from.name,
        version: from.version,
        role: our_role(from.role),
        summary: from.summary,
        settings: from.settings.into_iter().map(setting).collect(),
    }
}

fn our_role(from: types::Role) -> Role {
    match from {
        types::Role::Policy => Role::Policy,
        types::Role::Tracker => Role::Tracker,
        types::Role::Critic => Role::Critic,
        types::Role::Cost => Role::Cost,
        types::Role::Steering => Role::Steering,
    }
}

/// The needs as one record, or what is wrong with them: found, expected. `token_latents` are declared by calls.
pub(crate) fn our_needs(
    from: Vec<types::Need>,
    token_latents: Vec<LatentSelector>,
) -> Result<Needs, (String, &'static str)> {
    let mut needs = Needs { token_latents, ..Needs::default() };
    for need in from {
        match need {
            types::Need::Prompt => needs.prompt = true,
            types::Need::Text => needs.text = true,
            types::Need::Lookback(characters) => needs.lookback = needs.lookback.max(characters),
            types::Need::Logprobs => needs.logprobs = true,
            types::Need::TopK(k) => needs.top_k = top_k(k)?.max(needs.top_k),
            types::Need::Logits => needs.logits = true,
            types::Need::Latents(selector) => needs.latents = Some(one_selector(needs.latents, selector)?),
            types::Need::Scores(model) => needs.scores.push(model),
            types::Need::Network(name) => needs.networks.push(name),
        }
    }
    needs.scores = each_once(needs.scores);
    needs.networks = each_once(needs.networks);
    places(&needs.token_latents)?;
    Ok(needs)
}

/// Without repetitions, in the order of their first mention.
fn each_once(names: Vec<String>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    names.into_iter().filter(|name| seen.insert(name.clone())).collect()
}

/// Refuses a place that is named twice, and too many places: each takes memory for every token.
fn places(of: &[LatentSelector]) -> Result<(), (String, &'static str)> {
    match of.iter().enumerate().find(|(at, place)| of[..*at].contains(place)) {
        Some((_, twice)) => Err((format!("token-latents of {twice:?} twice"), "token-latents of each place once")),
        None if of.len() > Needs::PLACES => {
            Err((format!("token-latents of {} places", of.len()), "token-latents of 8 places at most"))
        }
        None => Ok(()),
    }
}

fn top_k(k: u32) -> Result<u32, (String, &'static str)> {
    match k {
        1..=Needs::TOP_K => Ok(k),
        _ => Err((format!("the need top-k({k})"), "top-k of 1 to 1,024")),
    }
}

fn one_selector(
    before: Option<LatentSelector>,
    from: types::LatentSelector,
) -> Result<LatentSelector, (String, &'static str)> {
    let selector = our_selector(from);
    match before {
        Some(other) if other != selector => {
            Err((format!("latents of {other:?} and of {selector:?}"), "latents of one place only"))
        }
        _ => Ok(selector),
    }
}

pub(crate) fn our_selector(from: types::LatentSelector) -> LatentSelector {
    match from {
        types::LatentSelector::FinalNorm => LatentSelector::FinalNorm,
        types::LatentSelector::Layer(n) => LatentSelector::Layer(n),
    }
}

/// A component's own words, cut where they become a flood.
pub(crate) fn role_error_text(error: &types::RoleError) -> String {
    let (what, text) = match error {
        types::RoleError::InvalidInput(text) => ("an input cannot be used: ", text),
        types::RoleError::Unsupported(text) => ("not supported: ", text),
        types::RoleError::Read(text) => ("a read failed: ", text),
        types::RoleError::Failed(text) => ("", text),
    };
    format!("{what}{}", cut(text, Limits::LOG_LINE))
}

/// For [`crate::state::State::note_read`]: continues "it read …".
pub(crate) fn read_error_text(error: &ReadError) -> String {
    match error {
        ReadError::Undeclared(need) => format!("`{need}`, which it did not declare"),
        ReadError::NotAvailable(what) => format!("{what}, which is not available now"),
        ReadError::NoRow(row) => format!("row {row}, which does not exist"),
        ReadError::NoConstraint(constraint) => format!("constraint {constraint}, which does not exist"),
        ReadError::NoModel(model) => format!("the score model `{model}`, which the host does not have"),
    }
}
