//! Bundles beside the active one: lanes that requests choose, and judgements of answers that are there.

#[path = "common/components.rs"]
mod components;
#[path = "common/deployment.rs"]
mod deployment;

use components::bundle_with;
use deployment::{MANIFEST, engine};
use inferenceguard_bundle::Bundle;
use inferenceguard_host::{Engine, EngineError, Held, Request};
use inferenceguard_search::Status;

const SCRIPT: &str = "vocab: <eos>* ask good bad plain
context: 64
after : good 3, plain 3, bad 3, <eos> 1
score cost: bad 5
score reward cumulative: good 1, bad 3";

fn toy() -> Engine {
    engine(SCRIPT, "", &[], &["base"])
}

fn bundle(budget: f64) -> Bundle {
    bundle_with(&MANIFEST.replace("budget = 4", &format!("budget = {budget}")), &[])
}

fn request(lane: Option<&str>, seed: u64) -> Request {
    Request { lane: lane.map(str::to_owned), seed: Some(seed), ..Request::new("ask") }
}

#[test]
fn a_request_is_decided_in_the_lane_it_names() {
    let engine = toy();
    let generation = engine.install(Some("canary"), engine.prepare(&bundle(3.0)).unwrap());
    assert_eq!((generation.number, engine.generation().number), (2, 1));
    let budget = |lane| {
        let output = engine.generate(request(lane, 1)).unwrap();
        (output.budget, output.generations)
    };
    assert_eq!(budget(None), (Some(4.0), vec![1]));
    assert_eq!(budget(Some("canary")), (Some(3.0), vec![2]));
    assert_eq!(engine.generation_in(Some("canary")).unwrap().number, 2);
    engine.close("canary");
    let gone = engine.generate(request(Some("canary"), 1)).unwrap_err();
    assert!(matches!(&gone, EngineError::UnknownLane { found } if found == "canary"), "{gone}");
    assert_eq!(engine.activate(&bundle(2.0)).unwrap().number, 3, "numbers are never used twice");
}

#[test]
fn what_was_prepared_decides_nothing() {
    let engine = toy();
    let prepared = engine.prepare(&bundle(3.0)).unwrap();
    assert_eq!(engine.generate(request(None, 1)).unwrap().generations, [1]);
    assert_eq!(engine.install(None, prepared).number, 2);
    assert_eq!(engine.generate(request(None, 1)).unwrap().generations, [2]);
}

#[test]
fn a_judgement_under_the_same_bundle_confirms_the_answer() {
    let engine = toy();
    let same = engine.prepare(&bundle(4.0)).unwrap();
    let mut seen = [0; 2];
    for seed in 0..60 {
        let output = engine.generate(request(None, seed)).unwrap();
        let judged = engine.judge(&same, &request(None, seed), &output).unwrap();
        assert_eq!(judged.within_budget, output.status == Status::WithinBudget, "{output:?} {judged:?}");
        let costs = |reports: &[inferenceguard_search::ConstraintReport]| {
            reports.iter().map(|one| (one.name.clone(), one.cost, one.max_cost)).collect::<Vec<_>>()
        };
        assert_eq!(costs(&judged.constraints), costs(&output.constraints));
        seen[usize::from(judged.within_budget)] += 1;
    }
    assert!(seen[0] > 5 && seen[1] > 5, "both happen: {seen:?}");
    assert_eq!(engine.held(), Held::default());
}

#[test]
fn another_budget_judges_otherwise_and_changes_nothing() {
    let engine = toy();
    let loose = engine.prepare(&bundle(1000.0)).unwrap();
    let broken = (0..60).map(|seed| request(None, seed)).find_map(|request| {
        let output = engine.generate(request.clone()).unwrap();
        (output.status == Status::BudgetExceeded).then_some((request, output))
    });
    let (request, output) = broken.unwrap();
    let before = format!("{output:?}");
    assert!(engine.judge(&loose, &request, &output).unwrap().within_budget);
    assert_eq!(format!("{output:?}"), before);
    assert_eq!(engine.generation().number, 1);
}

#[test]
fn ceilings_only_tighten() {
    let engine = toy();
    let budget = |ceiling: f64, asked: Option<f64>| {
        let mut request = request(None, 1);
        request.ceilings.insert("harm".to_owned(), ceiling);
        request.budgets.extend(asked.map(|asked| ("harm".to_owned(), asked)));
        engine.generate(request).unwrap().budget.unwrap()
    };
    assert_eq!(
        (budget(100.0, None), budget(3.0, None), budget(3.0, Some(3.5)), budget(3.0, Some(2.0))),
        (4.0, 3.0, 3.0, 2.0)
    );
}
