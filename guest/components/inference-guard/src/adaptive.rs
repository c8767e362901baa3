//! The adaptive width: how many candidates a chunk has while no budget is at risk.

use inferenceguard_guest::{BatchView, Description, RoleError, Settings, Value};

/// Fewer candidates than `n`, and when they are enough.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct AdaptiveWidth {
    pub(crate) candidates: u32,
    /// The share of every budget that every beam must have left.
    comfort: f64,
    /// With a critic: what P(safe to the end) must be above.
    sure: f64,
}

impl AdaptiveWidth {
    /// Adds the settings.
    pub(crate) fn described(description: Description) -> Description {
        description
            .setting(
                "adaptive-width",
                Value::Integer(0),
                "Candidates of a chunk while no budget is at risk; 0 means n, or 1 in a bundle without a task cost.",
            )
            .setting("few", Value::Integer(0), "The older name of adaptive-width.")
            .setting(
                "comfort",
                Value::Number(0.5),
                "At risk: a beam with less than this share of a budget left; 0 to 1.",
            )
            .setting("sure", Value::Number(0.9), "At risk, with a critic: P(safe to the end) at most this; 0 to 1.")
    }

    /// The width with a task cost, and the one where no task cost ranks answers; `None` if that width is not adaptive.
    ///
    /// Without a task cost it is one candidate, unless the operator chose a number, or no retry would sample all `n` candidates.
    pub(crate) fn configure(settings: &Settings, n: u32) -> Result<(Option<Self>, Option<Self>), String> {
        let (width, older) = (settings.integer("adaptive-width", 0..=n)?, settings.integer("few", 0..=n)?);
        if width > 0 && older > 0 {
            return Err("adaptive-width: given under its older name `few` as well; give it once".to_owned());
        }
        let (candidates, retried) = (width.max(older), settings.integer("retries", 0..)? > 0);
        if candidates > 0 && !retried {
            let name = if older > 0 { "few" } else { "adaptive-width" };
            return Err(format!("{name}: expected at least one retry, because a retry tries all n; found retries 0"));
        }
        let (comfort, sure) = (settings.number("comfort", 0.0..=1.0)?, settings.number("sure", 0.0..=1.0)?);
        let of = |candidates| Self { candidates, comfort, sure };
        let chosen = (candidates > 0).then(|| of(candidates));
        Ok((chosen, chosen.or_else(|| retried.then(|| of(1)))))
    }

    /// Whether no live beam is at risk.
    pub(crate) fn is_enough(&self, rows: &dyn BatchView) -> Result<bool, RoleError> {
        let budgets: Vec<f64> = rows.constraints().iter().map(|constraint| constraint.budget).collect();
        for row in 0..rows.len() {
            for (constraint, budget) in (0..).zip(&budgets) {
                if rows.margin(row, constraint)? < self.comfort * budget {
                    return Ok(false);
                }
            }
            let doubtful = |safe: &Vec<f64>| safe.iter().any(|p| *p <= self.sure);
            if rows.estimate(row)?.is_some_and(|estimate| doubtful(&estimate.safe)) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
