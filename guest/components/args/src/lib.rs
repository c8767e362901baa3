//! The policy `args`: at every token, the k most likely next ones are tried, and logit and reward together decide.
//! Baseline of the paper (section 5, table 1: k = 20, omega = 2.5).
//!
//! The candidate with the highest logit + omega · guidance goes on. The guidance is the reward of prompt and answer so
//! far (minus the task cost), or the reward less lambda times the safety cost, or minus the safety cost. Logits
//! are taken as they are: a log-probability differs from its logit by the same number for all candidates. The answer
//! ends where the end token wins.
//!
//! The variant that draws from softmax(score / temperature) is left out: a component has no source of chance that
//! depends on the request's seed.

use inferenceguard_guest::ranking::Weighed;
use inferenceguard_guest::{BatchView, Decision, Description, Need, Plan, Policy, RoleError, Settings, Setup, Source};
use inferenceguard_guest::{Value, describe, register_policy};

/// What is added to the logit.
#[derive(Debug, Clone, PartialEq)]
enum Guidance {
    /// The reward.
    Reward,
    /// The reward less this multiple of the safety cost.
    Lagrangian(f64, Weighed),
    /// Minus the safety cost.
    Cost(Weighed),
}

/// What the operator chose.
#[derive(Debug)]
pub struct Args {
    k: u32,
    omega: f64,
    guidance: Guidance,
}

impl Setup for Args {
    fn describe() -> Description {
        let objective = "What is added to the logit: `reward`, `lagrangian` (reward - lambda · safety cost) or \
                         `cost` (- safety cost).";
        let described = describe!("Takes at every token the candidate with the best logit and reward together.")
            .setting("k", Value::Integer(20), "How many of the most likely tokens are tried; 1 to 1024.")
            .setting("omega", Value::Number(2.5), "The weight of reward or cost beside the logit; at least 0.")
            .setting("objective", Value::Text("reward".to_owned()), objective)
            .setting("lambda", Value::Number(5.0), "The weight of safety costs in `lagrangian`; at least 0.");
        Weighed::described(described)
    }

    fn configure(settings: &Settings) -> Result<Self, String> {
        let (lambda, weighed) = (settings.number("lambda", 0.0..)?, Weighed::configured(settings)?);
        let choices = [
            ("reward", Guidance::Reward),
            ("lagrangian", Guidance::Lagrangian(lambda, weighed.clone())),
            ("cost", Guidance::Cost(weighed)),
        ];
        Ok(Self {
            k: settings.integer("k", 1..=1024)?,
            omega: settings.number("omega", 0.0..)?,
            guidance: settings.choice("objective", &choices)?,
        })
    }

    fn needs(&self) -> Vec<Need> {
        match &self.guidance {
            Guidance::Reward => Vec::new(),
            Guidance::Lagrangian(_, weighed) | Guidance::Cost(weighed) => weighed.needs(),
        }
    }
}

impl Policy for Args {
    fn plan(&mut self, _: &dyn BatchView) -> Result<Plan, RoleError> {
        let task_cost = !matches!(self.guidance, Guidance::Cost(_));
        Ok(Plan { chunk_len: 1, source: Source::Expand(self.k), task_cost, ..Plan::default() })
    }

    fn select(&mut self, rows: &dyn BatchView) -> Result<Decision, RoleError> {
        let Some(best) = self.best(rows)? else { return Ok(Decision::Exhausted) };
        Ok(if rows.finished(best)? { Decision::Answer(best) } else { Decision::Keep(vec![best]) })
    }
}

impl Args {
    /// The priced row with the highest score; of equal rows the more likely row, which comes first. A row on which a component
    /// failed has no score and is left out.
    fn best(&self, rows: &dyn BatchView) -> Result<Option<u32>, RoleError> {
        let (mut best, mut unscored): (Option<(u32, f64)>, _) = (None, None);
        for row in 0..rows.len() {
            if !rows.priced(row)? {
                continue;
            }
            match self.score(rows, row) {
                Ok(score) if best.is_none_or(|(_, other)| score > other) => best = Some((row, score)),
                Ok(_) => {}
                Err(error) => unscored = Some(error),
            }
        }
        match (best, unscored) {
            (None, Some(error)) => Err(error),
            (best, _) => Ok(best.map(|(row, _)| row)),
        }
    }

    fn score(&self, rows: &dyn BatchView, row: u32) -> Result<f64, RoleError> {
        let logit = rows.expansion_logit(row)?.ok_or_else(|| missing(row, "logit: it was not expanded"))?;
        let score = f64::from(logit) + self.omega * self.guidance(rows, row)?;
        if score.is_finite() {
            return Ok(score);
        }
        Err(RoleError::InvalidInput(format!("row {row} has the score {score}; expected finite logits and costs")))
    }

    fn guidance(&self, rows: &dyn BatchView, row: u32) -> Result<f64, RoleError> {
        match &self.guidance {
            Guidance::Reward => reward(rows, row),
            Guidance::Lagrangian(lambda, weighed) => Ok(reward(rows, row)? - lambda * weighed.read(rows, row)?),
            Guidance::Cost(weighed) => Ok(-weighed.read(rows, row)?),
        }
    }
}

fn reward(rows: &dyn BatchView, row: u32) -> Result<f64, RoleError> {
    let cost = rows.task_cost(row)?.ok_or_else(|| missing(row, NO_REWARD))?;
    Ok(-cost)
}

fn missing(row: u32, what: &str) -> RoleError {
    RoleError::InvalidInput(format!("row {row} has no {what}"))
}

/// Why a reward may be missing.
const NO_REWARD: &str = "task cost: name a task cost in the deployment; if there is one, its score model scored nothing of \
                         the row";

register_policy!(Args);
