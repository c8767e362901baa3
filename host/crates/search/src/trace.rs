//! Needs and answers in order, from which every decision can be made again.

use crate::{Answer, Cost, Need, Noted, Policy, SearchError, Tracker};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Needs and answers of one request.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Trace {
    /// In order.
    pub events: Vec<(Need, Answer)>,
    /// What costs noted about their prices. No decision depends on it. Records of earlier versions have none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Noted>,
}

impl Trace {
    /// Asks the components again for every recorded decision, from the recorded inputs.
    ///
    /// # Errors
    /// [`SearchError::Divergence`] at the first answer that differs.
    pub fn decide_again(
        &self,
        policy: &mut dyn Policy,
        tracker: &mut dyn Tracker,
        costs: &mut BTreeMap<String, Box<dyn Cost>>,
    ) -> Result<(), SearchError> {
        for (event, (need, answer)) in self.events.iter().enumerate() {
            let again = match need {
                Need::Plan(batch) => Answer::Plan(policy.plan(batch)),
                Need::Select(batch) => Answer::Decided(policy.select(batch)),
                Need::Start(constraint) => Answer::Budget(tracker.start(constraint)),
                Need::Advance { constraint, rows } => Answer::Advanced(tracker.advance(constraint, rows)),
                Need::Price { cost, batch } | Need::PriceTail { cost, batch } => match costs.get_mut(cost) {
                    Some(cost) => Answer::Priced(cost.price(batch)),
                    None => continue,
                },
                _ => continue,
            };
            same(event, answer, &again)?;
        }
        Ok(())
    }
}

/// An error if what was recorded of an event is not what came again.
pub(crate) fn same<T: PartialEq + std::fmt::Debug>(event: usize, recorded: &T, again: &T) -> Result<(), SearchError> {
    if recorded == again {
        return Ok(());
    }
    Err(SearchError::Divergence { event, recorded: format!("{recorded:.400?}"), again: format!("{again:.400?}") })
}
