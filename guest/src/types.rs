//! Plain data shared by all roles: the Rust types of `types.wit`.
//!
//! Costs and budgets are in the unit of the cost model; discounts are per token; probabilities are in [0, 1].

/// An id of the language model's vocabulary.
pub type Token = u32;

/// What a component is for; it fills exactly one role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Plans chunks and selects beams.
    Policy,
    /// Keeps the safety state of one constraint.
    Tracker,
    /// Foresees safety and task cost from latents.
    Critic,
    /// Prices new tokens, for safety or for the task.
    Cost,
    /// Edits latents before they become logits.
    Steering,
}

/// How negative costs are treated. Taken as they are, they give budget back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CostClip {
    /// Costs are taken as they are.
    None,
    /// A negative cost counts as zero.
    Nonneg,
    /// The running sum never falls below zero: safe text cannot be banked.
    #[default]
    Capped,
}

/// When a constraint must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ConstraintMode {
    /// At every token.
    #[default]
    Anytime,
    /// When the answer ends.
    Terminal,
}

/// One named safety cost with its own budget.
#[derive(Debug, Clone, PartialEq)]
pub struct Constraint {
    /// Unique within a deployment.
    pub name: String,
    /// d, the budget: finite, above zero, in the cost's unit.
    pub budget: f64,
    /// The discount per token: above 0, at most 1.
    pub gamma: f64,
    /// How negative costs are treated.
    pub clip: CostClip,
    /// When the constraint must hold.
    pub mode: ConstraintMode,
}

impl Constraint {
    /// A budget of this size without a discount, clipped and held as is usual: at every token, and safe text cannot be banked.
    #[must_use]
    pub fn of(name: impl Into<String>, budget: f64) -> Self {
        Self { name: name.into(), budget, gamma: 1.0, clip: CostClip::default(), mode: ConstraintMode::default() }
    }
}

/// What a tracker keeps per beam and constraint. The host stores it and copies it when a beam forks.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct BudgetState {
    /// The safety state: z starts at the budget, and z' = (z - c) / gamma.
    pub z: f64,
    /// Whatever else the tracker needs: at most 16 finite numbers.
    pub memory: Vec<f64>,
}

/// A critic's view of one row.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Estimate {
    /// P(safe to the end) per constraint, in the order of `constraints`; each in [0, 1].
    pub safe: Vec<f64>,
    /// The expected task cost of the finished answer (lower is better), finite.
    pub cost_to_go: f64,
}

/// Which hidden state a role reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LatentSelector {
    /// The last layer after the final norm: what the LM head multiplies.
    #[default]
    FinalNorm,
    /// The output of layer n (0 = the first block), before any norm.
    Layer(u32),
}

/// An input that a role declares; reading what was not declared fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Need {
    /// The text of the prompt.
    Prompt,
    /// The text of the new tokens.
    Text,
    /// Up to this many characters of already charged text before the new text.
    Lookback(u32),
    /// The log-probability of each new token, before temperature.
    Logprobs,
    /// The k most likely next tokens at the newest position. At most 1,024.
    TopK(u32),
    /// All logits at the newest position (length: vocabulary).
    Logits,
    /// The latent at the newest position.
    Latents(LatentSelector),
    /// The latent of every new token. Declared several times, latents of several places are joined side by side, in that order;
    /// at most 8.
    TokenLatents(LatentSelector),
    /// The scores of the host's score model of this name.
    Scores(String),
    /// A network of the bundle, by the name the bundle gives it.
    Network(String),
}

/// Why a read from the batch gave nothing. The call then counts as failed, whatever the component returns.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The input was not declared as a need.
    #[error("{0} was read but not declared; add it to `needs`")]
    Undeclared(String),
    /// The input is declared but does not exist at this point of the request.
    #[error("{0} does not exist at this point of the request")]
    NotAvailable(String),
    /// There is no row of this number.
    #[error("there is no row {0}; rows are numbered from 0 to `len`")]
    NoRow(u32),
    /// There is no constraint of this number.
    #[error("there is no constraint {0}; they are numbered as in `constraints`")]
    NoConstraint(u32),
    /// The host has no score model of this name.
    #[error("the host has no score model `{0}`; name a score model of the deployment")]
    NoModel(String),
}

/// Why a component could not answer. Its rows then count as unsafe.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RoleError {
    /// An input cannot be used; the text says which and why.
    #[error("unusable input: {0}")]
    InvalidInput(String),
    /// The component does not do this; the text says what.
    #[error("not supported: {0}")]
    Unsupported(String),
    /// A read from the batch failed.
    #[error("a read failed: {0}")]
    Read(#[from] ReadError),
    /// Anything else.
    #[error("{0}")]
    Failed(String),
}
