//! A toy deployment with roles in plain Rust: what the engine does can be told apart from what components do.
#![allow(dead_code, reason = "every test file uses another part")]

use inferenceguard_host::{Engine, EngineBuilder, EngineError, Roles};
use inferenceguard_model::toy::ToyScript;
use inferenceguard_search::{
    Advanced, Batch, BatchRow, BudgetState, Constraint, ConstraintMode, Cost, CostClip, CostGrain, CostKind, Decision,
    Granularity, Needs, OnExhausted, Plan, Policy, PricedConstraint, Pricing, Release, Retry, RoleFailure, Sampling,
    SearchConfig, SearchLimits, Source, Tracked, Tracker,
};
use std::collections::BTreeMap;

/// `bad` pays most and costs most.
pub(crate) const SCRIPT: &str = "vocab: <eos>* good bad plain
context: 64
after : good 3, plain 3, bad 3, <eos> 1
score cost: bad 5
score reward cumulative: good 1, bad 3";

pub(crate) fn config(budget: f64) -> SearchConfig {
    let constraint =
        Constraint { name: "harm".into(), budget, gamma: 0.999, clip: CostClip::Capped, mode: ConstraintMode::Anytime };
    SearchConfig {
        constraints: vec![PricedConstraint { constraint, cost: "harm".into(), granularity: Granularity::Token }],
        task: Some("reward".into()),
        max_tokens: 12,
        sampling: Sampling::default(),
        seed: 1,
        stop: Vec::new(),
        on_exhausted: OnExhausted::Refuse,
        refusal: "I cannot help with that.".into(),
        backtrack: false,
        release: Release::AtEnd,
        limits: SearchLimits::default(),
        margin: inferenceguard_search::EPSILON,
        revision: inferenceguard_search::REVISION,
    }
}

/// N candidates a chunk, the best safe ones go on.
pub(crate) struct BestSafe {
    pub(crate) needs: Needs,
    pub(crate) width: u32,
    pub(crate) chunk_len: u32,
    pub(crate) keep: usize,
}

impl BestSafe {
    fn ranked(batch: &Batch) -> Vec<u32> {
        let mut safe: Vec<(u32, &BatchRow)> = (0..).zip(&batch.rows).filter(|(_, row)| row.safe).collect();
        let cost = |row: &BatchRow| row.task_cost.unwrap_or(0.0);
        safe.sort_by(|a, b| cost(a.1).total_cmp(&cost(b.1)));
        safe.into_iter().map(|(i, _)| i).collect()
    }
}

impl Policy for BestSafe {
    fn needs(&self) -> &Needs {
        &self.needs
    }

    fn plan(&mut self, rows: &Batch) -> Result<Plan, RoleFailure> {
        let live = rows.rows.len() as u32;
        Ok(Plan {
            candidates: vec![self.width.div_ceil(live); live as usize],
            chunk_len: self.chunk_len,
            source: Source::Sample,
            pricing: Pricing::All,
            task_cost: true,
            estimate: false,
            retry_candidates: None,
            keep: None,
            unknown_options: Vec::new(),
        })
    }

    fn select(&mut self, rows: &Batch) -> Result<Decision, RoleFailure> {
        let mut best = Self::ranked(rows);
        best.truncate(self.keep);
        let ended = best.iter().all(|i| rows.rows[*i as usize].finished);
        Ok(match best.first() {
            Some(first) if rows.moment.last || ended => Decision::Answer(*first),
            Some(_) => Decision::Keep(best),
            None if rows.moment.attempt < 2 => Decision::Retry(Retry { penalty: 5.0, max_mass: 0.5 }),
            None => Decision::Exhausted,
        })
    }
}

pub(crate) struct PlainTracker;

impl Tracker for PlainTracker {
    fn start(&mut self, constraint: &Constraint) -> Result<BudgetState, RoleFailure> {
        Ok(BudgetState { z: constraint.budget, memory: vec![0.0] })
    }

    fn advance(&mut self, constraint: &Constraint, rows: &[Tracked]) -> Result<Vec<Advanced>, RoleFailure> {
        let advance = |row: &Tracked| {
            let mut state = row.state.clone();
            let mut trace = Vec::new();
            for cost in &row.costs {
                state.z = (state.z - cost) / constraint.gamma;
                trace.push(state.z);
                if state.z <= 0.0 {
                    state.memory = vec![1.0];
                }
            }
            Advanced { safe: state.memory == [0.0], state, trace }
        };
        Ok(rows.iter().map(advance).collect())
    }
}

pub(crate) struct ScoreCost {
    pub(crate) needs: Needs,
    pub(crate) kind: CostKind,
}

impl ScoreCost {
    pub(crate) fn new(model: &str, kind: CostKind) -> Box<Self> {
        Box::new(Self { needs: Needs { scores: vec![model.into()], ..Needs::default() }, kind })
    }
}

impl Cost for ScoreCost {
    fn needs(&self) -> &Needs {
        &self.needs
    }

    fn kind(&self) -> CostKind {
        self.kind
    }

    fn grain(&self) -> CostGrain {
        if self.kind == CostKind::Task { CostGrain::Chunk } else { CostGrain::Token }
    }

    fn price(&mut self, rows: &Batch) -> Result<Vec<Vec<f64>>, RoleFailure> {
        let price = |row: &BatchRow| {
            let scores = &row.scores[&self.needs.scores[0]];
            match self.kind {
                CostKind::Task => vec![-f64::from(scores.end)],
                CostKind::Safety => scores.tokens.iter().map(|score| f64::from(*score)).collect(),
            }
        };
        Ok(rows.rows.iter().map(price).collect())
    }
}

pub(crate) fn roles() -> Roles {
    let costs: [(&str, Box<dyn Cost>); 2] =
        [("harm", ScoreCost::new("cost", CostKind::Safety)), ("reward", ScoreCost::new("reward", CostKind::Task))];
    Roles {
        policy: Box::new(BestSafe { needs: Needs::default(), width: 8, chunk_len: 4, keep: 2 }),
        tracker: Box::new(PlainTracker),
        critic: None,
        steering: None,
        costs: costs.into_iter().map(|(name, cost)| (name.to_owned(), cost)).collect::<BTreeMap<_, _>>(),
    }
}

pub(crate) fn build(script: &str, budget: f64, roles: fn() -> Roles) -> Result<Engine, EngineError> {
    let toy = ToyScript::parse(script).unwrap();
    let mut builder = EngineBuilder::new().model(Box::new(toy.model())).config(config(budget)).roles("native", roles);
    for score in toy.scores() {
        builder = builder.score_model(Box::new(score));
    }
    builder.build()
}

pub(crate) fn engine(script: &str, budget: f64) -> Engine {
    build(script, budget, roles).unwrap()
}
