//! How the budget of a trained cost is chosen.

use crate::error::{CriticError, Result};
use std::str::FromStr;

/// How the budget of a trained cost is chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum BudgetChoice {
    /// This budget.
    Fixed(f64),
    /// The report's for this share of harmless answers: see [`ConformalBudget`](super::ConformalBudget).
    Conformal(f64),
}

impl BudgetChoice {
    /// The share of harmless answers that a budget is to be found for.
    #[must_use]
    pub fn alpha(self) -> Option<f64> {
        if let Self::Conformal(alpha) = self { Some(alpha) } else { None }
    }
}

impl FromStr for BudgetChoice {
    type Err = CriticError;

    /// `D`, or `conformal:ALPHA`.
    fn from_str(text: &str) -> Result<Self> {
        let wrong = || {
            CriticError::option("budget", text, "a number above 0, or conformal:ALPHA with an ALPHA above 0, below 1")
        };
        let number = |text: &str| text.trim().parse::<f64>().ok().filter(|number| *number > 0.0 && number.is_finite());
        match text.strip_prefix("conformal:") {
            Some(alpha) => number(alpha).filter(|alpha| *alpha < 1.0).map(Self::Conformal).ok_or_else(wrong),
            None => number(text).map(Self::Fixed).ok_or_else(wrong),
        }
    }
}
