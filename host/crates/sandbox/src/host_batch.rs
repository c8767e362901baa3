//! The contract's `batch`: reads of finished results, and nothing that was not declared.
//!
//! Every read error is noted in the state, so that the call fails whatever the component makes of the error.

use crate::{
    bindings::inferenceguard::guard::{
        batch::{Host, HostBatch, ReadError},
        types,
    },
    convert,
    state::{BatchHandle, State},
};
use inferenceguard_search::{Batch, BatchRow, RowScores};
use wasmtime::{Result as Trapped, component::Resource};

type Read<T> = Trapped<Result<T, ReadError>>;
type Handle = Resource<BatchHandle>;

impl State {
    fn rows(&self) -> Trapped<&Batch> {
        // A handle lives no longer than its call, so this is never missing for a component that the engine lets read.
        self.batch.as_ref().ok_or_else(|| wasmtime::Error::msg("no batch outside a call"))
    }

    fn read<T>(&mut self, get: impl FnOnce(&Batch) -> Result<T, ReadError>) -> Read<T> {
        let result = get(self.rows()?);
        if let Err(error) = &result {
            self.note_read(convert::read_error_text(error));
        }
        Ok(result)
    }

    fn row<T>(&mut self, row: u32, get: impl FnOnce(&BatchRow) -> T) -> Read<T> {
        self.read(|batch| row_of(batch, row).map(get))
    }

    /// Reads what needs a declaration.
    fn declared<T>(
        &mut self,
        need: &'static str,
        row: u32,
        declared: impl FnOnce(&Batch) -> bool,
        get: impl FnOnce(&Batch, &BatchRow) -> Option<T>,
    ) -> Read<T> {
        self.read(|batch| {
            if !declared(batch) {
                return Err(ReadError::Undeclared(need.to_owned()));
            }
            get(batch, row_of(batch, row)?).ok_or_else(|| ReadError::NotAvailable(format!("`{need}` of row {row}")))
        })
    }

    /// Reads a number kept per constraint.
    fn by_constraint<T>(
        &mut self,
        what: &str,
        row: u32,
        constraint: u32,
        get: impl FnOnce(&BatchRow, usize) -> Option<T>,
    ) -> Read<T> {
        self.read(|batch| {
            let found = row_of(batch, row)?;
            let index = constraint as usize;
            if index >= batch.constraints.len() {
                return Err(ReadError::NoConstraint(constraint));
            }
            get(found, index).ok_or_else(|| ReadError::NotAvailable(format!("`{what}` of row {row}")))
        })
    }

    fn score<T>(&mut self, row: u32, model: &str, get: impl FnOnce(&RowScores) -> T) -> Read<T> {
        self.read(|batch| {
            if !batch.needs.scores.iter().any(|declared| declared == model) {
                return Err(ReadError::Undeclared(format!("scores({model})")));
            }
            let scores = row_of(batch, row)?.scores.get(model);
            scores.map(get).ok_or_else(|| ReadError::NotAvailable(format!("`scores({model})` of row {row}")))
        })
    }
}

fn row_of(batch: &Batch, row: u32) -> Result<&BatchRow, ReadError> {
    batch.rows.get(row as usize).ok_or(ReadError::NoRow(row))
}

/// The last `most` characters.
fn tail(text: &str, most: u32) -> String {
    let most = most as usize;
    match text.char_indices().rev().nth(most.saturating_sub(1)) {
        Some((start, _)) if most > 0 => text[start..].to_owned(),
        _ if most == 0 => String::new(),
        _ => text.to_owned(),
    }
}

fn len(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

impl Host for State {}

impl HostBatch for State {
    fn len(&mut self, _: Handle) -> Trapped<u32> {
        Ok(len(self.rows()?.rows.len()))
    }

    fn chunk(&mut self, _: Handle) -> Trapped<u32> {
        Ok(self.rows()?.moment.chunk)
    }

    fn attempt(&mut self, _: Handle) -> Trapped<u32> {
        Ok(self.rows()?.moment.attempt)
    }

    fn depth(&mut self, _: Handle) -> Trapped<u32> {
        Ok(self.rows()?.moment.depth)
    }

    fn max_depth(&mut self, _: Handle) -> Trapped<u32> {
        Ok(self.rows()?.moment.max_depth)
    }

    fn last(&mut self, _: Handle) -> Trapped<bool> {
        Ok(self.rows()?.moment.last)
    }

    fn has_task(&mut self, _: Handle) -> Trapped<bool> {
        Ok(!self.rows()?.moment.unranked)
    }

    fn constraints(&mut self, _: Handle) -> Trapped<Vec<types::Constraint>> {
        Ok(self.rows()?.constraints.iter().map(convert::constraint).collect())
    }

    fn prompt(&mut self, _: Handle) -> Read<String> {
        self.read(|batch| match batch.needs.prompt {
            true => Ok(batch.prompt.to_string()),
            false => Err(ReadError::Undeclared("prompt".to_owned())),
        })
    }

    fn id(&mut self, _: Handle, row: u32) -> Read<u64> {
        self.row(row, |row| row.id)
    }

    fn parent(&mut self, _: Handle, row: u32) -> Read<u64> {
        self.row(row, |row| row.parent)
    }

    fn finished(&mut self, _: Handle, row: u32) -> Read<bool> {
        self.row(row, |row| row.finished)
    }

    fn length(&mut self, _: Handle, row: u32) -> Read<u32> {
        self.row(row, |row| row.length)
    }

    fn tokens(&mut self, _: Handle, row: u32) -> Read<Vec<u32>> {
        self.row(row, |row| row.tokens.clone())
    }

    fn text(&mut self, _: Handle, row: u32) -> Read<String> {
        self.declared("text", row, |batch| batch.needs.text, |_, row| Some(row.text.clone()))
    }

    fn text_ends(&mut self, _: Handle, row: u32) -> Read<Vec<u32>> {
        self.declared("text", row, |batch| batch.needs.text, |_, row| Some(row.text_ends.clone()))
    }

    fn lookback(&mut self, _: Handle, row: u32) -> Read<String> {
        let declared = |batch: &Batch| batch.needs.lookback > 0;
        self.declared("lookback", row, declared, |batch, row| Some(tail(&row.lookback, batch.needs.lookback)))
    }

    fn logprobs(&mut self, _: Handle, row: u32) -> Read<Vec<f32>> {
        self.declared("logprobs", row, |batch| batch.needs.logprobs, |_, row| Some(row.logprobs.clone()))
    }

    fn top_k(&mut self, _: Handle, row: u32) -> Read<Vec<(u32, f32)>> {
        self.declared(
            "top-k",
            row,
            |batch| batch.needs.top_k > 0,
            |batch, row| Some(row.top_k.as_ref()?.iter().take(batch.needs.top_k as usize).copied().collect()),
        )
    }

    fn logits(&mut self, _: Handle, row: u32) -> Read<Vec<f32>> {
        self.declared("logits", row, |batch| batch.needs.logits, |_, row| row.logits.as_deref().map(<[f32]>::to_vec))
    }

    fn latent(&mut self, _: Handle, row: u32) -> Read<Vec<f32>> {
        let declared = |batch: &Batch| batch.needs.latents.is_some();
        self.declared("latents", row, declared, |_, row| row.latent.as_deref().map(<[f32]>::to_vec))
    }

    fn scores(&mut self, _: Handle, row: u32, model: String) -> Read<Vec<f32>> {
        self.score(row, &model, |scores| scores.tokens.clone())
    }

    fn end_score(&mut self, _: Handle, row: u32, model: String) -> Read<f32> {
        self.score(row, &model, |scores| scores.end)
    }

    fn priced(&mut self, _: Handle, row: u32) -> Read<bool> {
        self.row(row, |row| row.priced)
    }

    fn safe(&mut self, _: Handle, row: u32) -> Read<bool> {
        self.row(row, |row| row.safe)
    }

    fn budget(&mut self, _: Handle, row: u32, constraint: u32) -> Read<types::BudgetState> {
        self.by_constraint("budget", row, constraint, |row, n| row.budgets.get(n).map(convert::budget_state))
    }

    fn margin(&mut self, _: Handle, row: u32, constraint: u32) -> Read<f64> {
        self.by_constraint("margin", row, constraint, |row, n| row.margins.get(n).copied())
    }

    fn spent(&mut self, _: Handle, row: u32, constraint: u32) -> Read<f64> {
        self.by_constraint("spent", row, constraint, |row, n| row.spent.get(n).copied())
    }

    fn task_cost(&mut self, _: Handle, row: u32) -> Read<Option<f64>> {
        self.row(row, |row| row.task_cost)
    }

    fn logprob(&mut self, _: Handle, row: u32) -> Read<f64> {
        self.row(row, |row| row.logprob)
    }

    fn expansion_logit(&mut self, _: Handle, row: u32) -> Read<Option<f32>> {
        self.row(row, |row| row.expansion_logit)
    }

    fn estimate(&mut self, _: Handle, row: u32) -> Read<Option<types::Estimate>> {
        self.row(row, |row| row.estimate.as_ref().map(convert::estimate))
    }

    fn drop(&mut self, _: Handle) -> Trapped<()> {
        Ok(())
    }
}
