//! The roles as traits. The sandbox plays them with wasm components, tests with plain Rust.
//!
//! Implementations return the output of the component unchecked: [`crate::check`] is the one place that checks lengths,
//! NaN and row numbers. A component is a function of its arguments; only a policy may remember, within one request.

use crate::{Batch, BudgetState, Constraint, Needs, Note, RoleFailure};
use serde::{Deserialize, Serialize};

/// What a component is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Plans chunks and selects beams.
    Policy,
    /// Keeps the safety state of one constraint.
    Tracker,
    /// Foresees safety and task cost from latents.
    Critic,
    /// Prices new tokens.
    Cost,
    /// Edits latents.
    Steering,
    /// The language model: no component. Failures of its back end name it.
    Model,
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Policy => "policy",
            Self::Tracker => "tracker",
            Self::Critic => "critic",
            Self::Cost => "cost",
            Self::Steering => "steering",
            Self::Model => "model",
        })
    }
}

/// What a price is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CostKind {
    /// Charged against a budget; higher is worse.
    Safety,
    /// Ranks answers; lower is better.
    Task,
}

/// How many numbers a cost gives per row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CostGrain {
    /// One per new token.
    Token,
    /// One for all new tokens.
    Chunk,
}

/// Where candidates come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// Sampled by the language model.
    Sample,
    /// Forced: the k most likely next tokens of every beam; the chunk is one token long (ARGS).
    Expand(u32),
}

/// Which candidates are priced before `select`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pricing {
    /// All of them.
    All,
    /// Those that `select` asks for.
    OnDemand,
}

/// The next chunk, as the policy wants it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Candidates per live beam, in row order; each at least 1.
    pub candidates: Vec<u32>,
    /// Tokens of the chunk, at least 1.
    pub chunk_len: u32,
    /// Where candidates come from.
    pub source: Source,
    /// Which candidates are priced before `select`.
    pub pricing: Pricing,
    /// Whether `select` needs the task cost.
    pub task_cost: bool,
    /// Whether the critic is asked before pricing.
    pub estimate: bool,
    /// Candidates of a retry, over all beams: spread evenly, the better beams first, each at least one. If not given, as many
    /// as at first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_candidates: Option<u32>,
    /// Beams that the policy keeps of a chunk, at least 1: where nothing is fit and the host falls back, it keeps as many.
    /// If not given, as many as lived before the chunk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep: Option<u32>,
    /// Names of options this host does not know; a plan with any is refused.
    pub unknown_options: Vec<String>,
}

impl Plan {
    /// Samples this many candidates per live beam, in row order, each of `chunk_len` tokens, and prices them all.
    #[must_use]
    pub fn new(candidates: Vec<u32>, chunk_len: u32) -> Self {
        Self {
            candidates,
            chunk_len,
            source: Source::Sample,
            pricing: Pricing::All,
            task_cost: false,
            estimate: false,
            retry_candidates: None,
            keep: None,
            unknown_options: Vec::new(),
        }
    }
}

/// How a chunk is sampled again.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Retry {
    /// Taken from the logit of each token that a failed candidate had at this offset.
    pub penalty: f32,
    /// The share, in (0, 1], of the probability without the likeliest failed token (always penalised) that the other
    /// penalised tokens of one offset may hold.
    pub max_mass: f32,
}

/// What happens to the candidates.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decision {
    /// These rows go on, best first.
    Keep(Vec<u32>),
    /// Price these rows, then ask again.
    Price(Vec<u32>),
    /// Sample the chunk again.
    Retry(Retry),
    /// This row is the answer.
    Answer(u32),
    /// There is nothing fit to emit.
    Exhausted,
}

/// One row for the tracker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tracked {
    /// The state before the new tokens.
    pub state: BudgetState,
    /// The cost of each new token.
    pub costs: Vec<f64>,
    /// Whether the answer ends with them.
    pub ended: bool,
}

/// One row as the tracker left it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Advanced {
    /// The state after the new tokens.
    pub state: BudgetState,
    /// Whether the constraint holds, by the tracker.
    pub safe: bool,
    /// z after each new token.
    pub trace: Vec<f64>,
}

/// A critic's view of one row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// P(safe to the end) per constraint.
    pub safe: Vec<f64>,
    /// The expected task cost of the finished answer.
    pub cost_to_go: f64,
}

/// What steering did.
#[derive(Debug, Clone, PartialEq)]
pub enum Steered {
    /// Nothing.
    Unchanged,
    /// These rows have new latents.
    Rows(Vec<(u32, Vec<f32>)>),
    /// All rows have new latents, row-major.
    All(Vec<f32>),
}

/// Plans and selects.
pub trait Policy: Send {
    /// What it reads.
    fn needs(&self) -> &Needs;
    /// Plans the next chunk; rows are the live beams.
    ///
    /// # Errors
    /// Any failure of the component; the request then ends without an answer.
    fn plan(&mut self, rows: &Batch) -> Result<Plan, RoleFailure>;
    /// Decides; rows are the candidates, then the finished beams kept so far.
    ///
    /// # Errors
    /// Any failure of the component; the request then ends without an answer.
    fn select(&mut self, rows: &Batch) -> Result<Decision, RoleFailure>;
}

/// Keeps the safety state.
pub trait Tracker: Send {
    /// The state before the first token.
    ///
    /// # Errors
    /// Any failure of the component; every beam is then unsafe.
    fn start(&mut self, constraint: &Constraint) -> Result<BudgetState, RoleFailure>;
    /// Advances the rows.
    ///
    /// # Errors
    /// Any failure of the component; the rows are then unsafe.
    fn advance(&mut self, constraint: &Constraint, rows: &[Tracked]) -> Result<Vec<Advanced>, RoleFailure>;
}

/// Foresees.
pub trait Critic: Send {
    /// What it reads.
    fn needs(&self) -> &Needs;
    /// One estimate per row.
    ///
    /// # Errors
    /// Any failure of the component; the rows are then unsafe.
    fn estimate(&mut self, rows: &Batch) -> Result<Vec<Estimate>, RoleFailure>;
}

/// Prices.
pub trait Cost: Send {
    /// What it reads.
    fn needs(&self) -> &Needs;
    /// What its prices are for.
    fn kind(&self) -> CostKind;
    /// How many numbers it gives per row.
    fn grain(&self) -> CostGrain;
    /// Prices per row.
    ///
    /// # Errors
    /// Any failure of the component; the rows are then unsafe.
    fn price(&mut self, rows: &Batch) -> Result<Vec<Vec<f64>>, RoleFailure>;
    /// Takes what it noted about the prices of its last call; nothing if it notes nothing.
    fn notes(&mut self) -> Vec<Note> {
        Vec::new()
    }
}

/// Edits latents.
pub trait Steering: Send {
    /// What it reads.
    fn needs(&self) -> &Needs;
    /// Edits the latents of the rows.
    ///
    /// # Errors
    /// Any failure of the component; the beams are then unsafe.
    fn steer(&mut self, rows: &Batch) -> Result<Steered, RoleFailure>;
}
