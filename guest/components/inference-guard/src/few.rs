//! When few candidates are enough.

use inferenceguard_guest::{BatchView, RoleError, Settings};

/// A number of candidates, and when it is enough.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Few {
    pub(crate) candidates: u32,
    /// The share of every budget that every beam must have left.
    comfort: f64,
    /// With a critic: what P(safe to the end) must be above.
    sure: f64,
}

impl Few {
    /// `None` if `few` is 0.
    pub(crate) fn configure(settings: &Settings, n: u32) -> Result<Option<Self>, String> {
        let candidates = settings.integer("few", 0..=n)?;
        if candidates > 0 && settings.integer("retries", 0..)? == 0 {
            return Err("few: needs at least one retry, or all n would never be tried; found retries 0".to_owned());
        }
        let (comfort, sure) = (settings.number("comfort", 0.0..=1.0)?, settings.number("sure", 0.0..=1.0)?);
        Ok((candidates > 0).then_some(Self { candidates, comfort, sure }))
    }

    /// Whether no live beam is at risk.
    pub(crate) fn enough(&self, rows: &dyn BatchView) -> Result<bool, RoleError> {
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
