//! The policy `base`: the answer is one sample. The other policies are measured against it.

use inferenceguard_guest::{BatchView, Decision, Description, Plan, Policy, RoleError, Settings, Setup, describe};

/// One candidate, whole depth.
#[derive(Debug)]
pub struct Base;

impl Setup for Base {
    fn describe() -> Description {
        describe!("One plain sample, whatever it costs.")
    }

    fn configure(_: &Settings) -> Result<Self, String> {
        Ok(Self)
    }
}

impl Policy for Base {
    fn plan(&mut self, rows: &dyn BatchView) -> Result<Plan, RoleError> {
        let candidates = vec![1; rows.len() as usize];
        Ok(Plan { candidates, chunk_len: rows.max_depth().max(1), ..Plan::default() })
    }

    fn select(&mut self, rows: &dyn BatchView) -> Result<Decision, RoleError> {
        Ok(if rows.is_empty() { Decision::Exhausted } else { Decision::Answer(0) })
    }
}

inferenceguard_guest::register_policy!(Base);

#[cfg(test)]
mod tests {
    use super::*;
    use inferenceguard_guest::{BatchDouble, RowDouble};

    #[test]
    fn answers_with_its_only_row_even_if_it_is_unsafe() {
        let mut base = Base::with_settings(&[]).unwrap();
        let plan = base.plan(&BatchDouble::of([RowDouble::default()])).unwrap();
        assert_eq!((plan.candidates, plan.chunk_len), (vec![1], 128));

        let rows = BatchDouble::of([RowDouble::with_prices(false, -3.0, 1.0).ended()]);
        assert_eq!(base.select(&rows).unwrap(), Decision::Answer(0));
    }
}
