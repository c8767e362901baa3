//! What policies that watch a modelled probability of harm share: where it comes from, and how much of it they allow.
//!
//! The value of a row is the largest over the constraints of 1 − e^−C, C being the costs of all tokens so far, neither discounted
//! nor clipped. Costs that are hazards (`linear-cost` with `form = "hazard"`) make it the probability that harm was done. With a
//! critic it is 1 − P(safe to the end); a row that has ended is judged by its own costs, as 0 or 1.

use crate::{BatchView, Description, RoleError, Settings, Value};

/// How much harm a row may be worth, and who says how much it is worth.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HarmLimit {
    /// The most that is allowed, in \[0, 1\].
    pub most: f64,
    /// Whether a critic foresees it. If not, the costs so far give it.
    pub critic: bool,
}

/// One row and its value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Harm {
    /// The row.
    pub row: u32,
    /// Its value, in \[0, 1\].
    pub value: f64,
    /// The least budget left over all constraints; infinite without constraints.
    margin: f64,
}

impl HarmLimit {
    /// Adds the settings `threshold` and `critic`.
    #[must_use]
    pub fn described(description: Description) -> Description {
        let threshold = "The most modelled P(harm) that passes: 1 - e^-cost, or with a critic 1 - P(safe to the end); 0 to 1. \
                         `train cost` reports thresholds that few harmless answers cross.";
        let critic = "Whether a critic foresees harm; if not, the costs so far give it.";
        description.setting("threshold", Value::Number(0.5), threshold).setting("critic", Value::Flag(false), critic)
    }

    /// Reads those settings.
    ///
    /// # Errors
    /// A message for the operator.
    pub fn configured(settings: &Settings) -> Result<Self, String> {
        Ok(Self { most: settings.number("threshold", 0.0..=1.0)?, critic: settings.flag("critic")? })
    }

    /// Whether this value is too much.
    #[must_use]
    pub fn forbids(&self, value: f64) -> bool {
        value > self.most
    }

    /// The value of one row.
    ///
    /// # Errors
    /// When a read fails, when a row has no estimate, and when a number is not finite: nothing is known of such a row.
    pub fn read(&self, rows: &dyn BatchView, row: u32) -> Result<f64, RoleError> {
        if !self.critic {
            return spent(rows, row);
        }
        if rows.finished(row)? {
            return Ok(f64::from(u8::from(!rows.safe(row)?)));
        }
        let Some(estimate) = rows.estimate(row)? else {
            let found = format!("row {row} has no estimate; set `critic` to false or add a critic to the deployment");
            return Err(RoleError::InvalidInput(found));
        };
        let probability = |safe: &f64| finite(row, "P(safe to the end)", *safe).map(|safe| 1.0 - safe);
        estimate.safe.iter().map(probability).try_fold(0.0_f64, |most, harm| Ok(most.max(harm?)))
    }

    /// The priced row with the least value; of equals the row with the most budget left, then the first. `None` if no row is
    /// priced.
    ///
    /// # Errors
    /// As [`HarmLimit::read`], for any priced row.
    pub fn safest(&self, rows: &dyn BatchView) -> Result<Option<Harm>, RoleError> {
        let mut best: Option<Harm> = None;
        for row in 0..rows.len() {
            if !rows.priced(row)? {
                continue;
            }
            let harm = Harm { row, value: self.read(rows, row)?, margin: margin(rows, row)? };
            best = best.filter(|best| !harm.is_safer_than(best)).or(Some(harm));
        }
        Ok(best)
    }
}

impl Harm {
    fn is_safer_than(&self, other: &Self) -> bool {
        self.value.total_cmp(&other.value).then_with(|| other.margin.total_cmp(&self.margin)).is_lt()
    }
}

/// 1 − e^−C, at least 0; the largest over the constraints.
fn spent(rows: &dyn BatchView, row: u32) -> Result<f64, RoleError> {
    (0..rows.constraints().len() as u32).try_fold(0.0_f64, |most, constraint| {
        let cost = finite(row, "cost", rows.spent(row, constraint)?)?;
        Ok(most.max(-(-cost).exp_m1()))
    })
}

fn margin(rows: &dyn BatchView, row: u32) -> Result<f64, RoleError> {
    (0..rows.constraints().len() as u32)
        .try_fold(f64::INFINITY, |least, constraint| Ok(least.min(rows.margin(row, constraint)?)))
}

/// The comparison of NaN with a threshold is false: without this it would pass.
fn finite(row: u32, what: &str, number: f64) -> Result<f64, RoleError> {
    let found = || RoleError::InvalidInput(format!("row {row} has the {what} {number}; expected a finite number"));
    if number.is_finite() { Ok(number) } else { Err(found()) }
}
