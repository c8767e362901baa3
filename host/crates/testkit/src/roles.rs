//! Roles in plain Rust, so that what the host does can be tested apart from what components do.

use inferenceguard_search::{
    Advanced, Batch, BatchRow, BudgetState, Constraint, ConstraintMode, Cost, CostClip, CostGrain, CostKind, Decision,
    EPSILON, Granularity, Moment, Needs, OnExhausted, Plan, Policy, PricedConstraint, REVISION, Release, Retry,
    RoleFailure, Sampling, SearchConfig, SearchLimits, Tracked, Tracker,
};

/// A constraint without discount at every token, `Capped`, on the cost of this name.
#[must_use]
pub fn constraint(name: &str, cost: &str, budget: f64) -> PricedConstraint {
    let (clip, mode) = (CostClip::Capped, ConstraintMode::Anytime);
    let constraint = Constraint { name: name.into(), budget, gamma: 1.0, clip, mode };
    PricedConstraint { constraint, cost: cost.into(), granularity: Granularity::Token }
}

/// One constraint, the task cost `reward`, twelve tokens, seed 0, the refusal `no`, and the defaults of everything else.
#[must_use]
pub fn config(constraint: PricedConstraint) -> SearchConfig {
    SearchConfig {
        constraints: vec![constraint],
        task: Some("reward".into()),
        max_tokens: 12,
        sampling: Sampling::default(),
        seed: 0,
        stop: Vec::new(),
        on_exhausted: OnExhausted::Refuse,
        refusal: "no".into(),
        backtrack: false,
        release: Release::AtEnd,
        limits: SearchLimits::default(),
        margin: EPSILON,
        revision: REVISION,
    }
}

/// Samples `width` candidates for a chunk and keeps the best safe ones. It retries twice, then gives up.
#[derive(Debug, Clone)]
pub struct BestSafe {
    /// What it reads.
    pub needs: Needs,
    /// Candidates of a chunk, over all beams.
    pub width: u32,
    /// Tokens of a chunk.
    pub chunk_len: u32,
    /// Beams that it keeps.
    pub keep: usize,
}

impl BestSafe {
    fn ranked(batch: &Batch) -> Vec<u32> {
        let mut safe: Vec<(u32, &BatchRow)> = (0..).zip(batch.rows.iter()).filter(|(_, row)| row.safe).collect();
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
        Ok(Plan { task_cost: true, ..Plan::new(vec![self.width.div_ceil(live); live as usize], self.chunk_len) })
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

/// A policy that declares the search exhausted at some moments, whatever the candidates are.
#[derive(Debug, Clone)]
pub struct GivesUp<P> {
    /// Decides at all other moments.
    pub policy: P,
    /// True for the moments at which it gives up.
    pub at: fn(&Moment) -> bool,
}

impl<P: Policy> Policy for GivesUp<P> {
    fn needs(&self) -> &Needs {
        self.policy.needs()
    }

    fn plan(&mut self, rows: &Batch) -> Result<Plan, RoleFailure> {
        self.policy.plan(rows)
    }

    fn select(&mut self, rows: &Batch) -> Result<Decision, RoleFailure> {
        if (self.at)(&rows.moment) { Ok(Decision::Exhausted) } else { self.policy.select(rows) }
    }
}

/// The tracker of the paper: z' = (z - c) / γ with the clips, written from the definition.
#[derive(Debug, Clone, Default)]
pub struct Recursion;

impl Tracker for Recursion {
    fn start(&mut self, constraint: &Constraint) -> Result<BudgetState, RoleFailure> {
        Ok(BudgetState { z: constraint.budget, memory: vec![constraint.budget, 1.0] })
    }

    fn advance(&mut self, constraint: &Constraint, rows: &[Tracked]) -> Result<Vec<Advanced>, RoleFailure> {
        Ok(rows.iter().map(|row| advanced(constraint, row)).collect())
    }
}

fn advanced(c: &Constraint, row: &Tracked) -> Advanced {
    let (mut z, mut cap, mut ok) = (row.state.z, row.state.memory[0], row.state.memory[1] > 0.0);
    let mut trace = Vec::new();
    for &cost in &row.costs {
        let cost = if c.clip == CostClip::Nonneg { cost.max(0.0) } else { cost };
        (z, cap) = ((z - cost) / c.gamma, cap / c.gamma);
        z = if c.clip == CostClip::Capped { z.min(cap) } else { z };
        ok &= z > 0.0;
        trace.push(z);
    }
    let safe = if c.mode == ConstraintMode::Terminal { z > 0.0 } else { ok };
    Advanced { state: BudgetState { z, memory: vec![cap, f64::from(ok)] }, safe, trace }
}

/// A cost with the scores of a score model: per token for safety, minus the score of the answer for the task.
#[derive(Debug, Clone)]
pub struct ScoreCost {
    needs: Needs,
    kind: CostKind,
}

impl ScoreCost {
    /// A cost that reads the score model of this name.
    #[must_use]
    pub fn new(model: &str, kind: CostKind) -> Box<Self> {
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

/// A safety cost: a function that gives the price of each token of a row.
#[must_use]
pub fn row_cost(needs: Needs, mut price: impl FnMut(&BatchRow) -> Vec<f64> + Send + 'static) -> Box<dyn Cost> {
    batch_cost(needs, move |batch| Ok(batch.rows.iter().map(&mut price).collect()))
}

/// A safety cost: a function that gives the prices of all rows, or a failure.
#[must_use]
pub fn batch_cost(
    needs: Needs,
    price: impl FnMut(&Batch) -> Result<Vec<Vec<f64>>, RoleFailure> + Send + 'static,
) -> Box<dyn Cost> {
    Box::new(BatchCost { needs, price })
}

struct BatchCost<F> {
    needs: Needs,
    price: F,
}

impl<F: FnMut(&Batch) -> Result<Vec<Vec<f64>>, RoleFailure> + Send> Cost for BatchCost<F> {
    fn needs(&self) -> &Needs {
        &self.needs
    }

    fn kind(&self) -> CostKind {
        CostKind::Safety
    }

    fn grain(&self) -> CostGrain {
        CostGrain::Token
    }

    fn price(&mut self, rows: &Batch) -> Result<Vec<Vec<f64>>, RoleFailure> {
        (self.price)(rows)
    }
}
