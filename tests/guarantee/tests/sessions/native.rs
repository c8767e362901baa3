//! First-party components as roles of the search, compiled for this machine instead of for the sandbox.

use inferenceguard_guarantee_tests::guest_constraint;
use inferenceguard_guest::{self as guest, BatchDouble, BatchView, Need, RoleError, RowDouble};
use inferenceguard_model::LatentSelector;
use inferenceguard_search::*;

/// A component in a role.
pub(crate) struct Native<R> {
    component: R,
    needs: Needs,
}

impl<R: guest::Setup> Native<R> {
    pub(crate) fn new(component: R) -> Self {
        let needs = component.needs().into_iter().fold(Needs::default(), with_need);
        Self { component, needs }
    }
}

fn with_need(mut needs: Needs, need: Need) -> Needs {
    match need {
        Need::Prompt => needs.prompt = true,
        Need::Text => needs.text = true,
        Need::Lookback(chars) => needs.lookback = chars,
        Need::Logprobs => needs.logprobs = true,
        Need::TopK(k) => needs.top_k = k,
        Need::Logits => needs.logits = true,
        Need::Latents(place) => needs.latents = Some(selector(place)),
        Need::TokenLatents(place) => needs.token_latents.push(selector(place)),
        Need::Scores(model) => needs.scores.push(model),
        Need::Network(name) => needs.networks.push(name),
    }
    needs
}

fn selector(place: guest::LatentSelector) -> LatentSelector {
    match place {
        guest::LatentSelector::FinalNorm => LatentSelector::FinalNorm,
        guest::LatentSelector::Layer(layer) => LatentSelector::Layer(layer),
    }
}

pub(crate) fn failure(role: Role, error: RoleError) -> RoleFailure {
    RoleFailure { role, component: "native".into(), kind: FailureKind::Refused(error.to_string()) }
}

impl<R: guest::Policy + Send> Policy for Native<R> {
    fn needs(&self) -> &Needs {
        &self.needs
    }

    fn plan(&mut self, rows: &Batch) -> Result<Plan, RoleFailure> {
        let plan = self.component.plan(&double(rows)).map_err(|error| failure(Role::Policy, error))?;
        let guest::Plan { candidates, chunk_len, source, pricing, task_cost, estimate, retry_candidates, keep } = plan;
        let source = match source {
            guest::Source::Sample => Source::Sample,
            guest::Source::Expand(k) => Source::Expand(k),
        };
        let pricing = if pricing == guest::Pricing::All { Pricing::All } else { Pricing::OnDemand };
        Ok(Plan {
            candidates,
            chunk_len,
            source,
            pricing,
            task_cost,
            estimate,
            retry_candidates,
            keep,
            unknown_options: Vec::new(),
        })
    }

    fn select(&mut self, rows: &Batch) -> Result<Decision, RoleFailure> {
        let decision = self.component.select(&double(rows)).map_err(|error| failure(Role::Policy, error))?;
        Ok(match decision {
            guest::Decision::Keep(rows) => Decision::Keep(rows),
            guest::Decision::Price(rows) => Decision::Price(rows),
            guest::Decision::Retry(guest::Retry { penalty, max_mass }) => Decision::Retry(Retry { penalty, max_mass }),
            guest::Decision::Answer(row) => Decision::Answer(row),
            guest::Decision::Exhausted => Decision::Exhausted,
        })
    }
}

impl<R: guest::Tracker + Send> Tracker for Native<R> {
    fn start(&mut self, constraint: &Constraint) -> Result<BudgetState, RoleFailure> {
        let state = self.component.start(&guest_constraint(constraint));
        state.map(|state| host_state(&state)).map_err(|error| failure(Role::Tracker, error))
    }

    fn advance(&mut self, constraint: &Constraint, rows: &[Tracked]) -> Result<Vec<Advanced>, RoleFailure> {
        let constraint = guest_constraint(constraint);
        let advance = |row: &Tracked| {
            let row = guest::Tracked { state: guest_state(&row.state), costs: row.costs.clone(), ended: row.ended };
            let advanced = self.component.advance(&constraint, row)?;
            Ok(Advanced { state: host_state(&advanced.state), safe: advanced.safe, trace: advanced.trace })
        };
        rows.iter().map(advance).collect::<Result<_, _>>().map_err(|error| failure(Role::Tracker, error))
    }
}

impl<R: guest::Cost + Send> Cost for Native<R> {
    fn needs(&self) -> &Needs {
        &self.needs
    }

    fn kind(&self) -> CostKind {
        if self.component.kind() == guest::CostKind::Safety { CostKind::Safety } else { CostKind::Task }
    }

    fn grain(&self) -> CostGrain {
        if self.component.grain() == guest::CostGrain::Token { CostGrain::Token } else { CostGrain::Chunk }
    }

    fn price(&mut self, rows: &Batch) -> Result<Vec<Vec<f64>>, RoleFailure> {
        let double = double(rows);
        let prices = (0..double.len()).map(|row| self.component.price(&double, row));
        prices.collect::<Result<_, _>>().map_err(|error| failure(Role::Cost, error))
    }
}

fn guest_state(state: &BudgetState) -> guest::BudgetState {
    guest::BudgetState { z: state.z, memory: state.memory.clone() }
}

fn host_state(state: &guest::BudgetState) -> BudgetState {
    BudgetState { z: state.z, memory: state.memory.clone() }
}

/// The rows as a component sees them: what it did not declare does not exist.
fn double(batch: &Batch) -> BatchDouble {
    BatchDouble {
        chunk: batch.moment.chunk,
        attempt: batch.moment.attempt,
        max_depth: batch.moment.max_depth,
        last: batch.moment.last,
        unranked: batch.moment.unranked,
        constraints: batch.constraints.iter().map(guest_constraint).collect(),
        prompt: batch.needs.prompt.then(|| batch.prompt.to_string()),
        rows: batch.rows.iter().map(|row| row_double(&batch.needs, row)).collect(),
    }
}

fn row_double(needs: &Needs, row: &BatchRow) -> RowDouble {
    let estimate = |one: &Estimate| guest::Estimate { safe: one.safe.clone(), cost_to_go: one.cost_to_go };
    let scores = needs.scores.iter().filter_map(|name| Some((name, row.scores.get(name)?)));
    RowDouble {
        id: row.id,
        parent: row.parent,
        finished: row.finished,
        length: row.length,
        tokens: row.tokens.clone(),
        text: needs.text.then(|| row.text.clone()),
        text_ends: needs.text.then(|| row.text_ends.clone()),
        lookback: (needs.lookback > 0).then(|| row.lookback.clone()),
        logprobs: needs.logprobs.then(|| row.logprobs.clone()),
        top_k: row.top_k.clone(),
        logits: row.logits.as_deref().map(<[f32]>::to_vec),
        latent: row.latent.as_deref().map(<[f32]>::to_vec),
        scores: scores.map(|(name, scores)| (name.clone(), scores.tokens.clone(), scores.end)).collect(),
        priced: row.priced,
        safe: row.safe,
        budgets: row.budgets.iter().map(guest_state).collect(),
        margins: row.margins.clone(),
        spent: row.spent.clone(),
        task_cost: row.task_cost,
        logprob: row.logprob,
        expansion_logit: row.expansion_logit,
        estimate: row.estimate.as_ref().map(estimate),
    }
}
