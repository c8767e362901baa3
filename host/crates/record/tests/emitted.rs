//! Which row a record speaks of, and what it was charged: rows that were dropped after a decision, fallbacks, prices in one
//! piece, and constraints that share a cost.

use inferenceguard_host::{EngineBuilder, Output, Request, Roles};
use inferenceguard_model::{Token, toy::ToyScript};
use inferenceguard_record::{Body, Wrong};
use inferenceguard_search::{
    Answer, Batch, BatchRow, ConstraintMode, Cost, CostGrain, CostKind, Decision, Granularity, Needs, OnExhausted,
    Plan, Policy, RoleFailure, SearchConfig, Status,
};

#[path = "../../../tests/common/mod.rs"]
mod common;

/// An answer is all good or all bad, and never ends by itself.
const EITHER: &str = "vocab: <eos>* good bad ask\ncontext: 64\n after : good 1, bad 1\n after good : good 1\n after bad : bad 1\n score cost: bad 5\n score reward cumulative: bad 3";
/// The same without good ones.
const BAD: &str = "vocab: <eos>* good bad ask\ncontext: 64\n after : bad 1\n after bad : bad 1\n score cost: bad 5\n score reward cumulative: bad 3";
/// The same without bad ones.
const GOOD: &str = "vocab: <eos>* good bad ask\ncontext: 64\n after : good 1\n after good : good 1\n score cost: bad 5\n score reward cumulative: bad 3";
const BAD_TOKEN: Token = 2;

/// Free in chunks; in one piece, each bad token costs one.
struct Drifts(Needs);

impl Cost for Drifts {
    fn needs(&self) -> &Needs {
        &self.0
    }

    fn kind(&self) -> CostKind {
        CostKind::Safety
    }

    fn grain(&self) -> CostGrain {
        CostGrain::Token
    }

    fn price(&mut self, rows: &Batch) -> Result<Vec<Vec<f64>>, RoleFailure> {
        let price = |row: &BatchRow| {
            let dear = |token: &Token| f64::from(u8::from(row.tokens.len() > 4 && *token == BAD_TOKEN));
            row.tokens.iter().map(dear).collect()
        };
        Ok(rows.rows.iter().map(price).collect())
    }
}

fn drifting() -> Roles {
    let mut roles = common::roles();
    roles.policy = Box::new(common::BestSafe { needs: Needs::default(), width: 8, chunk_len: 4, keep: 8 });
    roles.costs.insert("harm".into(), Box::new(Drifts(Needs::default())));
    roles
}

/// Finds nothing fit at the end, whatever there is.
struct GivesUp(common::BestSafe);

impl Policy for GivesUp {
    fn needs(&self) -> &Needs {
        self.0.needs()
    }

    fn plan(&mut self, rows: &Batch) -> Result<Plan, RoleFailure> {
        self.0.plan(rows)
    }

    fn select(&mut self, rows: &Batch) -> Result<Decision, RoleFailure> {
        if rows.moment.last { Ok(Decision::Exhausted) } else { self.0.select(rows) }
    }
}

fn giving_up() -> Roles {
    let policy = common::BestSafe { needs: Needs::default(), width: 8, chunk_len: 4, keep: 8 };
    Roles { policy: Box::new(GivesUp(policy)), ..drifting() }
}

fn outputs(script: &str, config: &SearchConfig, roles: fn() -> Roles) -> Vec<Output> {
    let toy = ToyScript::parse(script).unwrap();
    let builder = EngineBuilder::new().model(Box::new(toy.model())).config(config.clone()).roles("native", roles);
    let builder = toy.scores().into_iter().fold(builder, |builder, score| builder.score_model(Box::new(score)));
    let engine = builder.build().unwrap();
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
    for output in outputs(BAD, &common::config(4.0), drifting) {
        let body = Body::of(&output).unwrap();
        assert_eq!(output.status, Status::NoSafeCandidate);
        assert!(answers(&body) > 0, "a row was decided on, and dropped since it is dear in one piece");
        body.verify().unwrap();
        assert!(!body.nearest().unwrap().emitted);
    }
}

#[test]
fn the_row_that_was_answered_after_others_were_dropped_is_the_one_that_is_added_up() {
    let outputs = outputs(EITHER, &common::config(4.0), drifting);
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
        let config = SearchConfig { on_exhausted: setting, ..common::config(4.0) };
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
    let body = Body::of(&outputs(BAD, &common::config(40.0), drifting)[0]).unwrap();
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
        let mut config = common::config(11.0);
        let mut end = config.constraints[0].clone();
        end.granularity = Granularity::Terminal;
        (end.constraint.name, end.constraint.mode) = ("end".into(), ConstraintMode::Terminal);
        config.constraints.push(end);
        if swapped {
            config.constraints.reverse();
        }
        let outputs = outputs(&common::SCRIPT.replace("bad plain", "bad plain ask"), &config, common::roles);
        outputs.iter().for_each(|output| Body::of(output).unwrap().verify().unwrap());
        let costs = |output: &&Output| output.constraints.iter().all(|report| report.cost > 0.0);
        let early = |output: &&Output| output.tokens[..output.tokens.len().min(4)].contains(&BAD_TOKEN);
        assert!(outputs.iter().any(|output| output.tokens.len() > 4 && costs(&output) && early(&output)), "{swapped}");
    }
}
