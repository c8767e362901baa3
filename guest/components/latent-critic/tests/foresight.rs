//! The inputs of the network, and how its outputs become estimates.

use inferenceguard_guest::{BatchDouble, BudgetState, Constraint, Critic, DenseDouble, Estimate, LatentSelector};
use inferenceguard_guest::{LinearDouble, Need, RowDouble, Setup, Value};
use latent_critic::LatentCritic;

/// Rows of z under these budgets.
fn rows(budgets: &[f64], z: &[&[f64]]) -> BatchDouble {
    let state = |z: &f64| BudgetState { z: *z, memory: Vec::new() };
    let row = |z: &&[f64]| RowDouble { budgets: z.iter().map(state).collect(), ..RowDouble::default() };
    let constraint = |budget: &f64| Constraint::of(budget.to_string(), *budget);
    BatchDouble { constraints: budgets.iter().map(constraint).collect(), ..BatchDouble::of(z.iter().map(row)) }
}

fn dense(latents: &[&[f32]], weights: &[&[f32]], bias: &[f32]) -> DenseDouble {
    let layer = LinearDouble { weights: weights.iter().map(|row| row.to_vec()).collect(), bias: bias.to_vec() };
    let latents = latents.iter().map(|latent| latent.to_vec()).collect();
    DenseDouble { latents, networks: vec![("critic".to_owned(), layer)], ..DenseDouble::default() }
}

fn estimates(settings: &[(&str, Value)], rows: &BatchDouble, dense: &DenseDouble) -> Result<Vec<Estimate>, String> {
    LatentCritic::with_settings(settings).unwrap().estimate(rows, dense).map_err(|error| error.to_string())
}

#[test]
fn logits_become_probabilities_and_the_last_output_is_the_cost() {
    // Logit: the latent's first number; cost: its second.
    let dense = dense(&[&[0.0, 5.0], &[f32::ln(3.0), -1.0]], &[&[1.0, 0.0, 0.0], &[0.0, 1.0, 0.0]], &[0.0, 0.0]);
    let found = estimates(&[], &rows(&[10.0], &[&[10.0], &[10.0]]), &dense).unwrap();
    assert_eq!(found[0], Estimate { safe: vec![0.5], cost_to_go: 5.0 });
    assert!((found[1].safe[0] - 0.75).abs() < 1e-7 && found[1].cost_to_go == -1.0);
}

#[test]
fn each_constraint_gets_the_share_of_its_own_budget_that_is_left() {
    // The logits are the two shares; the cost is their difference.
    let weights: [&[f32]; 3] = [&[0.0, 1.0, 0.0], &[0.0, 0.0, 1.0], &[0.0, 1.0, -1.0]];
    let dense = dense(&[&[9.0], &[9.0]], &weights, &[0.0; 3]);
    let found = estimates(&[], &rows(&[10.0, 4.0], &[&[5.0, 4.0], &[0.0, -4.0]]), &dense).unwrap();
    let sigmoid = |logit: f64| 1.0 / (1.0 + (-logit).exp());
    assert_eq!(found[0], Estimate { safe: vec![sigmoid(0.5), sigmoid(1.0)], cost_to_go: -0.5 });
    assert_eq!(found[1], Estimate { safe: vec![0.5, sigmoid(-1.0)], cost_to_go: 1.0 });
}

#[test]
fn less_budget_is_less_safe_for_a_network_that_says_so() {
    let dense = dense(&[&[0.0], &[0.0]], &[&[0.0, 4.0], &[0.0, 0.0]], &[-2.0, 0.0]);
    let found = estimates(&[], &rows(&[10.0], &[&[9.0], &[1.0]]), &dense).unwrap();
    assert!(found[0].safe[0] > 0.5 && found[1].safe[0] < 0.5, "{found:?}");
}

#[test]
fn the_cost_may_be_scaled_and_shifted() {
    let dense = dense(&[&[2.0]], &[&[1.0]], &[0.0]);
    let settings = [("cost-scale", Value::Number(3.0)), ("cost-shift", Value::Number(-1.0))];
    let found = estimates(&settings, &rows(&[], &[&[]]), &dense).unwrap();
    assert_eq!(found, [Estimate { safe: vec![], cost_to_go: 5.0 }]);
}

#[test]
fn extreme_logits_are_certain_and_not_nan() {
    let dense = dense(&[&[1e30], &[-1e30]], &[&[1.0, 0.0], &[0.0, 0.0]], &[0.0, 0.0]);
    let found = estimates(&[], &rows(&[1.0], &[&[1.0], &[1.0]]), &dense).unwrap();
    assert_eq!((found[0].safe[0], found[1].safe[0]), (1.0, 0.0));
}

#[test]
fn networks_that_do_not_fit_are_refused_in_words() {
    let one = rows(&[10.0], &[&[10.0]]);
    let error_of = |dense: &DenseDouble| estimates(&[], &one, dense).unwrap_err();
    let without_budget = dense(&[&[1.0]], &[&[1.0], &[1.0]], &[0.0, 0.0]);
    let words = "the network `critic` maps 1 numbers to 2; expected 2 (latent and budgets) to 2";
    assert!(error_of(&without_budget).contains(words), "{}", error_of(&without_budget));
    assert!(error_of(&dense(&[&[1.0]], &[&[1.0, 1.0]], &[0.0])).contains("maps 2 numbers to 1"));
    let gives = |bias: [f32; 2]| dense(&[&[1.0]], &[&[0.0, 0.0], &[0.0, 0.0]], &bias);
    for bias in [[f32::NAN, 0.0], [0.0, f32::NAN], [0.0, f32::INFINITY]] {
        let error = error_of(&gives(bias));
        assert!(
            error.contains("the network `critic` gives ") && error.contains("for row 0; expected numbers"),
            "{error}"
        );
    }
    assert!(error_of(&DenseDouble { networks: vec![], ..gives([0.0; 2]) }).contains("no network `critic`"));
}

#[test]
fn what_it_reads_is_a_setting() {
    let settings = [("latent", Value::Text("layer:3".to_owned())), ("network", Value::Text("f".to_owned()))];
    let critic = LatentCritic::with_settings(&settings).unwrap();
    assert_eq!(critic.needs(), [Need::Latents(LatentSelector::Layer(3)), Need::Network("f".to_owned())]);
}

#[test]
fn impossible_settings_are_refused_in_words() {
    for (name, value) in [
        ("latent", Value::Text("pooled".to_owned())),
        ("cost-scale", Value::Number(f64::NAN)),
        ("cost-shift", Value::Number(f64::INFINITY)),
        ("network", Value::Integer(1)),
    ] {
        let refused = LatentCritic::with_settings(&[(name, value)]).unwrap_err();
        assert!(refused.starts_with(&format!("setting `{name}` is ")), "{refused}");
    }
}
