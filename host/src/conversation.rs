//! Budgets of whole conversations: what earlier answers spent is not there any more for this one.

use crate::{Engine, EngineError, Request, deployment::Deployment};
use inferenceguard_model::Message;
use std::{collections::BTreeMap, sync::Arc};

/// A budget under which nothing is safe: less than the audit keeps to spare.
const NOTHING: f64 = f64::MIN_POSITIVE;

impl Engine {
    /// The same request, its budgets lessened by what the assistant's earlier turns cost, as this deployment prices them.
    pub(crate) fn less_spent(
        &self,
        deployment: &Arc<Deployment>,
        mut request: Request,
    ) -> Result<Request, EngineError> {
        let spent = self.spent(deployment, &request.history)?;
        for priced in &deployment.config.constraints {
            let (name, budget) = (&priced.constraint.name, priced.constraint.budget);
            let smaller = [request.budgets.get(name), request.ceilings.get(name)].into_iter().flatten();
            let allowed = smaller.fold(budget, |least, one| least.min(*one));
            let left = allowed - spent.get(name).copied().unwrap_or(0.0);
            request.ceilings.insert(name.clone(), left.max(NOTHING));
        }
        Ok(request)
    }

    fn spent(&self, deployment: &Arc<Deployment>, history: &[Message]) -> Result<BTreeMap<String, f64>, EngineError> {
        let mut spent = BTreeMap::new();
        for (at, turn) in history.iter().enumerate().filter(|(_, turn)| turn.role == "assistant") {
            let Some((asked, earlier)) = history[..at].split_last() else { continue };
            let tokens = self.tokenizer().encode(&turn.content).map_err(inferenceguard_model::ModelError::from)?;
            let past = Request { history: earlier.to_vec(), ..Request::new(&asked.content) };
            let judged = self.judged(deployment, &past, &tokens)?;
            for report in &judged.constraints {
                // What could not be priced has spent everything.
                let cost = if judged.failures.is_empty() { report.max_cost } else { f64::INFINITY };
                *spent.entry(report.name.clone()).or_insert(0.0) += cost;
            }
        }
        Ok(spent)
    }
}
