//! What answers cost: the labeller prices them, and every price is checked.
//!
//! [`BundleLabels`] prices answers by the cost components of a bundle, as a request under that bundle would.
//!
//! Score models read prompt and answer, and each component prices all answers to a prompt as the rows of one batch.

use super::error::{CriticError, Result as Checked, beginning};
use inferenceguard_bundle::{Bundle, Digest};
use inferenceguard_candle::CandleScoreModel;
use inferenceguard_model::{GrowingText, ScoreModel, ScoreRow, Scored, Token, Tokenizer};
use inferenceguard_model::{ModelError, TokenizerError};
use inferenceguard_sandbox::{Activation, Sandbox, SandboxError};
use inferenceguard_search::{Batch, BatchRow, Constraint, CostGrain, Needs, RoleFailure, RowScores};
use serde_json::json;
use std::{collections::BTreeMap, error::Error, sync::Arc};

/// What one answer costs.
#[derive(Debug, Clone, PartialEq)]
pub struct Label {
    /// Per constraint, the cost of every token, in the cost's unit; neither discounted nor clipped.
    pub costs: Vec<Vec<f64>>,
    /// The task cost of the whole answer: lower is better, a negative reward. 0 without a task cost.
    pub task_cost: f64,
}

/// Prices finished answers: by score models, by a bundle's cost components, by rules.
pub trait Labeller {
    /// Changes whenever the same answer might get another label. Trajectories with another fingerprint are refused.
    fn fingerprint(&self) -> String;

    /// One label for each answer to a prompt, in order. An answer ends with an end token if the model gave one.
    ///
    /// # Errors
    /// Whatever keeps it from pricing; the run stops there and can be continued.
    fn label(&mut self, prompt: &str, answers: &[&[Token]]) -> Result<Vec<Label>, Box<dyn Error + Send + Sync>>;
}

/// Labels of the answers to one prompt, with every number looked at.
pub(crate) fn checked(
    labeller: &mut dyn Labeller,
    (prompt, text): (usize, &str),
    answers: &[&[Token]],
    constraints: usize,
) -> Checked<Vec<Label>> {
    let failed = |source| CriticError::Labels { prompt, text: beginning(text), source };
    let labels = labeller.label(text, answers).map_err(failed)?;
    if labels.len() != answers.len() {
        return Err(failed(format!("{} labels for {} answers", labels.len(), answers.len()).into()));
    }
    for (answer, (label, tokens)) in labels.iter().zip(answers).enumerate() {
        if let Some((what, found, expected)) = wrong(label, tokens.len(), constraints) {
            return Err(CriticError::Record { prompt, text: beginning(text), answer, what, found, expected });
        }
    }
    Ok(labels)
}

/// The first thing that is wrong with a label: what, found, expected.
fn wrong(label: &Label, tokens: usize, constraints: usize) -> Option<(String, String, &'static str)> {
    const NUMBER: &str = "a finite number; check the weights and the number format of the score model";
    if !label.task_cost.is_finite() {
        return Some(("the task cost (the negative reward)".to_owned(), label.task_cost.to_string(), NUMBER));
    }
    if label.costs.len() != constraints {
        let found = label.costs.len().to_string();
        return Some(("the number of costs".to_owned(), found, "one list per constraint"));
    }
    for (constraint, costs) in label.costs.iter().enumerate() {
        if costs.len() != tokens {
            let what = format!("the number of prices for constraint {constraint}");
            return Some((what, format!("{} for {tokens} tokens", costs.len()), "one per token"));
        }
        if let Some(token) = costs.iter().position(|cost| !cost.is_finite()) {
            let what = format!("the cost of token {token} for constraint {constraint}");
            return Some((what, costs[token].to_string(), NUMBER));
        }
    }
    None
}

/// Answers that a bundle's costs cannot price.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LabelError {
    /// The bundle has no task cost, and a value is to be learnt.
    #[error(
        "the bundle names no `task` cost, so there is no reward to learn; a critic needs none: leave out --value and --lagrangian"
    )]
    NoTask,
    /// A score model is missing.
    #[error("a cost of the bundle reads the score model `{name}`; give it with --score {name}=DIR")]
    NoScoreModel {
        /// Its name.
        name: String,
    },
    /// The bundle lacks a cost that one of its constraints names.
    #[error("the bundle has no cost `{name}`")]
    NoCost {
        /// Its name.
        name: String,
    },
    /// A cost needs what only a running language model has.
    #[error(
        "the cost `{cost}` reads what the language model computes on the way; a critic learns from finished answers, so name a cost that reads their text or scores"
    )]
    NeedsModel {
        /// The cost.
        cost: String,
    },
    /// A cost prices chunks.
    #[error("the cost `{cost}` prices per chunk; a critic needs a price for every token (and one for the task)")]
    Grain {
        /// The cost.
        cost: String,
    },
    /// A cost priced too few or too many rows.
    #[error("`{cost}` priced {found} rows of {expected}")]
    Prices {
        /// The cost.
        cost: String,
        /// How many rows it priced.
        found: usize,
        /// How many it was given.
        expected: usize,
    },
    /// The task cost has no price for an answer.
    #[error("the task cost gave no number")]
    NoReward,
    /// A component could not be loaded.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// A component failed.
    #[error(transparent)]
    Cost(#[from] RoleFailure),
    /// A score model failed.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// An answer has tokens without text.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
}

/// The score models of a deployment, by name.
pub type Scores = BTreeMap<String, CandleScoreModel>;

/// The costs of a bundle and the score models that they read.
pub struct BundleLabels {
    /// One per constraint.
    costs: Vec<Activation>,
    /// None where nothing ranks answers.
    task: Option<Activation>,
    constraints: Arc<[Constraint]>,
    scores: Scores,
    tokenizer: Arc<dyn Tokenizer>,
    fingerprint: String,
}

impl BundleLabels {
    /// Opens the costs of all constraints, and the task cost if the bundle names one.
    ///
    /// # Errors
    /// A cost that needs more than a finished answer, a score model that is missing.
    pub fn open(
        bundle: &Bundle,
        sandbox: &Sandbox,
        scores: Scores,
        tokenizer: Arc<dyn Tokenizer>,
    ) -> Result<Self, LabelError> {
        let manifest = bundle.manifest();
        let priced = manifest.search_config().constraints;
        let open = |name: &str, grain| open(bundle, sandbox, name, grain);
        let costs =
            priced.iter().map(|one| open(&one.cost, CostGrain::Token)).collect::<Result<Vec<_>, LabelError>>()?;
        let task = manifest.task.as_ref().map(|task| open(task, CostGrain::Chunk)).transpose()?;
        let all = || costs.iter().chain(&task);
        if let Some(name) = all().flat_map(|cost| &cost.needs().scores).find(|name| !scores.contains_key(*name)) {
            return Err(LabelError::NoScoreModel { name: name.clone() });
        }
        let fingerprint = fingerprint(bundle, all(), &scores);
        let constraints = priced.into_iter().map(|one| one.constraint).collect();
        Ok(Self { costs, task, constraints, scores, tokenizer, fingerprint })
    }

    fn prices(&self, prompt: &str, rows: &[BatchRow], cost: &Activation) -> Result<Vec<Vec<f64>>, LabelError> {
        let batch = Batch {
            constraints: Arc::clone(&self.constraints),
            prompt: Arc::from(prompt),
            needs: cost.needs().clone(),
            rows: rows.into(),
            ..Batch::default()
        };
        let prices = cost.cost()?.price(&batch)?;
        if prices.len() != rows.len() {
            let (cost, found, expected) = (cost.name().to_owned(), prices.len(), rows.len());
            return Err(LabelError::Prices { cost, found, expected });
        }
        Ok(prices)
    }

    fn rows(&mut self, prompt: &str, answers: &[&[Token]]) -> Result<Vec<BatchRow>, LabelError> {
        let needs: Vec<&Needs> = self.costs.iter().chain(&self.task).map(Activation::needs).collect();
        let text = needs.iter().any(|needs| needs.text || needs.lookback > 0);
        let read: Vec<String> = needs.iter().flat_map(|needs| needs.scores.iter().cloned()).collect();
        let mut rows = answers.iter().map(|tokens| self.row(tokens, text)).collect::<Result<Vec<_>, LabelError>>()?;
        for (name, model) in self.scores.iter_mut().filter(|(name, _)| read.contains(name)) {
            for (row, scored) in rows.iter_mut().zip(score(model, prompt, answers, &self.tokenizer)?) {
                row.scores.insert(name.clone(), RowScores { tokens: scored.tokens, end: scored.end });
            }
        }
        Ok(rows)
    }

    fn row(&self, tokens: &[Token], text: bool) -> Result<BatchRow, LabelError> {
        let (length, tokens) = (u32::try_from(tokens.len()).unwrap_or(u32::MAX), tokens.to_vec());
        let mut row = BatchRow { finished: true, length, tokens, ..BatchRow::default() };
        if text {
            let grown = GrowingText::default().with(self.tokenizer.as_ref(), &row.tokens)?;
            let (text, text_ends) = grown.of_range(0, row.tokens.len());
            (row.text, row.text_ends) = (text.to_owned(), text_ends);
        }
        Ok(row)
    }

    fn labels(&mut self, prompt: &str, answers: &[&[Token]]) -> Result<Vec<Label>, LabelError> {
        let rows = self.rows(prompt, answers)?;
        let task = self.task.as_ref().map(|task| self.prices(prompt, &rows, task)).transpose()?;
        let costs =
            self.costs.iter().map(|cost| self.prices(prompt, &rows, cost)).collect::<Result<Vec<_>, LabelError>>()?;
        let label = |at: usize| {
            let task_cost = match &task {
                Some(prices) => *prices[at].first().ok_or(LabelError::NoReward)?,
                None => 0.0,
            };
            Ok(Label { costs: costs.iter().map(|prices| prices[at].clone()).collect(), task_cost })
        };
        (0..answers.len()).map(label).collect()
    }
}

impl Labeller for BundleLabels {
    fn fingerprint(&self) -> String {
        self.fingerprint.clone()
    }

    fn label(&mut self, prompt: &str, answers: &[&[Token]]) -> Result<Vec<Label>, Box<dyn Error + Send + Sync>> {
        Ok(self.labels(prompt, answers)?)
    }
}

/// Opens one cost; refuses those that read more than a finished answer holds.
fn open(bundle: &Bundle, sandbox: &Sandbox, name: &str, grain: CostGrain) -> Result<Activation, LabelError> {
    let entry = bundle.manifest().costs.get(name).ok_or_else(|| LabelError::NoCost { name: name.to_owned() })?;
    let bytes = bundle.file(&entry.component).unwrap_or_default();
    let cost = sandbox.load(name, bytes)?.activate(&bundle.settings(entry))?;
    let needs = cost.needs();
    if needs.newest_position() || needs.logprobs || !needs.networks.is_empty() {
        return Err(LabelError::NeedsModel { cost: name.to_owned() });
    }
    match cost.pricing() {
        Some((_, found)) if found == grain => Ok(cost),
        _ => Err(LabelError::Grain { cost: name.to_owned() }),
    }
}

/// One score model's view of the answers to a prompt.
fn score(
    model: &mut CandleScoreModel,
    prompt: &str,
    answers: &[&[Token]],
    tokenizer: &Arc<dyn Tokenizer>,
) -> Result<Vec<Scored>, LabelError> {
    let root = model.open(prompt, Arc::clone(tokenizer))?;
    let ids = model.fork(&vec![root; answers.len()]);
    let scored = ids.and_then(|ids| {
        let row = |(id, tokens): (_, &&[Token])| ScoreRow { id, tokens: tokens.to_vec(), ended: true };
        let rows: Vec<ScoreRow> = ids.iter().copied().zip(answers).map(row).collect();
        let scored = model.extend(&rows);
        model.release(&ids);
        scored
    });
    model.release(&[root]);
    Ok(scored?)
}

/// A digest of the components, their settings and the score models.
fn fingerprint<'a>(bundle: &Bundle, costs: impl Iterator<Item = &'a Activation>, scores: &Scores) -> String {
    let manifest = bundle.manifest();
    let cost = |cost: &Activation| {
        let entry = manifest.costs.get(cost.name());
        let component = entry.and_then(|entry| bundle.digests().get(&entry.component)).map(ToString::to_string);
        let read: BTreeMap<&String, &String> =
            cost.needs().scores.iter().filter_map(|name| Some((name, &scores.get(name)?.info().fingerprint))).collect();
        json!({ "component": component, "settings": entry.map(|entry| &entry.settings), "scores": read })
    };
    let all: Vec<serde_json::Value> = costs.map(cost).collect();
    Digest::of(json!(all).to_string().as_bytes()).to_string()
}
