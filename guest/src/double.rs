//! A batch in plain Rust, so that a component's logic is tested without wasm.
//!
//! Reading what a test leaves out gives the [`ReadError`] that the host gives.

use crate::{BatchView, BudgetState, Constraint, Estimate, Need, ReadError, Token};

/// Rows made by hand. All fields are public: fill what the test is about.
///
/// ```
/// use inferenceguard_guest::{BatchDouble, BatchView, RowDouble};
///
/// let rows = BatchDouble::of([RowDouble::default().with_text(&["Hel", "lo"])]);
/// assert_eq!(rows.text(0).unwrap(), "Hello");
/// assert_eq!(rows.text_ends(0).unwrap(), [3, 5]);
/// ```
#[derive(Debug, Clone, Default)]
pub struct BatchDouble {
    /// The number of the chunk.
    pub chunk: u32,
    /// The number of the retry.
    pub attempt: u32,
    /// The most answer tokens.
    pub max_depth: u32,
    /// No row can grow further.
    pub last: bool,
    /// No task cost ranks answers.
    pub unranked: bool,
    /// The constraints.
    pub constraints: Vec<Constraint>,
    /// The prompt, if declared.
    pub prompt: Option<String>,
    /// The rows.
    pub rows: Vec<RowDouble>,
}

/// One row made by hand. `None` reads as undeclared.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "each field is the getter of the same name in BatchView")]
pub struct RowDouble {
    pub id: u64,
    pub parent: u64,
    pub finished: bool,
    pub length: u32,
    pub tokens: Vec<Token>,
    pub text: Option<String>,
    pub text_ends: Option<Vec<u32>>,
    pub lookback: Option<String>,
    pub logprobs: Option<Vec<f32>>,
    pub top_k: Option<Vec<(Token, f32)>>,
    pub logits: Option<Vec<f32>>,
    pub latent: Option<Vec<f32>>,
    pub scores: Vec<(String, Vec<f32>, f32)>,
    pub priced: bool,
    pub safe: bool,
    pub budgets: Vec<BudgetState>,
    pub margins: Vec<f64>,
    pub spent: Vec<f64>,
    pub task_cost: Option<f64>,
    pub logprob: f64,
    pub expansion_logit: Option<f32>,
    pub estimate: Option<Estimate>,
}

impl BatchDouble {
    /// These rows, everything else empty.
    #[must_use]
    pub fn of(rows: impl IntoIterator<Item = RowDouble>) -> Self {
        Self { rows: rows.into_iter().collect(), max_depth: 128, ..Self::default() }
    }

    fn row(&self, row: u32) -> Result<&RowDouble, ReadError> {
        self.rows.get(row as usize).ok_or(ReadError::NoRow(row))
    }
}

impl RowDouble {
    /// A priced row: safe or not, with this margin, and this task cost. One constraint.
    #[must_use]
    pub fn with_prices(safe: bool, margin: f64, task_cost: f64) -> Self {
        Self { priced: true, safe, margins: vec![margin], task_cost: Some(task_cost), ..Self::default() }
    }

    /// The same row, ended.
    #[must_use]
    pub fn ended(mut self) -> Self {
        self.finished = true;
        self
    }

    /// The row with these new tokens.
    #[must_use]
    pub fn with_tokens(mut self, tokens: &[Token]) -> Self {
        self.tokens = tokens.to_vec();
        self.length = tokens.len() as u32;
        self
    }

    /// The row with new text, given as the text of each new token; the look-back is empty unless set.
    #[must_use]
    pub fn with_text(mut self, pieces: &[&str]) -> Self {
        let ends = pieces.iter().scan(0, |end, piece| {
            *end += piece.chars().count() as u32;
            Some(*end)
        });
        self.text_ends = Some(ends.collect());
        self.text = Some(pieces.concat());
        self.tokens = (0..pieces.len() as u32).collect();
        self.length += pieces.len() as u32;
        self.lookback.get_or_insert_with(String::new);
        self
    }

    /// A text chunk by chunk, a row for each. Chunks end at these cuts, counted in characters, and at the end; no row sees more of
    /// the text before it than these needs ask for.
    #[must_use]
    pub fn chunks(text: &str, cuts: &[usize], needs: &[Need]) -> Vec<Self> {
        let chars: Vec<char> = text.chars().collect();
        let lookback = |need: &Need| if let Need::Lookback(chars) = need { Some(*chars as usize) } else { None };
        let far = needs.iter().find_map(lookback).unwrap_or(0);
        let mut ends: Vec<usize> = cuts.iter().map(|cut| (*cut).min(chars.len())).chain([chars.len()]).collect();
        ends.sort_unstable();
        let chunk = |(from, end): (usize, &usize)| {
            let before: String = chars[from - from.min(far)..from].iter().collect();
            let text: String = chars[from..*end].iter().collect();
            Self::default().with_text(&[&text]).after(&before)
        };
        std::iter::once(0).chain(ends.iter().copied()).zip(&ends).map(chunk).collect()
    }

    /// The row with this look-back.
    #[must_use]
    pub fn after(mut self, lookback: &str) -> Self {
        self.lookback = Some(lookback.to_owned());
        self
    }
}

fn declared<T: Clone>(value: Option<&T>, name: &str) -> Result<T, ReadError> {
    value.cloned().ok_or_else(|| ReadError::Undeclared(name.to_owned()))
}

fn of_constraint<T: Clone>(values: &[T], constraint: u32) -> Result<T, ReadError> {
    values.get(constraint as usize).cloned().ok_or(ReadError::NoConstraint(constraint))
}

impl BatchView for BatchDouble {
    fn len(&self) -> u32 {
        self.rows.len() as u32
    }
    fn chunk(&self) -> u32 {
        self.chunk
    }
    fn attempt(&self) -> u32 {
        self.attempt
    }
    fn depth(&self) -> u32 {
        self.rows.iter().map(|row| row.length).max().unwrap_or(0)
    }
    fn max_depth(&self) -> u32 {
        self.max_depth
    }
    fn last(&self) -> bool {
        self.last
    }
    fn has_task(&self) -> bool {
        !self.unranked
    }
    fn constraints(&self) -> Vec<Constraint> {
        self.constraints.clone()
    }
    fn prompt(&self) -> Result<String, ReadError> {
        declared(self.prompt.as_ref(), "prompt")
    }
    fn id(&self, row: u32) -> Result<u64, ReadError> {
        Ok(self.row(row)?.id)
    }
    fn parent(&self, row: u32) -> Result<u64, ReadError> {
        Ok(self.row(row)?.parent)
    }
    fn finished(&self, row: u32) -> Result<bool, ReadError> {
        Ok(self.row(row)?.finished)
    }
    fn length(&self, row: u32) -> Result<u32, ReadError> {
        Ok(self.row(row)?.length)
    }
    fn tokens(&self, row: u32) -> Result<Vec<Token>, ReadError> {
        Ok(self.row(row)?.tokens.clone())
    }
    fn text(&self, row: u32) -> Result<String, ReadError> {
        declared(self.row(row)?.text.as_ref(), "text")
    }
    fn text_ends(&self, row: u32) -> Result<Vec<u32>, ReadError> {
        declared(self.row(row)?.text_ends.as_ref(), "text")
    }
    fn lookback(&self, row: u32) -> Result<String, ReadError> {
        declared(self.row(row)?.lookback.as_ref(), "lookback")
    }
    fn logprobs(&self, row: u32) -> Result<Vec<f32>, ReadError> {
        declared(self.row(row)?.logprobs.as_ref(), "logprobs")
    }
    fn top_k(&self, row: u32) -> Result<Vec<(Token, f32)>, ReadError> {
        declared(self.row(row)?.top_k.as_ref(), "top-k")
    }
    fn logits(&self, row: u32) -> Result<Vec<f32>, ReadError> {
        declared(self.row(row)?.logits.as_ref(), "logits")
    }
    fn latent(&self, row: u32) -> Result<Vec<f32>, ReadError> {
        declared(self.row(row)?.latent.as_ref(), "latents")
    }
    fn scores(&self, row: u32, model: &str) -> Result<Vec<f32>, ReadError> {
        let scores = self.row(row)?.scores.iter().find(|(name, ..)| name == model);
        scores.map(|(_, scores, _)| scores.clone()).ok_or_else(|| ReadError::NoModel(model.to_owned()))
    }
    fn end_score(&self, row: u32, model: &str) -> Result<f32, ReadError> {
        let scores = self.row(row)?.scores.iter().find(|(name, ..)| name == model);
        scores.map(|(.., end)| *end).ok_or_else(|| ReadError::NoModel(model.to_owned()))
    }
    fn priced(&self, row: u32) -> Result<bool, ReadError> {
        Ok(self.row(row)?.priced)
    }
    fn safe(&self, row: u32) -> Result<bool, ReadError> {
        Ok(self.row(row)?.safe)
    }
    fn budget(&self, row: u32, constraint: u32) -> Result<BudgetState, ReadError> {
        of_constraint(&self.row(row)?.budgets, constraint)
    }
    fn margin(&self, row: u32, constraint: u32) -> Result<f64, ReadError> {
        of_constraint(&self.row(row)?.margins, constraint)
    }
    fn spent(&self, row: u32, constraint: u32) -> Result<f64, ReadError> {
        of_constraint(&self.row(row)?.spent, constraint)
    }
    fn task_cost(&self, row: u32) -> Result<Option<f64>, ReadError> {
        Ok(self.row(row)?.task_cost)
    }
    fn logprob(&self, row: u32) -> Result<f64, ReadError> {
        Ok(self.row(row)?.logprob)
    }
    fn expansion_logit(&self, row: u32) -> Result<Option<f32>, ReadError> {
        Ok(self.row(row)?.expansion_logit)
    }
    fn estimate(&self, row: u32) -> Result<Option<Estimate>, ReadError> {
        Ok(self.row(row)?.estimate.clone())
    }
}
