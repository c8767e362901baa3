//! What policies share: which rows are fit to go on, in which order, and how candidates are spread.
//!
//! Lower is better. Ties are broken by the larger margin, then the lower task cost, then the row number, so that the
//! same rows always give the same order. Without a task cost, answers that have ended come before others, and of those that have
//! the same margin the likeliest comes first.

use crate::{BatchView, Description, Need, RoleError, Settings, Value};
use std::{cmp::Ordering, collections::BTreeSet};

/// What lambda weighs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Weighed {
    /// The costs of all tokens so far, neither discounted nor clipped, summed over the constraints.
    Sum,
    /// The score that this score model gives prompt and answer so far: one number on the scale of the reward, as in the
    /// paper.
    End(String),
}

impl Weighed {
    /// Adds the settings `lagrangian-cost` and `lagrangian-model`.
    #[must_use]
    pub fn described(description: Description) -> Description {
        let cost = "The safety cost that is weighed: `sum` (of the costs of all tokens) or `end` (the score of the answer by \
                    the score model `lagrangian-model`, as in the paper).";
        let model = "The score model that `end` reads, as the deployment names it.";
        description.setting("lagrangian-cost", Value::Text("sum".to_owned()), cost).setting(
            "lagrangian-model",
            Value::Text("cost".to_owned()),
            model,
        )
    }

    /// Reads those settings.
    ///
    /// # Errors
    /// A message for the operator.
    pub fn configured(settings: &Settings) -> Result<Self, String> {
        let model = settings.text("lagrangian-model")?.to_owned();
        if model.is_empty() {
            return Err("setting `lagrangian-model` is empty; expected the name of a score model".to_owned());
        }
        settings.choice("lagrangian-cost", &[("sum", Self::Sum), ("end", Self::End(model))])
    }

    /// What must be declared to read it.
    #[must_use]
    pub fn needs(&self) -> Vec<Need> {
        match self {
            Self::Sum => Vec::new(),
            Self::End(model) => vec![Need::Scores(model.clone())],
        }
    }

    /// Reads it of one row.
    ///
    /// # Errors
    /// When a read fails.
    pub fn read(&self, rows: &dyn BatchView, row: u32) -> Result<f64, RoleError> {
        let constraints = rows.constraints().len() as u32;
        match self {
            Self::Sum => (0..constraints).try_fold(0.0, |sum, constraint| Ok(sum + rows.spent(row, constraint)?)),
            Self::End(model) => Ok(rows.end_score(row, model)?.into()),
        }
    }
}

/// What a ranking minimises, and which rows it lets through.
#[derive(Debug, Clone, PartialEq)]
pub enum Objective {
    /// The task cost; safety plays no part.
    Reward,
    /// The task cost plus this multiple of a safety cost.
    Lagrangian(f64, Weighed),
    /// The task cost, of safe rows only.
    Augmented,
}

impl Objective {
    /// Adds the settings `objective` and `lambda`, `augmented` being the default, and those of [`Weighed`].
    #[must_use]
    pub fn described(description: Description) -> Description {
        let objective = "What ranks rows: `reward` (task cost alone), `lagrangian` (task cost + lambda · safety cost) or \
                         `augmented` (task cost of safe rows only).";
        Weighed::described(description.setting("objective", Value::Text("augmented".to_owned()), objective).setting(
            "lambda",
            Value::Number(5.0),
            "The weight of safety costs when the objective is `lagrangian`; at least 0.",
        ))
    }

    /// Reads those settings.
    ///
    /// # Errors
    /// A message for the operator.
    pub fn configured(settings: &Settings) -> Result<Self, String> {
        let lagrangian = Self::Lagrangian(settings.number("lambda", 0.0..)?, Weighed::configured(settings)?);
        let choices = [("reward", Self::Reward), ("lagrangian", lagrangian), ("augmented", Self::Augmented)];
        settings.choice("objective", &choices)
    }

    /// What must be declared to rank by it.
    #[must_use]
    pub fn needs(&self) -> Vec<Need> {
        match self {
            Self::Lagrangian(_, weighed) => weighed.needs(),
            _ => Vec::new(),
        }
    }

    /// The priced rows this objective lets through, best first.
    ///
    /// # Errors
    /// When a read fails.
    pub fn rank(&self, rows: &dyn BatchView) -> Result<Vec<Ranked>, RoleError> {
        let constraints = rows.constraints().len() as u32;
        let mut ranked = Vec::new();
        for row in 0..rows.len() {
            if rows.priced(row)? && (*self != Self::Augmented || rows.safe(row)?) {
                let mut fit = Ranked::read(rows, row, constraints)?;
                if let Self::Lagrangian(lambda, weighed) = self {
                    fit.cost += lambda * weighed.read(rows, row)?;
                }
                ranked.push(fit);
            }
        }
        ranked.sort_by(Ranked::order);
        Ok(ranked)
    }
}

/// One row as a ranking sees it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ranked {
    /// The row.
    pub row: u32,
    /// Whether its answer has ended.
    pub finished: bool,
    /// What is minimised.
    pub cost: f64,
    /// The least budget left over all constraints; infinite without constraints.
    pub margin: f64,
    /// Its task cost; infinite while it has none.
    pub task_cost: f64,
    /// How likely it is, as the sum of the log-probabilities of its tokens, where no task cost ranks answers.
    pub logprob: Option<f64>,
}

impl Ranked {
    /// Reads one row; its cost is the task cost.
    ///
    /// # Errors
    /// When a read fails.
    pub fn read(rows: &dyn BatchView, row: u32, constraints: u32) -> Result<Self, RoleError> {
        let mut margin = f64::INFINITY;
        for constraint in 0..constraints {
            margin = margin.min(rows.margin(row, constraint)?);
        }
        let task_cost = rows.task_cost(row)?.unwrap_or(f64::INFINITY);
        let logprob = if rows.has_task() { None } else { Some(rows.logprob(row)?) };
        Ok(Self { row, finished: rows.finished(row)?, cost: task_cost, margin, task_cost, logprob })
    }

    /// Best first.
    #[must_use]
    pub fn order(&self, other: &Self) -> Ordering {
        let by_cost = self.cost.total_cmp(&other.cost).then_with(|| self.cut().cmp(&other.cut()));
        let by_margin = by_cost.then_with(|| other.margin.total_cmp(&self.margin));
        let by_task = by_margin.then_with(|| self.task_cost.total_cmp(&other.task_cost));
        by_task.then_with(|| self.unlikely().total_cmp(&other.unlikely())).then(self.row.cmp(&other.row))
    }

    /// Whether the answer has not ended, where that decides.
    fn cut(&self) -> bool {
        self.logprob.is_some() && !self.finished
    }

    fn unlikely(&self) -> f64 {
        -self.logprob.unwrap_or(0.0)
    }
}

/// Drops rows that repeat an earlier one: same parent, same new tokens. Identical beams waste places.
///
/// # Errors
/// When a read fails.
pub fn distinct(rows: &dyn BatchView, ranked: Vec<Ranked>) -> Result<Vec<Ranked>, RoleError> {
    let mut seen = BTreeSet::new();
    let mut kept = Vec::with_capacity(ranked.len());
    for one in ranked {
        let tokens = rows.tokens(one.row)?;
        if tokens.is_empty() || seen.insert((rows.parent(one.row)?, one.finished, tokens)) {
            kept.push(one);
        }
    }
    Ok(kept)
}

/// At most `live` unfinished and `finished` finished rows, best first: what a policy keeps.
#[must_use]
pub fn keep(ranked: &[Ranked], live: usize, finished: usize) -> Vec<u32> {
    let mut left = [live, finished];
    let mut take = |one: &&Ranked| {
        let places = &mut left[usize::from(one.finished)];
        let fits = *places > 0;
        *places -= usize::from(fits);
        fits
    };
    ranked.iter().filter(|one| take(one)).map(|one| one.row).collect()
}

/// Spreads `total` candidates over `beams` beams: as even as can be, the better beams first, each at least one.
#[must_use]
pub fn spread(total: u32, beams: u32) -> Vec<u32> {
    let (each, rest) = (total / beams.max(1), total % beams.max(1));
    (0..beams).map(|beam| (each + u32::from(beam < rest)).max(1)).collect()
}

/// The beams to keep of `candidates`: `keep`, or a quarter of the candidates if `keep` is 0; at least one.
#[must_use]
pub fn width(keep: u32, candidates: u32) -> usize {
    if keep == 0 { (candidates / 4).max(1) as usize } else { keep as usize }
}
