//! The policy `dynamic-abstention`: one plain sample, watched while it grows. Where its value crosses the threshold, the request
//! ends with the operator's refusal.
//!
//! The host does what `on_exhausted` says: with `refuse`, its default, the answer is the refusal text. Text that was released
//! before stays. Budgets play no part: an answer may end beyond them, and its status says so.

use inferenceguard_guest::{BatchView, Decision, Description, Plan, Policy, RoleError, Settings, Setup};
use inferenceguard_guest::{Value, describe, harm::HarmLimit, register_policy};

/// What the operator chose.
#[derive(Debug)]
pub struct DynamicAbstention {
    chunk_len: u32,
    limit: HarmLimit,
}

impl Setup for DynamicAbstention {
    fn describe() -> Description {
        let described = describe!("One plain sample; refuses where harm becomes likely.");
        let chunk = "Tokens between two looks at the value; at least 1.";
        HarmLimit::described(described.setting("chunk-len", Value::Integer(1), chunk))
    }

    fn configure(settings: &Settings) -> Result<Self, String> {
        Ok(Self { chunk_len: settings.integer("chunk-len", 1..)?, limit: HarmLimit::configured(settings)? })
    }
}

impl Policy for DynamicAbstention {
    fn plan(&mut self, rows: &dyn BatchView) -> Result<Plan, RoleError> {
        let candidates = vec![1; rows.len() as usize];
        Ok(Plan { candidates, chunk_len: self.chunk_len, estimate: self.limit.critic, ..Plan::default() })
    }

    fn select(&mut self, rows: &dyn BatchView) -> Result<Decision, RoleError> {
        Ok(match self.limit.safest(rows)? {
            Some(harm) if self.limit.forbids(harm.value) => Decision::Exhausted,
            Some(harm) if rows.finished(harm.row)? => Decision::Answer(harm.row),
            Some(harm) => Decision::Keep(vec![harm.row]),
            None => Decision::Exhausted,
        })
    }
}

register_policy!(DynamicAbstention);
