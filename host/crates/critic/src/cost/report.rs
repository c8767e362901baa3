//! The measurements of a trained cost, and how they are shown.

use super::{conformal::Threshold, objective::CostObjective};
use crate::report::metrics::Bin;
use serde::Serialize;
use std::{collections::BTreeMap, fmt};

/// How well harmful answers are kept apart from harmless ones.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Quality {
    /// Answers.
    pub count: usize,
    /// The share of harmful ones.
    pub harmful: f64,
    /// The area under the ROC curve; `null` where one class is missing.
    pub auc: Option<f64>,
    /// Its 95 % interval, by a bootstrap over prompts.
    pub interval: Option<(f64, f64)>,
    /// The mean squared error of P(harmful).
    pub brier: f64,
    /// The expected calibration error, over 10 bins.
    pub calibration_error: f64,
}

/// One head that was tried.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Tried {
    /// What it reads.
    pub latent: String,
    /// The least loss on the validation.
    pub loss: f64,
    /// The AUC on the validation, without the model's own answers, as that of the test.
    pub auc: Option<f64>,
    /// The best epoch, from 1, and how many there were.
    pub epochs: (usize, usize),
}

/// What a budget does to answers as a whole.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Budget {
    /// The budget; chosen on harmless answers of the validation.
    pub budget: f64,
    /// The modelled probability of harm that it allows; `null` where costs are not hazards.
    pub probability: Option<f64>,
    /// The share of harmless answers of the test beyond it; `null` without any.
    pub harmless: Option<f64>,
    /// The share of harmful answers of the test beyond it; `null` without any.
    pub harmful: Option<f64>,
    /// The share of the model's own answers to harmless prompts, of the test, beyond it; `null` without any.
    pub own: Option<f64>,
}

/// A budget that aims at a share `alpha` of new harmless answers beyond it: the split-conformal quantile of what those of the
/// validation cost. It is not a bound, because they also chose and calibrated the head; the shares beside it are of other answers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ConformalBudget {
    /// The share that it aims at.
    pub alpha: f64,
    /// The answers it was found on: the model's own to harmless prompts where there are any, else all harmless ones; of the
    /// validation.
    pub count: usize,
    /// The budget.
    pub budget: Budget,
}

/// The measurements of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CostReport {
    /// What was learnt.
    pub objective: CostObjective,
    /// The language model, for people, and its digest.
    pub model: (String, String),
    /// What the written head reads, token by token.
    pub latent: String,
    /// Answers for learning, for choice and calibration, and for measuring.
    pub answers: (usize, usize, usize),
    /// Answers that left no room in the model's context.
    pub skipped: usize,
    /// All heads, best first.
    pub tried: Vec<Tried>,
    /// Factor and shift that calibrated x.
    pub line: (f64, f64),
    /// On all labelled answers of the test, without the model's own.
    pub test: Option<Quality>,
    /// On those that do not begin as refusals do.
    pub without_refusals: Option<Quality>,
    /// How well the model's own answers to harmless prompts are kept apart from the harmful answers of the test.
    pub own: Option<Quality>,
    /// By category, where the data names any.
    pub categories: BTreeMap<String, Quality>,
    /// Pairs of the test, and the share in which the more harmful answer costs more.
    pub pairs: Option<(usize, f64)>,
    /// What budgets do.
    pub budgets: Vec<Budget>,
    /// The budget for the share of harmless answers that was asked for.
    pub conformal: Option<ConformalBudget>,
    /// Thresholds of policies that intervene where harm becomes likely, found on the model's own answers of the validation where
    /// there are any, else on its harmless ones.
    pub thresholds: Vec<Threshold>,
    /// The bins of the reliability plot.
    pub bins: Vec<Bin>,
}

impl fmt::Display for CostReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_training(f)?;
        self.write_quality(f)?;
        self.write_budgets(f)?;
        self.write_thresholds(f)?;
        self.write_legend(f)
    }
}

impl CostReport {
    fn write_training(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (train, validation, test) = self.answers;
        let name = self.objective.name();
        writeln!(
            f,
            "{name} cost: learnt from {train} answers, chosen and calibrated on {validation}, measured on {test}"
        )?;
        if self.skipped > 0 {
            writeln!(f, "{} answers left no room in the model's context", self.skipped)?;
        }
        writeln!(f, "\n{:<32} {:>8} {:>8}   {:>9}", "reads", "loss", "AUC", "epochs")?;
        for Tried { latent, loss, auc, epochs: (best, all) } in &self.tried {
            writeln!(f, "{latent:<32} {loss:>8.4} {:>8}   {best:>3} of {all}", number(*auc))?;
        }
        Ok(())
    }

    fn write_quality(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n{} on other prompts:", self.latent)?;
        writeln!(
            f,
            "{:<32} {:>7} {:>8} {:>7} {:>16} {:>7} {:>7}",
            "answers", "count", "harmful", "AUC", "95 %", "Brier", "ECE"
        )?;
        let named = [("all", &self.test), ("not refusals", &self.without_refusals), ("harmful, and own", &self.own)];
        let named = named.into_iter().filter_map(|(name, one)| Some((name, one.as_ref()?)));
        for (name, one) in named.chain(self.categories.iter().map(|(name, one)| (name.as_str(), one))) {
            line(f, name, one)?;
        }
        if let Some((count, right)) = self.pairs {
            writeln!(f, "pairs: {count}, {:.1} % in order", 100.0 * right)?;
        }
        Ok(())
    }

    fn write_budgets(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\n{:>8} {:>12} {:>18} {:>18} {:>14}",
            "budget", "P(harmful)", "harmless beyond", "harmful beyond", "own beyond"
        )?;
        self.budgets.iter().try_for_each(|one| budget_line(f, one))?;
        if let Some(ConformalBudget { alpha, count, budget }) = &self.conformal {
            writeln!(f, "for alpha = {alpha}, found on {count} answers:")?;
            budget_line(f, budget)?;
        }
        Ok(())
    }

    fn write_thresholds(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\n{:>8} {:>12} {:>5} {:>14} {:>18} {:>14}",
            "alpha", "threshold", "n", "harmless above", "harmful above", "own above"
        )?;
        for Threshold { alpha, threshold, count, needed, harmless, harmful, own } in &self.thresholds {
            let threshold =
                threshold.map_or_else(|| format!("needs n {needed}"), |threshold| format!("{threshold:.6}"));
            let (harmless, harmful, own) = (percent(*harmless), percent(*harmful), percent(*own));
            writeln!(f, "{alpha:>8} {threshold:>12} {count:>5} {harmless:>14} {harmful:>18} {own:>14}")?;
        }
        Ok(())
    }

    fn write_legend(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nECE: calibration error; beyond: the share of answers that break the budget")?;
        if self.own.is_some() {
            writeln!(f, "own: the model's own answers to harmless prompts; the other columns are without them")?;
        }
        writeln!(f, "alpha: P(any intervention | harmless) that the threshold aims at; no bound, because these n")?;
        writeln!(f, "answers also chose and calibrated the head: compare `harmless above`, on other answers")?;
        write!(f, "above: the share of answers in which it intervenes; n: harmless answers")
    }
}

fn line(f: &mut fmt::Formatter<'_>, name: &str, one: &Quality) -> fmt::Result {
    let between = one.interval.map_or_else(|| "-".to_owned(), |(low, high)| format!("[{low:.3}, {high:.3}]"));
    let Quality { count, harmful, auc, brier, calibration_error, .. } = one;
    let (harmful, auc) = (format!("{:.1} %", 100.0 * harmful), number(*auc));
    writeln!(f, "{name:<32} {count:>7} {harmful:>8} {auc:>7} {between:>16} {brier:>7.3} {calibration_error:>7.3}")
}

fn budget_line(f: &mut fmt::Formatter<'_>, one: &Budget) -> fmt::Result {
    let Budget { budget, probability, harmless, harmful, own } = one;
    let (probability, harmless, harmful, own) =
        (number(*probability), percent(*harmless), percent(*harmful), percent(*own));
    writeln!(f, "{budget:>8.3} {probability:>12} {harmless:>18} {harmful:>18} {own:>14}")
}

fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "-".to_owned(), |share| format!("{:.1} %", 100.0 * share))
}

fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.3}"))
}
