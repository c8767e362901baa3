//! How good a trained network is, on prompts that took no part in training or calibration.

pub mod metrics;

use super::{
    error::Result,
    fit::{Fitted, Job, Prediction, Purpose, sigmoid},
    objective::{CriticObjective, Example, Objective, Positions},
};
use metrics::{Bin, Pair, auc, base_rate, brier, calibration_error, r_squared, reliability};
use serde::Serialize;
use std::{collections::BTreeSet, fmt};

/// Bins of the reliability plot and of the calibration error.
const BINS: usize = 15;
/// The axes of that plot.
const AXES: [&str; 2] = ["predicted P(safe to the end)", "share that stayed safe"];

/// How well P(safe to the end) is predicted, on a set of positions.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Probabilities {
    /// Positions.
    pub count: usize,
    /// The share that stayed safe.
    pub base_rate: f64,
    /// The mean squared error.
    pub brier: f64,
    /// 1 minus the Brier score divided by that of always predicting the base rate: 1 is perfect, 0 is useless.
    pub skill: f64,
    /// The expected calibration error, over 15 bins.
    pub calibration_error: f64,
    /// The area under the ROC curve; `null` where one class is missing.
    pub auc: Option<f64>,
}

/// The head of one constraint.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HeadReport {
    /// The constraint.
    pub constraint: String,
    /// Over budgets drawn from the range it was trained over.
    pub overall: Probabilities,
    /// At single budgets: the lowest, the deployment's, the highest.
    pub by_budget: Vec<(f64, Probabilities)>,
    /// By answer tokens before the position, over drawn budgets.
    pub by_position: Vec<(usize, Probabilities)>,
    /// The reliability plot's bins.
    pub bins: Vec<Bin>,
    /// Factor and shift that calibrated the logit on the validation prompts.
    pub line: (f64, f64),
}

/// The measurements of one network.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NetworkReport {
    /// What it reads: `final-norm`, `layer:N`, or `none` (budgets and length only).
    pub reading: String,
    /// The best epoch, from 1, and how many there were.
    pub epochs: (usize, usize),
    /// Training and validation loss by epoch.
    pub history: Vec<(f64, f64)>,
    /// Per constraint; empty for a value.
    pub heads: Vec<HeadReport>,
    /// The explained variance of the task cost, or of the value; `null` where that does not vary.
    pub r_squared: Option<f64>,
    /// The explained variance by answer tokens before the position.
    pub r_squared_by_position: Vec<(usize, Option<f64>)>,
}

/// The measurements of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// `critic`, `value` or `value-lagrangian`.
    pub objective: &'static str,
    /// The language model's fingerprint.
    pub model: String,
    /// Prompts for learning, for early stopping, and for measuring.
    pub prompts: (usize, usize, usize),
    /// Answers, likewise.
    pub answers: (usize, usize, usize),
    /// Prompts that left no room for an answer.
    pub skipped: usize,
    /// The share of all answers that keep the deployment's budget, per constraint; empty for a value.
    pub within_budget: Vec<f64>,
    /// One per reading.
    pub networks: Vec<NetworkReport>,
}

/// Measures a network on the test prompts.
pub(super) fn measure(job: &Job<'_>, fitted: &Fitted) -> Result<NetworkReport> {
    let examples = job.examples(&job.split.test, Purpose::Test, Positions::Asked);
    let found = fitted.predict(&examples, &job.inputs())?;
    let values = |chosen: &dyn Fn(&Example) -> bool| {
        let pairs = examples.iter().zip(&found).filter(|(example, _)| chosen(example));
        r_squared(&pairs.map(|(example, found)| (found.value, example.value)).collect::<Vec<_>>())
    };
    let heads = match job.objective {
        Objective::Critic(critic) => {
            let look = Look { job, critic, fitted, examples: &examples, found: &found };
            (0..critic.constraints.len()).map(|at| look.head(at)).collect::<Result<_>>()?
        }
        Objective::Value { .. } => Vec::new(),
    };
    let by_position = stretches(&examples, job).map(|from| (from, values(&|one| stretch(one, job) == from)));
    Ok(NetworkReport {
        reading: job.reading.to_string(),
        epochs: (fitted.best_epoch + 1, fitted.history.len()),
        history: fitted.history.clone(),
        heads,
        r_squared: values(&|_| true),
        r_squared_by_position: by_position.collect(),
    })
}

/// The reliability plot of a head, as SVG.
pub(super) fn plot(head: &HeadReport, reading: &str) -> Result<String> {
    let title = format!("{}: reliability, reading {reading}", head.constraint);
    Ok(inferenceguard_eval::plots::reliability(&title, AXES, &head.bins)?)
}

/// A critic and its predictions for the test prompts.
struct Look<'a> {
    job: &'a Job<'a>,
    critic: &'a CriticObjective,
    fitted: &'a Fitted,
    examples: &'a [Example],
    found: &'a [Prediction],
}

impl Look<'_> {
    fn head(&self, at: usize) -> Result<HeadReport> {
        let constraint = &self.critic.constraints[at].constraint;
        let all = pairs(self.examples, self.found, at, |_| true);
        let here = |from| pairs(self.examples, self.found, at, |one| stretch(one, self.job) == from);
        let by_position = stretches(self.examples, self.job).map(|from| (from, probabilities(&here(from))));
        Ok(HeadReport {
            constraint: constraint.name.clone(),
            overall: probabilities(&all),
            by_budget: self.by_budget(at, constraint.budget)?,
            by_position: by_position.collect(),
            bins: reliability(&all, BINS),
            line: self.fitted.lines[at],
        })
    }

    /// Measures at the ends of the constraint's range and at the deployment's own budget; other constraints keep their budgets.
    fn by_budget(&self, at: usize, own: f64) -> Result<Vec<(f64, Probabilities)>> {
        let (low, high) = self.critic.budgets[at];
        let mut budgets = vec![low, own, high];
        budgets.retain(|budget| (low..=high).contains(budget));
        budgets.dedup();
        let single = |budget: f64| {
            let mut all = self.critic.own_budgets();
            all[at] = budget;
            let examples = |answer: &usize| self.job.objective.examples(self.job.data, *answer, &all, Positions::Asked);
            let examples: Vec<Example> = self.job.split.test.iter().flat_map(examples).collect();
            let found = self.fitted.predict(&examples, &self.job.inputs())?;
            Ok((budget, probabilities(&pairs(&examples, &found, at, |_| true))))
        };
        budgets.into_iter().map(single).collect()
    }
}

/// The stretch of an answer that an example lies in, by its first position: chunks of a critic, quarters of the longest
/// answer for a value.
fn stretch(example: &Example, job: &Job<'_>) -> usize {
    let length = match job.objective {
        Objective::Critic(critic) => critic.chunk,
        Objective::Value { .. } => job.longest.div_ceil(4),
    };
    example.position / length * length
}

fn stretches(examples: &[Example], job: &Job<'_>) -> impl Iterator<Item = usize> {
    examples.iter().map(|one| stretch(one, job)).collect::<BTreeSet<_>>().into_iter()
}

/// Probability and truth of one constraint, of the chosen examples.
fn pairs(examples: &[Example], found: &[Prediction], at: usize, chosen: impl Fn(&Example) -> bool) -> Vec<Pair> {
    let both = examples.iter().zip(found).filter(|(example, _)| chosen(example));
    both.map(|(example, found)| (sigmoid(found.logits[at]), example.safe[at] > 0.5)).collect()
}

fn probabilities(pairs: &[Pair]) -> Probabilities {
    let (rate, score) = (base_rate(pairs), brier(pairs));
    let due = rate * (1.0 - rate);
    Probabilities {
        count: pairs.len(),
        base_rate: rate,
        brier: score,
        skill: if due > 0.0 { 1.0 - score / due } else { 0.0 },
        calibration_error: calibration_error(&reliability(pairs, BINS)),
        auc: auc(pairs),
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ((train, validation, test), (.., answers)) = (self.prompts, self.answers);
        writeln!(
            f,
            "{}: learnt from {train} prompts, stopped by {validation}, measured on {test} ({answers} answers)",
            self.objective
        )?;
        if self.skipped > 0 {
            writeln!(f, "{} prompts left no room for an answer", self.skipped)?;
        }
        for (at, constraint) in self.constraints().into_iter().enumerate() {
            let share = 100.0 * self.within_budget.get(at).copied().unwrap_or(f64::NAN);
            writeln!(f, "\n{constraint}: {share:.1} % of the answers stay within the budget; P(safe to the end):")?;
            writeln!(
                f,
                "{:<22} {:>9} {:>7} {:>7} {:>7} {:>7} {:>7}",
                "reads", "positions", "safe", "Brier", "skill", "ECE", "AUC"
            )?;
            for network in &self.networks {
                network.write_head(f, at)?;
            }
        }
        let what = if self.constraints().is_empty() { "value" } else { "task cost of the finished answer" };
        writeln!(f, "\n{what}: explained variance, and by answer tokens so far")?;
        for network in &self.networks {
            let by_position = network.r_squared_by_position.iter().map(|(from, r)| format!("{from}: {}", number(*r)));
            let by_position = by_position.collect::<Vec<_>>().join("  ");
            writeln!(f, "{:<22} {:>7}   {by_position}", network.name(), number(network.r_squared))?;
        }
        write!(
            f,
            "\nskill: 1 is perfect, 0 is always saying the base rate; ECE: calibration error; safe: share of positions"
        )
    }
}

impl Report {
    fn constraints(&self) -> Vec<&str> {
        let heads = self.networks.first().map(|network| network.heads.iter());
        heads.into_iter().flatten().map(|head| head.constraint.as_str()).collect()
    }
}

impl NetworkReport {
    fn name(&self) -> &str {
        if self.reading == "none" { "none (budgets, length)" } else { &self.reading }
    }

    fn write_head(&self, f: &mut fmt::Formatter<'_>, at: usize) -> fmt::Result {
        let Some(head) = self.heads.get(at) else { return Ok(()) };
        line(f, self.name(), &head.overall)?;
        for (budget, found) in &head.by_budget {
            line(f, &format!("  at budget {budget}"), found)?;
        }
        for (from, found) in &head.by_position {
            line(f, &format!("  after {from} tokens"), found)?;
        }
        Ok(())
    }
}

fn line(f: &mut fmt::Formatter<'_>, name: &str, found: &Probabilities) -> fmt::Result {
    let Probabilities { count, base_rate, brier, skill, calibration_error, auc } = found;
    let safe = format!("{:.1} %", 100.0 * base_rate);
    writeln!(
        f,
        "{name:<22} {count:>9} {safe:>7} {brier:>7.4} {skill:>7.3} {calibration_error:>7.4} {:>7}",
        number(*auc)
    )
}

fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.3}"))
}
