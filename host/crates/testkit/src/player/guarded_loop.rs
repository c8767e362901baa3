//! A search policy in plain Rust: the loop of the paper, with switches.

use inferenceguard_search::*;

/// A search policy in plain Rust: the loop of the paper, with switches.
#[derive(Clone)]
pub struct Loop {
    /// Candidates of a chunk.
    pub n: u32,
    /// How many of them go on.
    pub keep: usize,
    /// Tokens of a chunk.
    pub chunk_len: u32,
    /// Retries of a chunk.
    pub retries: u32,
    /// Candidates of a retry, if not as many as at first.
    pub retry_n: Option<u32>,
    /// Whether only safe candidates fit.
    pub guarded: bool,
    /// Whether it asks for prices one by one.
    pub on_demand: bool,
    /// Where candidates come from.
    pub source: Source,
    /// What it reads.
    pub needs: Needs,
}

impl Loop {
    /// The guarded loop over samples, priced all at once.
    #[must_use]
    pub fn new(n: u32, keep: usize, chunk_len: u32, retries: u32) -> Self {
        let (guarded, on_demand, source, needs) = (true, false, Source::Sample, Needs::default());
        Self { n, keep, chunk_len, retries, retry_n: None, guarded, on_demand, source, needs }
    }

    fn fit(&self, rows: &Batch) -> Vec<u32> {
        let mut fit: Vec<u32> = (0..rows.rows.len() as u32)
            .filter(|r| rows.rows[*r as usize].priced && (!self.guarded || rows.rows[*r as usize].safe))
            .collect();
        let cost = |r: &u32| rows.rows[*r as usize].task_cost.unwrap_or(0.0);
        fit.sort_by(|a, b| cost(a).total_cmp(&cost(b)).then(a.cmp(b)));
        fit
    }
}

impl Policy for Loop {
    fn needs(&self) -> &Needs {
        &self.needs
    }

    fn plan(&mut self, rows: &Batch) -> Result<Plan, RoleFailure> {
        let live = rows.rows.len() as u32;
        let candidates = (0..live).map(|i| (self.n / live + u32::from(i < self.n % live)).max(1)).collect();
        let pricing = if self.on_demand { Pricing::OnDemand } else { Pricing::All };
        Ok(Plan {
            source: self.source,
            pricing,
            task_cost: true,
            retry_candidates: self.retry_n,
            keep: Some(self.keep as u32),
            ..Plan::new(candidates, self.chunk_len)
        })
    }

    fn select(&mut self, rows: &Batch) -> Result<Decision, RoleFailure> {
        let unpriced: Vec<u32> = (0..rows.rows.len() as u32).filter(|r| !rows.rows[*r as usize].priced).collect();
        let fit = self.fit(rows);
        if self.on_demand && fit.len() < self.keep && !unpriced.is_empty() {
            return Ok(Decision::Price(unpriced.into_iter().take(self.keep).collect()));
        }
        match fit.first() {
            None if rows.moment.attempt < self.retries => Ok(Decision::Retry(Retry { penalty: 20.0, max_mass: 1.0 })),
            None => Ok(Decision::Exhausted),
            Some(best) if rows.moment.last => Ok(Decision::Answer(*best)),
            Some(_) => Ok(Decision::Keep(fit.into_iter().take(self.keep).collect())),
        }
    }
}
