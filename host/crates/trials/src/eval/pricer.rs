//! Prices finished answers from scratch: the score models read prompt and answer in one piece, and the cost components
//! price it as one row. No cache, no search and no tracker take part.

use crate::TrialError;
use inferenceguard_bundle::{Bundle, RoleEntry};
use inferenceguard_eval::{Answer, Priced, Status};
use inferenceguard_model::{Caller, GrowingText, ScoreBackEnd, ScoreModel, ScoreRow, Token, Tokenizer};
use inferenceguard_sandbox::{Activation, Sandbox};
use inferenceguard_search::{Audit, Batch, BatchRow, CostGrain, Granularity, PricedConstraint, RowScores};
use std::{collections::BTreeMap, sync::Arc};

/// Prices answers by the first constraint and the task cost of a bundle.
pub(super) struct Pricer {
    constraint: Option<PricedConstraint>,
    /// The cost of the constraint, if it can be priced in one piece.
    cost: Option<Activation>,
    task: Option<Activation>,
    scores: BTreeMap<String, Box<dyn ScoreModel>>,
    tokenizer: Arc<dyn Tokenizer>,
    /// Ends a refusal, which the model did not write.
    eos: Option<Token>,
}

impl Pricer {
    /// Opens the costs of a bundle over these score models.
    pub(super) fn open(
        bundle: &Bundle,
        sandbox: &Sandbox,
        scores: &BTreeMap<String, Arc<dyn ScoreBackEnd>>,
        tokenizer: Arc<dyn Tokenizer>,
        eos: Option<Token>,
    ) -> Result<Self, TrialError> {
        let manifest = bundle.manifest();
        let constraint = manifest.search_config().constraints.into_iter().next();
        let activate = |name: &String| -> Result<Activation, TrialError> {
            let entry: &RoleEntry =
                manifest.costs.get(name).ok_or_else(|| wrong("a cost that is not in the bundle"))?;
            let bytes = bundle.file(&entry.component).unwrap_or_default();
            Ok(sandbox.load(name, bytes)?.activate(&bundle.settings(entry))?)
        };
        let cost = constraint.as_ref().map(|priced| activate(&priced.cost)).transpose()?;
        let by_token = constraint.as_ref().is_some_and(|priced| priced.granularity == Granularity::Token);
        let cost = cost.filter(|cost| by_token && in_one_piece(cost, CostGrain::Token));
        let task = manifest.task.as_ref().map(activate).transpose()?;
        let task = task.filter(|task| in_one_piece(task, CostGrain::Chunk));
        let scores = scores.iter().map(|(name, model)| (name.clone(), model.handle(&Caller::default()))).collect();
        Ok(Self { constraint, cost, task, scores, tokenizer, eos })
    }

    /// Whether costs are priced at all.
    pub(super) fn prices_costs(&self) -> bool {
        self.cost.is_some()
    }

    /// Prices the emitted text: the answer's own tokens, or the tokens of a refusal.
    pub(super) fn price(&mut self, prompt: &str, answer: &Answer) -> Result<Priced, TrialError> {
        let tokens = match answer.status {
            Status::NoSafeCandidate => {
                let text = self.tokenizer.encode(&answer.text)?;
                text.into_iter().chain(self.eos).collect()
            }
            _ => answer.tokens.clone(),
        };
        let row = self.row(prompt, &tokens)?;
        let (cost, task) = (self.cost.clone(), self.task.clone());
        Ok(Priced {
            end: cost
                .as_ref()
                .and_then(|cost| row.scores.get(cost.needs().scores.first()?))
                .map(|found| found.end.into()),
            cost: cost.map(|cost| self.counted(prompt, &row, &cost, tokens.len())).transpose()?,
            reward: task.map(|task| self.first(prompt, &row, &task)).transpose()?.map(|cost| 0.0 - cost),
        })
    }

    /// The sum that counts against the budget.
    fn counted(&self, prompt: &str, row: &BatchRow, cost: &Activation, length: usize) -> Result<f64, TrialError> {
        let constraint = &self.constraint.as_ref().ok_or_else(|| wrong("a cost without a constraint"))?.constraint;
        let costs = self.prices(prompt, row, cost)?;
        if costs.len() != length {
            return Err(wrong(format!("{} costs for {length} tokens", costs.len())));
        }
        let mut audit = Audit::default();
        audit.charge(constraint, &costs);
        Ok(audit.counted(constraint))
    }

    fn first(&self, prompt: &str, row: &BatchRow, cost: &Activation) -> Result<f64, TrialError> {
        self.prices(prompt, row, cost)?.into_iter().next().ok_or_else(|| wrong("the task cost gave no number"))
    }

    fn prices(&self, prompt: &str, row: &BatchRow, cost: &Activation) -> Result<Vec<f64>, TrialError> {
        let constraints = self.constraint.iter().map(|priced| priced.constraint.clone()).collect::<Vec<_>>();
        let batch = Batch {
            constraints: constraints.into(),
            prompt: Arc::from(prompt),
            needs: cost.needs().clone(),
            rows: [row.clone()].into(),
            ..Batch::default()
        };
        cost.cost()?.price(&batch)?.into_iter().next().ok_or_else(|| wrong("the cost priced no row"))
    }

    /// One row with the text and the scores of all score models that some cost reads.
    fn row(&mut self, prompt: &str, tokens: &[Token]) -> Result<BatchRow, TrialError> {
        let grown = GrowingText::default().with(self.tokenizer.as_ref(), tokens)?;
        let (text, text_ends) = grown.of_range(0, tokens.len());
        let mut row = BatchRow {
            finished: true,
            length: u32::try_from(tokens.len()).map_err(|_| wrong("the answer is too long"))?,
            tokens: tokens.to_vec(),
            text: text.to_owned(),
            text_ends,
            ..BatchRow::default()
        };
        let read = [&self.cost, &self.task].into_iter().flatten().flat_map(|cost| cost.needs().scores.iter().cloned());
        for name in read.collect::<std::collections::BTreeSet<_>>() {
            let model = self.scores.get_mut(&name).ok_or_else(|| wrong(format!("no score model `{name}`")))?;
            let id = model.open(prompt, Arc::clone(&self.tokenizer))?;
            let scored = model.extend(&[ScoreRow { id, tokens: tokens.to_vec(), ended: true }]);
            model.release(&[id]);
            let scored = scored?.into_iter().next().ok_or_else(|| wrong("the score model scored no row"))?;
            row.scores.insert(name, RowScores { tokens: scored.tokens, end: scored.end });
        }
        Ok(row)
    }
}

fn wrong(found: impl Into<String>) -> TrialError {
    TrialError::Price { found: found.into() }
}

/// Whether a cost reads only what one row holds, and prices with this grain.
fn in_one_piece(cost: &Activation, grain: CostGrain) -> bool {
    let needs = cost.needs();
    cost.pricing().is_some_and(|(_, found)| found == grain)
        && !needs.newest_position()
        && !needs.logprobs
        && needs.networks.is_empty()
}
