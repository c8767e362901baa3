//! Which row a record speaks of, and what it was charged: rows that were dropped after a decision, fallbacks, prices in one
//! piece, and constraints that share a cost.

use inferenceguard_host::{Output, Request, Roles};
use inferenceguard_model::Token;
use inferenceguard_record::{Body, Wrong};
use inferenceguard_search::{
    Answer, BatchRow, ConstraintMode, Decision, Granularity, Needs, OnExhausted, SearchConfig, Status,
};
use inferenceguard_testkit::{
    roles::{BestSafe, GivesUp, row_cost},
    toy,
};

/// An answer is all good or all bad, and never ends by itself.
const EITHER: &str = "vocab: <eos>* good bad ask\ncontext: 64\n after : good 1, bad 1\n after good : good 1\n after bad : bad 1\n score cost: bad 5\n score reward cumulative: bad 3";
/// A model without good answers.
const BAD: &str = "vocab: <eos>* good bad ask\ncontext: 64\n after : bad 1\n after bad : bad 1\n score cost: bad 5\n score reward cumulative: bad 3";
/// A model without bad answers.
const GOOD: &str = "vocab: <eos>* good bad ask\ncontext: 64\n after : good 1\n after good : good 1\n score cost: bad 5\n score reward cumulative: bad 3";
const BAD_TOKEN: Token = 2;

/// All beams are kept. The cost is free in chunks; in one piece, each bad token costs one.
fn drifting() -> Roles {
    let price = |row: &BatchRow| {
        let dear = |token: &Token| f64::from(u8::from(row.tokens.len() > 4 && *token == BAD_TOKEN));
        row.tokens.iter().map(dear).collect()
    };
    let mut roles = toy::roles();
    roles.policy = Box::new(keeping_all());
    roles.costs.insert("harm".into(), row_cost(Needs::default(), price));
    roles
}

fn keeping_all() -> BestSafe {
    BestSafe { needs: Needs::default(), width: 8, chunk_len: 4, keep: 8 }
}

/// The policy finds nothing fit at the end, whatever there is.
fn giving_up() -> Roles {
    Roles { policy: Box::new(GivesUp { policy: keeping_all(), at: |moment| moment.last }), ..drifting() }
}

fn outputs(script: &str, config: &SearchConfig, roles: fn() -> Roles) -> Vec<Output> {
    let engine = toy::build(script, config.clone(), roles).unwrap();
    let request = |seed| Request { seed: Some(seed), record: true, ..Request::new("ask") };
    (0..6).map(|seed| engine.generate(request(seed)).unwrap()).collect()
}

/// How often the policy answered with a row.
fn answers(body: &Body) -> usize {
    let answer = |answer: &Answer| matches!(answer, Answer::Decided(Ok(Decision::Answer(_))));
    body.trace.events.iter().filter(|(_, it)| answer(it)).count()
}

#[test]
fn a_refusal_after_all_answers_were_dropped_verifies() {
    for output in outputs(BAD, &toy::config(4.0), drifting) {
        let body = Body::of(&output).unwrap();
        assert_eq!(output.status, Status::NoSafeCandidate);
        assert!(answers(&body) > 0, "a row was decided on, and dropped since it is dear in one piece");
        body.verify().unwrap();
        assert!(!body.nearest().unwrap().emitted);
    }
}

#[test]
fn the_row_that_was_answered_after_others_were_dropped_is_the_row_that_is_added_up() {
    let outputs = outputs(EITHER, &toy::config(4.0), drifting);
    let bodies: Vec<Body> = outputs.iter().map(|output| Body::of(output).unwrap()).collect();
    bodies.iter().for_each(|body| body.verify().unwrap());
    // A row that no other came before is decided on twice: before and after it is priced in one piece.
    let later = |body: &&Body| body.outcome.status == Status::WithinBudget && answers(body) > 2;
    let seen =
        || bodies.iter().map(|body| (body.outcome.status, answers(body), &body.outcome.text)).collect::<Vec<_>>();
    let body = bodies.iter().find(later);
    let body = body.unwrap_or_else(|| panic!("no bad row was dropped before a good one was the answer: {:?}", seen()));
    assert_eq!(body.nearest().unwrap().tokens, body.outcome.tokens);
    let mut other = body.clone();
    other.outcome.tokens = vec![BAD_TOKEN; other.outcome.tokens.len()];
    assert!(matches!(other.verify(), Err(Wrong::Sum { what, .. }) if what == "tokens"), "a row that was dropped");
}

#[test]
fn a_row_that_a_fallback_emitted_is_added_up() {
    for setting in [OnExhausted::BestReward, OnExhausted::LeastViolation] {
        let config = SearchConfig { on_exhausted: setting, ..toy::config(4.0) };
        for (script, status) in [(GOOD, Status::WithinBudget), (BAD, Status::BudgetExceeded)] {
            for output in outputs(script, &config, giving_up) {
                let mut body = Body::of(&output).unwrap();
                assert_eq!((output.status, answers(&body)), (status, 0));
                body.verify().unwrap();
                assert!(body.nearest().unwrap().emitted);
                body.outcome.constraints[0].cost += 1.0;
                assert!(matches!(body.verify(), Err(Wrong::Sum { what, .. }) if what == "`cost` of `harm`"));
            }
        }
    }
}

#[test]
fn the_price_in_one_piece_is_checked() {
    let body = Body::of(&outputs(BAD, &toy::config(40.0), drifting)[0]).unwrap();
    assert_eq!(body.outcome.status, Status::WithinBudget);
    assert!(body.outcome.constraints[0].whole.unwrap() > 11.0, "{:?}", body.outcome.constraints);
    body.verify().unwrap();
    for lie in [None, Some(0.0)] {
        let mut changed = body.clone();
        changed.outcome.constraints[0].whole = lie;
        assert!(matches!(changed.verify(), Err(Wrong::Sum { what, .. }) if what == "`whole` of `harm`"));
    }
    let mut exceeded = body.clone();
    exceeded.inputs.config.constraints[0].constraint.budget = 5.0;
    exceeded.outcome.constraints[0].budget = 5.0;
    exceeded.outcome.constraints[0].z.iter_mut().for_each(|z| *z *= 5.0 / 40.0);
    assert!(matches!(exceeded.verify(), Err(Wrong::Sum { what, .. }) if what == "status"), "it holds in chunks only");
}

#[test]
fn constraints_that_share_a_cost_are_each_charged_at_their_own_places() {
    for swapped in [false, true] {
        let mut config = toy::config(11.0);
        let mut end = config.constraints[0].clone();
        end.granularity = Granularity::Terminal;
        (end.constraint.name, end.constraint.mode) = ("end".into(), ConstraintMode::Terminal);
        config.constraints.push(end);
        if swapped {
            config.constraints.reverse();
        }
        let outputs = outputs(&toy::SCRIPT.replace("bad plain", "bad plain ask"), &config, toy::roles);
        outputs.iter().for_each(|output| Body::of(output).unwrap().verify().unwrap());
        let costs = |output: &&Output| output.constraints.iter().all(|report| report.cost > 0.0);
        let early = |output: &&Output| output.tokens[..output.tokens.len().min(4)].contains(&BAD_TOKEN);
        assert!(outputs.iter().any(|output| output.tokens.len() > 4 && costs(&output) && early(&output)), "{swapped}");
    }
}
