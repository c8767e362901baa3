//! What guarding adds to a model: the audit, the search, and a call of a component.

use crate::{Work, question};
use inferenceguard_host::{EngineBuilder, Request, Roles};
use inferenceguard_model::{LockedBackEnd, Token, toy::ToyScript};
use inferenceguard_sandbox::{Limits, Sandbox};
use inferenceguard_search::{Cost, Meter, Needs, Piece, SearchConfig};
use inferenceguard_testkit::{
    components::first_party,
    roles::{self, BestSafe, Recursion, row_cost},
    toy,
};
use std::{collections::BTreeMap, hint::black_box, sync::Arc};

/// A budget that is never spent.
const LOOSE: f64 = 1e9;

/// Counts a letter of the text, or the token `bad` of the toy.
fn cost(needs: Needs) -> Box<dyn Cost> {
    const BAD: Token = 2;
    let price = |text: &str, token: Token| text.matches('x').count() as f64 + f64::from(u8::from(token == BAD));
    row_cost(needs, move |row| row.tokens.iter().map(|token| price(&row.text, *token)).collect())
}

fn config(max_tokens: u32) -> SearchConfig {
    SearchConfig { task: None, max_tokens, ..roles::config(roles::constraint("letters", "letters", LOOSE)) }
}

/// 32 tokens that may come next are weighed, and one is charged.
pub(crate) fn meter() -> Work {
    let costs = BTreeMap::from([("letters".to_owned(), cost(Needs { text: true, lookback: 64, ..Needs::default() }))]);
    let meter = Meter::new(&config(u32::MAX), Box::new(Recursion), costs, "How do I clean it?");
    let mut meter = meter.expect("a cost that can be metered");
    let piece = |token| Piece { token, bytes: format!(" box{token}").into_bytes(), logprob: None, ended: false };
    let pieces: Vec<Piece> = (0..32).map(piece).collect();
    Box::new(move || {
        drop(black_box(meter.weigh(black_box(&pieces))));
        drop(black_box(meter.accept(&pieces[3])));
    })
}

/// A whole search of eight candidates over the toy model: what the session, the driver and the audit take beside a model.
pub(crate) fn search() -> Work {
    let script = ToyScript::parse(toy::SCRIPT).expect("a script of the toy model");
    let back_end = LockedBackEnd::new(Box::new(script.model()));
    let builder = EngineBuilder::new().back_end(Arc::new(back_end)).config(config(48));
    let engine = builder.roles("native", candidates as fn() -> Roles).build().expect("an engine");
    let request = Request { seed: Some(1), ..Request::new("good") };
    Box::new(move || drop(black_box(engine.generate(request.clone()).expect("an answer"))))
}

fn candidates() -> Roles {
    Roles {
        policy: Box::new(BestSafe { needs: Needs::default(), width: 8, chunk_len: 4, keep: 2 }),
        tracker: Box::new(Recursion),
        critic: None,
        steering: None,
        costs: BTreeMap::from([("letters".to_owned(), cost(Needs::default()))]),
    }
}

/// A cost in the sandbox prices 32 rows of 32 tokens.
pub(crate) fn component() -> Work {
    // Under valgrind a process has less than 64 GB of addresses, of which each memory takes four; and it is slower by far more
    // than a deadline allows for.
    let limits = Limits { instances: 4, memories: 1, deadline_ms: 600_000, ..Limits::default() };
    let sandbox = Sandbox::new(limits, None).expect("a sandbox");
    let component = sandbox.load("score-cost", &first_party()["score-cost"]).expect("a component");
    let active = component.activate(&BTreeMap::new()).expect("settings");
    let rows = question::batch(question::ROWS, active.needs());
    let mut cost = active.cost().expect("a cost");
    Box::new(move || drop(black_box(cost.price(black_box(&rows)).expect("prices"))))
}
