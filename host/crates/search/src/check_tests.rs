//! Every rule of [`super::check`], broken once: no other rule keeps that output from the search.

use crate::{
    Advanced, Batch, BatchRow, BudgetState, CostGrain, Decision, Estimate, Moment, Plan, Retry, Role, RoleFailure,
    SearchLimits, Source, Tracked, check::Check,
};

const CHECK: Check<'static> = Check { role: Role::Policy, component: "x" };

fn refused<T: std::fmt::Debug>(found: Result<T, RoleFailure>, words: &str) {
    let message = found.expect_err(words).to_string();
    assert!(message.contains(words), "{words}: {message}");
}

fn plan() -> Plan {
    Plan { task_cost: true, ..Plan::new(vec![2, 2], 4) }
}

#[test]
fn plans() {
    let check = |plan: Plan| CHECK.plan(plan, 2, &SearchLimits { candidates: 8, ..SearchLimits::default() }, false);
    assert!(check(plan()).is_ok());
    refused(check(Plan { retry_candidates: Some(5000), ..plan() }), "5000 candidates");
    refused(check(Plan { unknown_options: vec!["new".into()], ..plan() }), "the options");
    refused(check(Plan { chunk_len: 0, ..plan() }), "a chunk of 0 tokens");
    refused(check(Plan { estimate: true, ..plan() }), "no critic");
    refused(check(Plan { candidates: vec![2], ..plan() }), "1 rows");
    refused(check(Plan { candidates: vec![2, 0], ..plan() }), "0 candidates for a row");
    refused(check(Plan { candidates: vec![8, 1], ..plan() }), "9 candidates");
    refused(check(Plan { source: Source::Expand(5), ..plan() }), "10 candidates");
    refused(check(Plan { source: Source::Expand(0), ..plan() }), "0 candidates");
}

/// Row 0 is priced and ended, row 1 priced, row 2 neither.
fn batch(last: bool) -> Batch {
    let row = |finished, priced| BatchRow { finished, priced, ..BatchRow::default() };
    let rows = vec![row(true, true), row(false, true), row(false, false)];
    Batch { moment: Moment { last, ..Moment::default() }, rows: rows.into(), ..Batch::default() }
}

#[test]
fn decisions() {
    let check = |decision| CHECK.decision(decision, &batch(false));
    for fine in [Decision::Keep(vec![1, 0]), Decision::Price(vec![2]), Decision::Answer(0), Decision::Exhausted] {
        assert!(check(fine).is_ok());
    }
    refused(check(Decision::Keep(vec![])), "no rows to keep");
    refused(CHECK.decision(Decision::Keep(vec![0]), &batch(true)), "keep, at the end");
    refused(check(Decision::Keep(vec![3])), "row 3");
    refused(check(Decision::Keep(vec![1, 1])), "row 1 twice");
    refused(check(Decision::Keep(vec![2])), "row 2, which is not priced");
    refused(check(Decision::Price(vec![9])), "row 9");
    refused(check(Decision::Price(vec![0, 1])), "only rows that are priced already");
    refused(check(Decision::Answer(7)), "row 7");
    refused(check(Decision::Answer(2)), "not priced");
    refused(check(Decision::Answer(1)), "has not ended");
    for (penalty, max_mass) in
        [(f32::NAN, 0.5), (f32::INFINITY, 0.5), (-1.0, 0.5), (1.0, 0.0), (1.0, 1.5), (1.0, f32::NAN)]
    {
        refused(check(Decision::Retry(Retry { penalty, max_mass })), "a retry with penalty");
    }
}

#[test]
fn budget_states() {
    let state = |z, memory| BudgetState { z, memory };
    assert!(CHECK.start(state(1.0, vec![0.0])).is_ok());
    refused(CHECK.start(state(f64::NAN, vec![])), "z NaN");
    refused(CHECK.start(state(f64::INFINITY, vec![])), "z inf");
    refused(CHECK.start(state(1.0, vec![f64::NAN])), "budget state NaN");
    refused(CHECK.start(state(1.0, vec![0.0; BudgetState::MEMORY + 1])), "numbers beside z");
}

#[test]
fn advances() {
    let asked = [Tracked { state: BudgetState { z: 1.0, memory: vec![] }, costs: vec![0.5, 0.5], ended: false }];
    let row = |z, trace| Advanced { state: BudgetState { z, memory: vec![] }, safe: true, trace };
    assert!(CHECK.advanced(vec![row(0.0, vec![0.5, 0.0])], &asked).is_ok());
    refused(CHECK.advanced(vec![], &asked), "0 rows");
    refused(CHECK.advanced(vec![row(f64::NAN, vec![0.5, 0.0])], &asked), "z NaN");
    refused(CHECK.advanced(vec![row(0.0, vec![0.5, f64::NAN])], &asked), "trace NaN");
    refused(CHECK.advanced(vec![row(0.0, vec![0.5])], &asked), "a trace of 1");
}

#[test]
fn estimates() {
    let row = |safe, cost_to_go| Estimate { safe, cost_to_go };
    assert!(CHECK.estimates(vec![row(vec![0.0, 1.0], -2.0)], 1, 2).is_ok());
    refused(CHECK.estimates(vec![], 1, 2), "0 rows");
    refused(CHECK.estimates(vec![row(vec![0.5], 0.0)], 1, 2), "1 probabilities");
    for wrong in [f64::NAN, -0.1, 1.1] {
        refused(CHECK.estimates(vec![row(vec![0.5, wrong], 0.0)], 1, 2), "the probability");
    }
    refused(CHECK.estimates(vec![row(vec![0.5, 0.5], f64::NAN)], 1, 2), "cost-to-go NaN");
}

#[test]
fn prices() {
    let tokens = |out| CHECK.prices(out, &[2, 1], CostGrain::Token);
    assert!(tokens(vec![vec![0.0, -1.0], vec![1.0]]).is_ok());
    assert!(CHECK.prices(vec![vec![0.0], vec![1.0]], &[2, 1], CostGrain::Chunk).is_ok());
    refused(tokens(vec![vec![0.0, 0.0]]), "1 rows");
    refused(tokens(vec![vec![0.0], vec![1.0]]), "1 prices for a row");
    refused(CHECK.prices(vec![vec![0.0, 0.0], vec![1.0]], &[2, 1], CostGrain::Chunk), "2 prices for a row");
    for wrong in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        refused(tokens(vec![vec![0.0, wrong], vec![1.0]]), "the price");
    }
}
