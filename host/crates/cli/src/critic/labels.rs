//! Prices answers by the cost components of a bundle, as a request under that bundle would: score models read prompt and
//! answer, and each component prices the answers to a prompt as rows of one batch.

use anyhow::{Context, bail};
use inferenceguard_bundle::{Bundle, Digest};
use inferenceguard_candle::CandleScoreModel;
use inferenceguard_model::{GrowingText, ScoreModel, ScoreRow, Scored, Token, Tokenizer};
use inferenceguard_sandbox::{Activation, Sandbox};
use inferenceguard_search::{Batch, BatchRow, Constraint, CostGrain, Needs, RowScores};
use inferenceguard_train::critic::collect::{Label, Labeller};
use serde_json::json;
use std::{collections::BTreeMap, error::Error, sync::Arc};

/// The score models of a deployment, by name.
pub(super) type Scores = BTreeMap<String, CandleScoreModel>;

/// The costs of a bundle, over its score models.
pub(super) struct BundleLabels {
    /// One per constraint.
    costs: Vec<Activation>,
    task: Activation,
    constraints: Arc<[Constraint]>,
    scores: Scores,
    tokenizer: Arc<dyn Tokenizer>,
    fingerprint: String,
}

impl BundleLabels {
    /// Opens the costs of all constraints and the task.
    pub(super) fn open(
        bundle: &Bundle,
        sandbox: &Sandbox,
        scores: Scores,
        tokenizer: Arc<dyn Tokenizer>,
    ) -> anyhow::Result<Self> {
        let manifest = bundle.manifest();
        let priced = manifest.search_config().constraints;
        let task = manifest.task.as_ref().context("the bundle names no `task` cost, so there is no reward to learn")?;
        let open = |name: &str, grain| open(bundle, sandbox, name, grain);
        let costs = priced.iter().map(|one| open(&one.cost, CostGrain::Token)).collect::<anyhow::Result<Vec<_>>>()?;
        let task = open(task, CostGrain::Chunk)?;
        let all = || costs.iter().chain([&task]);
        if let Some(name) = all().flat_map(|cost| &cost.needs().scores).find(|name| !scores.contains_key(*name)) {
            bail!("a cost of the bundle reads the score model `{name}`; give it with --score {name}=DIR");
        }
        let fingerprint = fingerprint(bundle, all(), &scores);
        let constraints = priced.into_iter().map(|one| one.constraint).collect();
        Ok(Self { costs, task, constraints, scores, tokenizer, fingerprint })
    }

    fn prices(&self, prompt: &str, rows: &[BatchRow], cost: &Activation) -> anyhow::Result<Vec<Vec<f64>>> {
        let batch = Batch {
            constraints: Arc::clone(&self.constraints),
            prompt: Arc::from(prompt),
            needs: cost.needs().clone(),
            rows: rows.to_vec(),
            ..Batch::default()
        };
        let prices = cost.cost()?.price(&batch)?;
        anyhow::ensure!(prices.len() == rows.len(), "`{}` priced {} rows of {}", cost.name(), prices.len(), rows.len());
        Ok(prices)
    }

    fn rows(&mut self, prompt: &str, answers: &[&[Token]]) -> anyhow::Result<Vec<BatchRow>> {
        let needs: Vec<&Needs> = self.costs.iter().chain([&self.task]).map(Activation::needs).collect();
        let text = needs.iter().any(|needs| needs.text || needs.lookback > 0);
        let read: Vec<String> = needs.iter().flat_map(|needs| needs.scores.iter().cloned()).collect();
        let mut rows = answers.iter().map(|tokens| self.row(tokens, text)).collect::<anyhow::Result<Vec<_>>>()?;
        for (name, model) in self.scores.iter_mut().filter(|(name, _)| read.contains(name)) {
            for (row, scored) in rows.iter_mut().zip(score(model, prompt, answers, &self.tokenizer)?) {
                row.scores.insert(name.clone(), RowScores { tokens: scored.tokens, end: scored.end });
            }
        }
        Ok(rows)
    }

    fn row(&self, tokens: &[Token], text: bool) -> anyhow::Result<BatchRow> {
        let (length, tokens) = (u32::try_from(tokens.len())?, tokens.to_vec());
        let mut row = BatchRow { finished: true, length, tokens, ..BatchRow::default() };
        if text {
            let said = GrowingText::default().with(self.tokenizer.as_ref(), &row.tokens)?;
            let (text, text_ends) = said.of_range(0, row.tokens.len());
            (row.text, row.text_ends) = (text.to_owned(), text_ends);
        }
        Ok(row)
    }

    fn labels(&mut self, prompt: &str, answers: &[&[Token]]) -> anyhow::Result<Vec<Label>> {
        let rows = self.rows(prompt, answers)?;
        let task = self.prices(prompt, &rows, &self.task)?;
        let costs =
            self.costs.iter().map(|cost| self.prices(prompt, &rows, cost)).collect::<anyhow::Result<Vec<_>>>()?;
        let label = |(at, task): (usize, Vec<f64>)| {
            let task_cost = *task.first().context("the task cost gave no number")?;
            Ok(Label { costs: costs.iter().map(|prices| prices[at].clone()).collect(), task_cost })
        };
        task.into_iter().enumerate().map(label).collect()
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
fn open(bundle: &Bundle, sandbox: &Sandbox, name: &str, grain: CostGrain) -> anyhow::Result<Activation> {
    let entry = bundle.manifest().costs.get(name).with_context(|| format!("the bundle has no cost `{name}`"))?;
    let bytes = bundle.file(&entry.component).unwrap_or_default();
    let cost = sandbox.load(name, bytes)?.activate(&bundle.settings(entry))?;
    let needs = cost.needs();
    if needs.newest_position() || needs.logprobs || !needs.networks.is_empty() {
        bail!(
            "the cost `{name}` reads what the language model computes on the way; a critic learns from finished answers, \
             so name a cost that reads their text or scores"
        );
    }
    match cost.pricing() {
        Some((_, found)) if found == grain => Ok(cost),
        _ => bail!("the cost `{name}` prices per chunk; a critic needs a price for every token (and one for the task)"),
    }
}

/// One score model's view of the answers to a prompt.
fn score(
    model: &mut CandleScoreModel,
    prompt: &str,
    answers: &[&[Token]],
    tokenizer: &Arc<dyn Tokenizer>,
) -> anyhow::Result<Vec<Scored>> {
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
