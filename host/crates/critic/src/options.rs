//! The options of a run.

use super::{
    collect::CollectOptions,
    error::{CriticError, Result},
    fit::Recipe,
    objective::Objective,
    reading::Reading,
    split::Shares,
};
use inferenceguard_candle::DeviceChoice;
use std::path::PathBuf;

/// A run: trajectories, then one network per reading.
#[derive(Debug, Clone, PartialEq)]
pub struct CriticOptions {
    /// Receives `trajectories/`, a report (`critic.json`), and per reading a folder with its network, plots and checkpoint.
    pub out: PathBuf,
    /// How trajectories are sampled. Its latents are those of `readings`.
    pub collect: CollectOptions,
    /// What the networks learn.
    pub objective: Objective,
    /// What each network reads; at least one.
    pub readings: Vec<Reading>,
    /// How prompts are split.
    pub shares: Shares,
    /// How networks are trained.
    pub recipe: Recipe,
    /// Where networks are trained.
    pub device: DeviceChoice,
}

impl CriticOptions {
    pub(super) fn check(&self) -> Result<()> {
        if self.readings.is_empty() {
            return Err(CriticError::option("latents", "nothing", "at least one, such as final-norm"));
        }
        let twice = self.readings.iter().enumerate().find(|(at, one)| self.readings[..*at].contains(one));
        if let Some((_, reading)) = twice {
            return Err(CriticError::option("latents", format!("{reading} twice"), "each latent once"));
        }
        match &self.objective {
            Objective::Value { lambda, .. } if !lambda.is_finite() => {
                Err(CriticError::option("lagrangian", lambda, "a finite number"))
            }
            Objective::Value { .. } => Ok(()),
            Objective::Critic(critic) => {
                if critic.chunk == 0 || !critic.chunk.is_multiple_of(self.collect.spacing.max(1)) {
                    let expected = format!("a multiple of --every ({}), above 0", self.collect.spacing);
                    return Err(CriticError::option("chunk-len", critic.chunk, expected));
                }
                if critic.chunk >= self.collect.max_tokens {
                    let expected = format!(
                        "less than --max-tokens ({}): a critic is asked before the end",
                        self.collect.max_tokens
                    );
                    return Err(CriticError::option("chunk-len", critic.chunk, expected));
                }
                self.check_budgets(&critic.budgets, critic.constraints.len())
            }
        }
    }

    fn check_budgets(&self, budgets: &[(f64, f64)], constraints: usize) -> Result<()> {
        if constraints == 0 || budgets.len() != constraints {
            let found = format!("{} ranges for {constraints} constraints", budgets.len());
            return Err(CriticError::option("budgets", found, "one range per constraint, of at least one"));
        }
        let fits = |(low, high): &(f64, f64)| *low > 0.0 && low <= high && high.is_finite();
        match budgets.iter().find(|range| !fits(range)) {
            Some((low, high)) => {
                let expected = "LOW..HIGH, both above 0, the lower first";
                Err(CriticError::option("budgets", format!("{low}..{high}"), expected))
            }
            None => Ok(()),
        }
    }
}
