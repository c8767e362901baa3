//! One trait per role. A component implements [`Setup`] and the trait of its role, then registers.

use crate::{BatchView, BudgetState, Constraint, Dense, Estimate, RoleError, Setup, Tensor};

/// Where candidates come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Source {
    /// Sampled by the language model.
    #[default]
    Sample,
    /// Forced: the k most likely next tokens of every beam; the chunk is one token long.
    Expand(u32),
}

/// Which candidates are priced before `select`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pricing {
    /// All of them.
    #[default]
    All,
    /// Those that `select` asks for with [`Decision::Price`].
    OnDemand,
}

/// The next chunk.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// Candidates per live beam, in row order; each at least 1. Ignored for [`Source::Expand`].
    pub candidates: Vec<u32>,
    /// Tokens of the chunk, at least 1. The host shortens it to what depth is left.
    pub chunk_len: u32,
    /// Where candidates come from.
    pub source: Source,
    /// Which candidates are priced before `select`.
    pub pricing: Pricing,
    /// Whether `select` needs the task cost. The host computes it anyway for finished rows; with [`Pricing::OnDemand`] and no
    /// fallback, only for those that are safe.
    pub task_cost: bool,
    /// Whether the critic is asked before pricing.
    pub estimate: bool,
    /// Candidates of a retry, over all beams: spread evenly, the better beams first, each at least one. Without it, a retry has
    /// as many as the first try.
    pub retry_candidates: Option<u32>,
    /// Beams that the policy keeps of a chunk, at least 1. The host keeps as many if no candidate is fit and it falls back.
    /// Without it, the host keeps as many as lived before the chunk.
    pub keep: Option<u32>,
}

/// How the chunk is sampled again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Retry {
    /// Taken from the logit of each token that a failed candidate had at this offset. Finite, at least 0.
    pub penalty: f32,
    /// The likeliest failed token is always penalised. The other penalised tokens hold at most this share of the probability
    /// that remains without it. In (0, 1].
    pub max_mass: f32,
}

/// What happens to the candidates.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// These rows go on, best first: live ones grow, finished ones stay to compete. Only priced rows; no row twice.
    Keep(Vec<u32>),
    /// Price these rows, then ask again. At least one of them is not priced yet.
    Price(Vec<u32>),
    /// Drop the candidates and sample the chunk again.
    Retry(Retry),
    /// This row is the answer. It must be priced.
    Answer(u32),
    /// No candidate is fit to emit; the host does what its operator has configured.
    Exhausted,
}

/// A search policy. It may keep state, for its own request only.
pub trait Policy: Setup {
    /// Plans the next chunk. Rows: the live beams.
    ///
    /// # Errors
    /// Any reason not to answer; the request then ends without an answer.
    fn plan(&mut self, rows: &dyn BatchView) -> Result<Plan, RoleError>;

    /// Decides. Rows: the candidates of this chunk, then the finished beams kept so far.
    ///
    /// # Errors
    /// Any reason not to answer; the request then ends without an answer.
    fn select(&mut self, rows: &dyn BatchView) -> Result<Decision, RoleError>;
}

/// One row for the tracker.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Tracked {
    /// The state before the new tokens.
    pub state: BudgetState,
    /// The cost of each new token, in order. May be empty.
    pub costs: Vec<f64>,
    /// True when the answer ends with these tokens.
    pub ended: bool,
}

/// One row as the tracker leaves it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Advanced {
    /// The state after the new tokens.
    pub state: BudgetState,
    /// Whether the constraint holds. The host's audit must agree before the row counts as safe.
    pub safe: bool,
    /// z after each new token; as long as `costs`.
    pub trace: Vec<f64>,
}

/// Keeps the safety state of one constraint. A function: state in, state out.
pub trait Tracker: Setup {
    /// The state before the first token.
    ///
    /// # Errors
    /// Any reason not to answer; every beam is then unsafe.
    fn start(&self, constraint: &Constraint) -> Result<BudgetState, RoleError>;

    /// Advances one row.
    ///
    /// # Errors
    /// Any reason not to answer; the rows of the call are then unsafe.
    fn advance(&self, constraint: &Constraint, row: Tracked) -> Result<Advanced, RoleError>;
}

/// Foresees safety and task cost.
pub trait Critic: Setup {
    /// One estimate per row, in order.
    ///
    /// # Errors
    /// Any reason not to answer; the rows are then unsafe.
    fn estimate(&self, rows: &dyn BatchView, dense: &dyn Dense) -> Result<Vec<Estimate>, RoleError>;
}

/// What a price is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CostKind {
    /// Charged against a budget; higher is worse.
    Safety,
    /// Ranks answers; lower is better. Usually minus a reward.
    Task,
}

/// How many numbers a row gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CostGrain {
    /// One per new token.
    Token,
    /// One for all new tokens, charged at the last of them. A task cost is always of this grain.
    Chunk,
}

/// Prices new tokens, row by row. A cost that needs all rows at once implements [`BatchCost`] instead.
///
/// A cost without a price does not compile:
///
/// ```compile_fail,E0046
/// use inferenceguard_guest::*;
///
/// struct Idle;
///
/// impl Setup for Idle {
///     fn describe() -> Description {
///         describe!("Gives no price.")
///     }
///     fn configure(_: &Settings) -> Result<Self, String> {
///         Ok(Self)
///     }
/// }
///
/// impl Cost for Idle {
///     fn kind(&self) -> CostKind {
///         CostKind::Safety
///     }
///     fn grain(&self) -> CostGrain {
///         CostGrain::Chunk
///     }
/// }
/// ```
pub trait Cost: Setup {
    /// What this component prices, given its settings.
    fn kind(&self) -> CostKind;

    /// How many numbers it gives per row, given its settings.
    fn grain(&self) -> CostGrain;

    /// Finite prices of one row: as many as it has new tokens, or one.
    ///
    /// # Errors
    /// Any reason not to answer; the rows of the call are then unsafe.
    fn price(&self, rows: &dyn BatchView, row: u32) -> Result<Vec<f64>, RoleError>;
}

/// Prices the new tokens of all rows at once, which may use the device. Every [`Cost`] is one.
pub trait BatchCost: Setup {
    /// As [`Cost::kind`].
    fn kind(&self) -> CostKind;

    /// As [`Cost::grain`].
    fn grain(&self) -> CostGrain;

    /// Finite prices of all rows, in order: for each row as many as it has new tokens, or one.
    ///
    /// # Errors
    /// As [`Cost::price`].
    fn price_all(&self, rows: &dyn BatchView, dense: &dyn Dense) -> Result<Vec<Vec<f64>>, RoleError>;
}

impl<T: Cost> BatchCost for T {
    fn kind(&self) -> CostKind {
        Cost::kind(self)
    }

    fn grain(&self) -> CostGrain {
        Cost::grain(self)
    }

    fn price_all(&self, rows: &dyn BatchView, _: &dyn Dense) -> Result<Vec<Vec<f64>>, RoleError> {
        (0..rows.len()).map(|row| self.price(rows, row)).collect()
    }
}

/// The result of steering.
#[derive(Debug)]
pub enum Steered {
    /// Nothing changes.
    Unchanged,
    /// These rows have new latents, as wide as the model's hidden size, finite.
    Rows(Vec<(u32, Vec<f32>)>),
    /// All rows change, on the device: \[rows, hidden\].
    All(Tensor),
}

/// Edits latents before they become logits.
pub trait Steering: Setup {
    /// Called at every step, prefill included, with the newest position of each row.
    ///
    /// # Errors
    /// Any reason not to answer; the beams are then unsafe.
    fn steer(&self, rows: &dyn BatchView, dense: &dyn Dense) -> Result<Steered, RoleError>;
}
