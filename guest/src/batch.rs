//! The rows a component is asked about.
//!
//! In wasm they are the host's `batch` resource, in tests a [`BatchDouble`](crate::BatchDouble). Rows are numbered from
//! 0. Every read of something undeclared, missing or out of range is a [`ReadError`]; pass it on with `?`.

use crate::{BudgetState, Constraint, Estimate, ReadError, Token};

/// Read-only views of finished results.
#[expect(clippy::missing_errors_doc, reason = "every read fails the same way, stated once above")]
pub trait BatchView {
    /// How many rows there are.
    fn len(&self) -> u32;
    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// The number of the chunk, from 0.
    fn chunk(&self) -> u32;
    /// 0 for the first try of this chunk, then the number of the retry.
    fn attempt(&self) -> u32;
    /// Answer tokens of the longest row, those of this chunk included.
    fn depth(&self) -> u32;
    /// The most answer tokens any row may reach.
    fn max_depth(&self) -> u32;
    /// True when no row can grow further.
    fn last(&self) -> bool;
    /// True when a task cost ranks answers. Without one, `task_cost` is always `None`.
    fn has_task(&self) -> bool;
    /// The constraints, in the order used everywhere.
    fn constraints(&self) -> Vec<Constraint>;
    /// The prompt's text. Need: `Prompt`.
    fn prompt(&self) -> Result<String, ReadError>;

    /// The beam's id, unique within the request.
    fn id(&self, row: u32) -> Result<u64, ReadError>;
    /// The id of the beam it continues.
    fn parent(&self, row: u32) -> Result<u64, ReadError>;
    /// True when the answer has ended.
    fn finished(&self, row: u32) -> Result<bool, ReadError>;
    /// Answer tokens so far, new ones included.
    fn length(&self, row: u32) -> Result<u32, ReadError>;
    /// The new tokens: those of this call that were not priced before.
    fn tokens(&self, row: u32) -> Result<Vec<Token>, ReadError>;
    /// The text of the new tokens; never ends inside a character. Need: `Text`.
    fn text(&self, row: u32) -> Result<String, ReadError>;
    /// For every new token, the number of characters of `text` up to and including it. Need: `Text`.
    fn text_ends(&self, row: u32) -> Result<Vec<u32>, ReadError>;
    /// Charged text right before `text`, at most as long as declared. Need: `Lookback`.
    fn lookback(&self, row: u32) -> Result<String, ReadError>;

    /// The log-probability of each new token. Need: `Logprobs`.
    fn logprobs(&self, row: u32) -> Result<Vec<f32>, ReadError>;
    /// The most likely next tokens with log-probabilities, best first. Need: `TopK`.
    fn top_k(&self, row: u32) -> Result<Vec<(Token, f32)>, ReadError>;
    /// All logits, by token. Need: `Logits`.
    fn logits(&self, row: u32) -> Result<Vec<f32>, ReadError>;
    /// The latent, as wide as the model's hidden size. Need: `Latents`.
    fn latent(&self, row: u32) -> Result<Vec<f32>, ReadError>;
    /// A score model's score at each new token. Need: `Scores`.
    fn scores(&self, row: u32, model: &str) -> Result<Vec<f32>, ReadError>;
    /// A score model's score of prompt and answer so far, at its end. Need: `Scores`.
    fn end_score(&self, row: u32, model: &str) -> Result<f32, ReadError>;

    /// True once all constraints were priced and tracked up to the newest token.
    fn priced(&self, row: u32) -> Result<bool, ReadError>;
    /// True when tracker and audit both hold the row safe. False while it is not priced, and after any failure.
    fn safe(&self, row: u32) -> Result<bool, ReadError>;
    /// The budget state of a constraint: of the row if it is priced, else of its parent.
    fn budget(&self, row: u32, constraint: u32) -> Result<BudgetState, ReadError>;
    /// Budget left by the host's own audit. Negative when broken.
    fn margin(&self, row: u32, constraint: u32) -> Result<f64, ReadError>;
    /// The sum of raw costs so far (no discount, no clipping). If candidates are one token long, it includes the text that a
    /// score model still withholds, priced as the text stands now.
    fn spent(&self, row: u32, constraint: u32) -> Result<f64, ReadError>;
    /// The task cost of prompt and answer so far (lower is better), once it was asked for and computed.
    fn task_cost(&self, row: u32) -> Result<Option<f64>, ReadError>;
    /// The sum of the log-probabilities of all answer tokens.
    fn logprob(&self, row: u32) -> Result<f64, ReadError>;
    /// For candidates of a forced expansion: the logit of their new token.
    fn expansion_logit(&self, row: u32) -> Result<Option<f32>, ReadError>;
    /// The critic's estimate, if the plan asked for one.
    fn estimate(&self, row: u32) -> Result<Option<Estimate>, ReadError>;
}
