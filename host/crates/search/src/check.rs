//! The one place that looks at what components return: lengths, row numbers, NaN, ranges.

use crate::{
    Advanced, Batch, BudgetState, CostGrain, Decision, Estimate, Plan, Role, RoleFailure, SearchLimits, Source,
    Steered, Tracked,
};

type Checked<T> = Result<T, RoleFailure>;

/// The rules of the contract for what one component returns: during a search, and when a component is only tried.
#[derive(Debug, Clone, Copy)]
pub struct Check<'a> {
    /// The role it plays.
    pub role: Role,
    /// Its name in the deployment.
    pub component: &'a str,
}

impl Check<'_> {
    fn require(&self, holds: bool, found: impl FnOnce() -> String, expected: &str) -> Checked<()> {
        if holds {
            return Ok(());
        }
        Err(RoleFailure::bad_output(self.role, self.component, found(), expected))
    }

    fn rows(&self, found: usize, expected: usize) -> Checked<()> {
        self.require(
            found == expected,
            || format!("{found} rows"),
            &format!("{expected} rows, one per row asked about"),
        )
    }

    fn finite(&self, what: &str, values: &[f64]) -> Checked<()> {
        let bad = values.iter().find(|v| !v.is_finite());
        self.require(bad.is_none(), || format!("{what} {}", bad.copied().unwrap_or_default()), "finite numbers")
    }

    /// A plan for `live` beams.
    ///
    /// # Errors
    /// [`RoleFailure`] of the kind `BadOutput`: what was found, and what is expected.
    pub fn plan(&self, plan: Plan, live: usize, limits: &SearchLimits, critic: bool) -> Checked<Plan> {
        let unknown = &plan.unknown_options;
        self.require(
            unknown.is_empty(),
            || format!("the options {unknown:?}"),
            "options this host knows: `retry-candidates` and `keep`, integers from 1 to 4294967295",
        )?;
        self.require(plan.chunk_len > 0, || "a chunk of 0 tokens".into(), "at least 1 token")?;
        self.require(critic || !plan.estimate, || "estimate: true".into(), "false: the deployment has no critic")?;
        let total = match plan.source {
            Source::Sample => self.sampled_candidates(&plan, live)?,
            Source::Expand(k) => u64::from(k) * live as u64,
        };
        let total = total.max(u64::from(plan.retry_candidates.unwrap_or_default()));
        let max = limits.candidates;
        self.require(
            (1..=u64::from(max)).contains(&total),
            || format!("{total} candidates"),
            &format!("1 to {max} candidates"),
        )?;
        Ok(plan)
    }

    fn sampled_candidates(&self, plan: &Plan, live: usize) -> Checked<u64> {
        self.rows(plan.candidates.len(), live)?;
        let all = plan.candidates.iter().all(|c| *c > 0);
        self.require(all, || "0 candidates for a row".into(), "at least 1 candidate per row")?;
        Ok(plan.candidates.iter().map(|c| u64::from(*c)).sum())
    }

    /// A decision about the rows of `batch`.
    ///
    /// # Errors
    /// [`RoleFailure`] of the kind `BadOutput`: what was found, and what is expected.
    pub fn decision(&self, decision: Decision, batch: &Batch) -> Checked<Decision> {
        match &decision {
            Decision::Keep(rows) => self.keep(rows, batch)?,
            Decision::Price(rows) => self.price_request(rows, batch)?,
            Decision::Answer(row) => {
                self.known(std::slice::from_ref(row), batch)?;
                self.priced(std::slice::from_ref(row), batch)?;
                self.ended(*row, batch)?;
            }
            Decision::Retry(retry) => {
                let (penalty, mass) = (retry.penalty, retry.max_mass);
                let fine = penalty.is_finite() && penalty >= 0.0 && mass > 0.0 && mass <= 1.0;
                let found = || format!("a retry with penalty {penalty} and max-mass {mass}");
                self.require(fine, found, "a finite penalty of 0 or more, and a mass above 0, at most 1")?;
            }
            Decision::Exhausted => {}
        }
        Ok(decision)
    }

    fn keep(&self, rows: &[u32], batch: &Batch) -> Checked<()> {
        self.require(!rows.is_empty(), || "no rows to keep".into(), "at least one, or `exhausted`")?;
        self.require(!batch.moment.last, || "keep, at the end".into(), "answer, retry or exhausted")?;
        self.known(rows, batch)?;
        self.priced(rows, batch)
    }

    fn price_request(&self, rows: &[u32], batch: &Batch) -> Checked<()> {
        self.known(rows, batch)?;
        let fresh = rows.iter().any(|r| !batch.rows[*r as usize].priced);
        self.require(fresh, || "only rows that are priced already".into(), "at least one row that is not priced yet")
    }

    fn known(&self, rows: &[u32], batch: &Batch) -> Checked<()> {
        let len = batch.rows.len();
        let unknown = rows.iter().find(|r| **r as usize >= len);
        self.require(unknown.is_none(), || format!("row {}", unknown.unwrap_or(&0)), &format!("rows below {len}"))?;
        let mut sorted = rows.to_vec();
        sorted.sort_unstable();
        let twice = sorted.windows(2).find(|w| w[0] == w[1]).map(|w| w[0]);
        self.require(twice.is_none(), || format!("row {} twice", twice.unwrap_or(0)), "every row once")
    }

    fn priced(&self, rows: &[u32], batch: &Batch) -> Checked<()> {
        let bare = rows.iter().find(|r| !batch.rows[**r as usize].priced);
        let found = || format!("row {}, which is not priced", bare.unwrap_or(&0));
        self.require(bare.is_none(), found, "priced rows only: ask for `price` first")
    }

    fn ended(&self, row: u32, batch: &Batch) -> Checked<()> {
        let ended = batch.rows[row as usize].finished;
        self.require(ended, || format!("row {row} as the answer, which has not ended"), "a finished row, or `keep`")
    }

    /// A tracker's start.
    ///
    /// # Errors
    /// [`RoleFailure`] of the kind `BadOutput`: what was found, and what is expected.
    pub fn start(&self, state: BudgetState) -> Checked<BudgetState> {
        self.state(&state)?;
        Ok(state)
    }

    fn state(&self, state: &BudgetState) -> Checked<()> {
        let len = state.memory.len();
        self.require(
            len <= BudgetState::MEMORY,
            || format!("a budget state of {len} numbers beside z"),
            &format!("at most {}", BudgetState::MEMORY),
        )?;
        self.finite("z", &[state.z])?;
        self.finite("budget state", &state.memory)
    }

    /// A tracker's advance.
    ///
    /// # Errors
    /// [`RoleFailure`] of the kind `BadOutput`: what was found, and what is expected.
    pub fn advanced(&self, out: Vec<Advanced>, rows: &[Tracked]) -> Checked<Vec<Advanced>> {
        self.rows(out.len(), rows.len())?;
        for (row, asked) in out.iter().zip(rows) {
            self.state(&row.state)?;
            self.finite("trace", &row.trace)?;
            let (found, due) = (row.trace.len(), asked.costs.len());
            self.require(found == due, || format!("a trace of {found}"), &format!("a trace of {due}"))?;
        }
        Ok(out)
    }

    /// A critic's estimates.
    ///
    /// # Errors
    /// [`RoleFailure`] of the kind `BadOutput`: what was found, and what is expected.
    pub fn estimates(&self, out: Vec<Estimate>, rows: usize, constraints: usize) -> Checked<Vec<Estimate>> {
        self.rows(out.len(), rows)?;
        for row in &out {
            let found = row.safe.len();
            let expected = format!("{constraints} probabilities, one per constraint");
            self.require(found == constraints, || format!("{found} probabilities"), &expected)?;
            let bad = row.safe.iter().find(|p| !(0.0..=1.0).contains(*p));
            let found = || format!("the probability {}", bad.copied().unwrap_or_default());
            self.require(bad.is_none(), found, "probabilities in [0, 1]")?;
            self.finite("cost-to-go", &[row.cost_to_go])?;
        }
        Ok(out)
    }

    /// A cost's prices for rows with these numbers of new tokens.
    ///
    /// # Errors
    /// [`RoleFailure`] of the kind `BadOutput`: what was found, and what is expected.
    pub fn prices(&self, out: Vec<Vec<f64>>, lens: &[usize], grain: CostGrain) -> Checked<Vec<Vec<f64>>> {
        self.rows(out.len(), lens.len())?;
        for (row, len) in out.iter().zip(lens) {
            let due = if grain == CostGrain::Token { *len } else { 1 };
            let found = row.len();
            self.require(found == due, || format!("{found} prices for a row"), &format!("{due} prices"))?;
            self.finite("the price", row)?;
        }
        Ok(out)
    }

    /// New latents for `rows` rows of `width` numbers.
    ///
    /// # Errors
    /// [`RoleFailure`] of the kind `BadOutput`: what was found, and what is expected.
    pub fn steered(&self, steered: Steered, rows: usize, width: usize) -> Checked<Steered> {
        match &steered {
            Steered::Unchanged => {}
            Steered::All(data) => self.latents(data, rows, width)?,
            Steered::Rows(edits) => {
                for (at, (row, latent)) in edits.iter().enumerate() {
                    let known = (*row as usize) < rows && edits[..at].iter().all(|(other, _)| other != row);
                    let expected = format!("rows below {rows}, each once");
                    self.require(known, || format!("a latent for row {row}"), &expected)?;
                    self.latents(latent, 1, width)?;
                }
            }
        }
        Ok(steered)
    }

    fn latents(&self, data: &[f32], rows: usize, width: usize) -> Checked<()> {
        let found = || format!("{} numbers", data.len());
        self.require(data.len() == rows * width, found, &format!("{rows} rows of {width}"))?;
        let bad = data.iter().find(|value| !value.is_finite());
        self.require(bad.is_none(), || format!("a latent with {}", bad.copied().unwrap_or_default()), "finite numbers")
    }
}
