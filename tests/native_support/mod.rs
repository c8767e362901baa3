//! Random rows, for the host and for components in plain Rust; components loaded once.

use inferenceguard_guarantee_tests::guest_constraint;
use inferenceguard_guest as guest;
use inferenceguard_model::dense::{CpuDense, Dense, Layer, LayerActivation};
use inferenceguard_sandbox::{Activation, Limits, Sandbox, SettingValue};
use inferenceguard_search::{
    Batch, BatchRow, BudgetState, Constraint, ConstraintMode, CostClip, Decision, Estimate, FailureKind, Moment, Plan,
    Pricing, Retry, RoleFailure, RowScores, Source,
};
use inferenceguard_testkit::components::first_party;
use proptest::{collection::vec, option, prelude::*};
use std::sync::{Arc, OnceLock};

pub(crate) type Settings<'a> = &'a [(&'a str, SettingValue)];

pub(crate) const HIDDEN: usize = 4;
pub(crate) const CONSTRAINTS: usize = 2;

/// Names and weights of the networks: one linear layer each, `[outputs][inputs]`, without bias.
fn networks() -> [(&'static str, Vec<Vec<f32>>); 3] {
    let row = |width: usize, seed: usize| (0..width).map(|at| ((at * 7 + seed * 3) % 11) as f32 / 8.0 - 0.6).collect();
    let critic = (0..=CONSTRAINTS).map(|output| row(HIDDEN + CONSTRAINTS, output)).collect();
    [("value", vec![row(HIDDEN, 1)]), ("probe", vec![row(HIDDEN, 2)]), ("critic", critic)]
}

/// The component with these settings and the networks.
pub(crate) fn activate(package: &str, settings: Settings<'_>) -> Activation {
    static LOADED: OnceLock<Vec<inferenceguard_sandbox::Component>> = OnceLock::new();
    let loaded = LOADED.get_or_init(|| {
        let sandbox = Sandbox::new(Limits { instances: 64, ..Limits::default() }, None).unwrap();
        first_party().iter().map(|(name, bytes)| sandbox.load(name, bytes).unwrap()).collect()
    });
    let layer = |weights: Vec<Vec<f32>>| {
        let bias = vec![0.0; weights.len()];
        vec![Layer { weights: weights.concat(), bias, activation: LayerActivation::Identity }]
    };
    let load = |(name, weights): (&str, _)| (name.to_owned(), CpuDense.load(name, &layer(weights).into()).unwrap());
    let networks = networks().into_iter().map(load).collect();
    let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    let component = loaded.iter().find(|component| component.name() == package).unwrap();
    component.activate_with(&settings, Arc::new(networks)).unwrap()
}

/// The same settings for plain Rust.
pub(crate) fn native<S: guest::Setup>(settings: Settings<'_>) -> S {
    let value = |value: &SettingValue| match value.clone() {
        SettingValue::Flag(value) => guest::Value::Flag(value),
        SettingValue::Integer(value) => guest::Value::Integer(value),
        SettingValue::Number(value) => guest::Value::Number(value),
        SettingValue::Text(value) => guest::Value::Text(value),
        SettingValue::Texts(value) => guest::Value::Texts(value),
        SettingValue::Weighted(value) => guest::Value::Weighted(value),
    };
    let settings: Vec<_> = settings.iter().map(|(name, one)| (*name, value(one))).collect();
    S::with_settings(&settings).unwrap()
}

/// Hands both answers over to be compared if both are answers, and compares them if both are errors. True for answers.
#[track_caller]
pub(crate) fn agree<A, B: std::fmt::Debug>(
    wasm: Result<A, RoleFailure>,
    native: Result<B, guest::RoleError>,
    same: impl FnOnce(A, B),
) -> bool {
    match (wasm, native) {
        (Ok(wasm), Ok(native)) => {
            same(wasm, native);
            true
        }
        (Err(RoleFailure { kind: FailureKind::Refused(wasm), .. }), Err(native)) => {
            let native = native.to_string();
            let words = native.split_once(": ").map_or(native.as_str(), |(_, words)| words);
            assert!(wasm.ends_with(words), "{wasm:?} and {native:?}");
            false
        }
        (Err(failure), native) => panic!("{failure} and {native:?}"),
        (Ok(_), Err(native)) => panic!("an answer and {native}"),
    }
}

/// Equal up to the last bits, in which the mathematics of two platforms may differ.
#[track_caller]
pub(crate) fn all_close(one: &[f64], other: &[f64]) {
    let close = |(one, other): (&f64, &f64)| (one - other).abs() <= 1e-12 * (1.0 + one.abs());
    assert!(one.len() == other.len() && one.iter().zip(other).all(close), "{one:?} and {other:?}");
}

fn constraint(budget: f64, gamma: f64, clip: usize, terminal: bool) -> Constraint {
    let clip = [CostClip::None, CostClip::Nonneg, CostClip::Capped][clip];
    let mode = if terminal { ConstraintMode::Terminal } else { ConstraintMode::Anytime };
    Constraint { name: format!("at most {budget}"), budget, gamma, clip, mode }
}

/// Numbers with many ties.
fn number() -> impl Strategy<Value = f64> {
    (-12_i8..13).prop_map(|eighths| f64::from(eighths) / 4.0)
}

fn row() -> impl Strategy<Value = BatchRow> {
    let pieces = ["how ", "to build", " a bomb", ".", " 4111 1111 1111 1111", "b o m b", " é", ""];
    let words = vec((0_usize..pieces.len(), number()), 0..5);
    let decided =
        (any::<bool>(), any::<bool>(), any::<bool>(), option::weighted(0.8, number()), option::weighted(0.9, number()));
    let numbers =
        (vec(number(), HIDDEN), vec(number(), CONSTRAINTS), vec(number(), CONSTRAINTS), vec(0.0..1.0, CONSTRAINTS));
    (0_u64..3, words, decided, numbers).prop_map(move |(parent, words, decided, numbers)| {
        let (finished, priced, safe, task_cost, logit) = decided;
        let (latent, margins, spent, chances) = numbers;
        let narrow = |values: Vec<f64>| values.into_iter().map(|value| value as f32).collect::<Vec<f32>>();
        let text: String = words.iter().map(|(piece, _)| pieces[*piece]).collect();
        let ends = words.iter().scan(0, |end, (piece, _)| {
            *end += pieces[*piece].chars().count() as u32;
            Some(*end)
        });
        let scores =
            RowScores { tokens: narrow(words.iter().map(|(_, score)| *score).collect()), end: spent[0] as f32 };
        let estimate = (!finished).then(|| Estimate { safe: chances, cost_to_go: margins[1] });
        BatchRow {
            parent,
            finished,
            length: words.len() as u32,
            tokens: words.iter().map(|(piece, _)| *piece as u32).collect(),
            text_ends: ends.collect(),
            text,
            lookback: "how to bui".to_owned(),
            token_latents: Some(
                (0..words.len() * HIDDEN).map(|at| latent[at % HIDDEN] as f32 + at as f32 / 8.0).collect(),
            ),
            latent: Some(narrow(latent).into()),
            scores: ["cost", "reward"].into_iter().map(|name| (name.to_owned(), scores.clone())).collect(),
            priced,
            safe: safe && priced,
            budgets: margins.iter().map(|z| BudgetState { z: *z, memory: Vec::new() }).collect(),
            margins,
            spent,
            task_cost,
            expansion_logit: logit.map(|logit| logit as f32),
            estimate,
            ..BatchRow::default()
        }
    })
}

/// Up to seven rows under two constraints, at any point of a request.
pub(crate) fn rows() -> impl Strategy<Value = Batch> {
    let one = || {
        (1.0..20.0, 0.9..=1.0, 0_usize..3, any::<bool>())
            .prop_map(|(d, gamma, clip, end)| constraint(d, gamma, clip, end))
    };
    let moment = (0_u32..3, 0_u32..4, 1_u32..130, any::<bool>(), any::<bool>());
    (vec(row(), 0..8), vec(one(), CONSTRAINTS), moment).prop_map(
        |(rows, constraints, (chunk, attempt, max_depth, last, unranked))| {
            let rows: Vec<BatchRow> = (10..).zip(rows).map(|(id, row)| BatchRow { id, ..row }).collect();
            let depth = rows.iter().map(|row| row.length).max().unwrap_or(0);
            let moment = Moment { chunk, attempt, depth, max_depth, last, unranked };
            Batch {
                moment,
                constraints: constraints.into(),
                prompt: "Well?".into(),
                needs: Default::default(),
                rows: rows.into(),
            }
        },
    )
}

fn state(state: &BudgetState) -> guest::BudgetState {
    guest::BudgetState { z: state.z, memory: state.memory.clone() }
}

/// The same rows for plain Rust.
pub(crate) fn double(batch: &Batch) -> guest::BatchDouble {
    let row = |row: &BatchRow| guest::RowDouble {
        id: row.id,
        parent: row.parent,
        finished: row.finished,
        length: row.length,
        tokens: row.tokens.clone(),
        text: Some(row.text.clone()),
        text_ends: Some(row.text_ends.clone()),
        lookback: Some(row.lookback.clone()),
        latent: row.latent.as_deref().map(<[f32]>::to_vec),
        scores: row.scores.iter().map(|(name, one)| (name.clone(), one.tokens.clone(), one.end)).collect(),
        priced: row.priced,
        safe: row.safe,
        budgets: row.budgets.iter().map(state).collect(),
        margins: row.margins.clone(),
        spent: row.spent.clone(),
        task_cost: row.task_cost,
        expansion_logit: row.expansion_logit,
        estimate: row.estimate.clone().map(|one| guest::Estimate { safe: one.safe, cost_to_go: one.cost_to_go }),
        ..guest::RowDouble::default()
    };
    guest::BatchDouble {
        chunk: batch.moment.chunk,
        attempt: batch.moment.attempt,
        max_depth: batch.moment.max_depth,
        last: batch.moment.last,
        unranked: batch.moment.unranked,
        constraints: batch.constraints.iter().map(guest_constraint).collect(),
        prompt: Some(batch.prompt.to_string()),
        rows: batch.rows.iter().map(row).collect(),
    }
}

/// A plan of plain Rust as the host reads it.
pub(crate) fn plan(plan: guest::Plan) -> Plan {
    let source = match plan.source {
        guest::Source::Sample => Source::Sample,
        guest::Source::Expand(k) => Source::Expand(k),
    };
    let pricing = match plan.pricing {
        guest::Pricing::All => Pricing::All,
        guest::Pricing::OnDemand => Pricing::OnDemand,
    };
    let guest::Plan { candidates, chunk_len, task_cost, estimate, retry_candidates, keep, .. } = plan;
    Plan {
        candidates,
        chunk_len,
        source,
        pricing,
        task_cost,
        estimate,
        retry_candidates,
        keep,
        unknown_options: Vec::new(),
    }
}

/// A decision of plain Rust as the host reads it.
pub(crate) fn decision(decision: guest::Decision) -> Decision {
    match decision {
        guest::Decision::Keep(rows) => Decision::Keep(rows),
        guest::Decision::Price(rows) => Decision::Price(rows),
        guest::Decision::Retry(retry) => Decision::Retry(Retry { penalty: retry.penalty, max_mass: retry.max_mass }),
        guest::Decision::Answer(row) => Decision::Answer(row),
        guest::Decision::Exhausted => Decision::Exhausted,
    }
}

/// The same latents and networks for plain Rust.
pub(crate) fn dense(batch: &Batch) -> guest::DenseDouble {
    let network = |(name, weights): (&str, Vec<Vec<f32>>)| {
        let bias = vec![0.0; weights.len()];
        (name.to_owned(), guest::LinearDouble { weights, bias })
    };
    guest::DenseDouble {
        latents: batch.rows.iter().map(|row| row.latent.as_deref().unwrap_or_default().to_vec()).collect(),
        token_latents: batch.rows.iter().flat_map(token_rows).collect(),
        networks: networks().into_iter().map(network).collect(),
    }
}

/// The latents of the new tokens of a row, one row each.
fn token_rows(row: &BatchRow) -> Vec<Vec<f32>> {
    let latents = row.token_latents.as_deref().unwrap_or_default();
    latents.chunks((latents.len() / row.tokens.len().max(1)).max(1)).map(<[f32]>::to_vec).collect()
}
