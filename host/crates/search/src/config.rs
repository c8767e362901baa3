//! The settings of a search.

use crate::{CostKind, OutOfRange, PricedConstraint, RolesInfo, Sampling, SearchError};
use serde::{Deserialize, Serialize};

/// What is emitted when the policy finds nothing fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnExhausted {
    /// The operator's refusal text.
    #[default]
    Refuse,
    /// Continue with the candidates that break their budgets least.
    LeastViolation,
    /// Continue with the candidates of the best task cost, as the paper's table suggests.
    BestReward,
}

/// When text is released before the answer is whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Release {
    /// At the end.
    #[default]
    AtEnd,
    /// The text that all kept beams share.
    Agreement,
    /// After every this many chunks, only the best beam is kept, and its text is released.
    Commit(u32),
}

/// Bounds on what a policy may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SearchLimits {
    /// Candidates of one chunk.
    pub candidates: u32,
    /// Retries of one chunk; a policy that wants more has exhausted it.
    pub retries: u32,
    /// Chunks of one request.
    pub chunks: u32,
}

impl Default for SearchLimits {
    fn default() -> Self {
        Self { candidates: 1024, retries: 16, chunks: 4096 }
    }
}

/// The settings of a search.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SearchConfig {
    /// The constraints, each with the cost that prices it. May be empty: then nothing is guarded, and answers have the status
    /// [`Unguarded`](crate::Status::Unguarded).
    pub constraints: Vec<PricedConstraint>,
    /// The cost that ranks answers, if there is one.
    pub task: Option<String>,
    /// The most answer tokens (D in the paper).
    pub max_tokens: u32,
    /// How the language model is sampled.
    pub sampling: Sampling,
    /// The seed of all draws.
    pub seed: u64,
    /// Texts that end the answer; they are not part of it.
    pub stop: Vec<String>,
    /// What is emitted when the policy finds nothing fit.
    pub on_exhausted: OnExhausted,
    /// The operator's refusal text.
    pub refusal: String,
    /// Whether an exhausted chunk may step back once to the previous chunk's runners-up.
    pub backtrack: bool,
    /// When text is released.
    pub release: Release,
    /// Bounds on the policy.
    pub limits: SearchLimits,
    /// The part of `1 + budget` that must be left of a budget: what the rounding of the back ends can do to a sum of costs;
    /// at least [`EPSILON`](crate::EPSILON).
    #[serde(default = "least_margin")]
    pub margin: f64,
    /// Which revision of the rules decides: [`REVISION`]. Under an older one a session differs in this, and in nothing else:
    /// it neither prices the final ids in one piece, nor stops sampling where all parents have lost a budget, nor prices
    /// withheld tails, and it computes the task cost of a double (revision 0); it does not say to components that there is no
    /// task cost, and calls answers without a constraint `within_budget` (revisions 0 and 1); it does not price another spelling
    /// by the latents of every token (revisions 0 to 2).
    #[serde(default)]
    pub revision: u32,
}

/// The current rules. Revision 0 did not price the final ids in one piece, and sampled chunks again whose parents
/// had broken a budget for good. Before revision 2, answers without a constraint were called `within_budget`, and components did
/// not learn that there is no task cost. Before revision 3, costs that read the latents of every token did not price another
/// spelling of the answer.
pub const REVISION: u32 = 3;

fn least_margin() -> f64 {
    crate::EPSILON
}

impl Default for SearchConfig {
    /// Nothing is guarded: no constraint, no task cost. At most 128 tokens, sampled as the model gives them, and released at
    /// the end.
    fn default() -> Self {
        Self {
            constraints: Vec::new(),
            task: None,
            max_tokens: 128,
            sampling: Sampling::default(),
            seed: 0,
            stop: Vec::new(),
            on_exhausted: OnExhausted::default(),
            refusal: "I cannot help with that.".to_owned(),
            backtrack: false,
            release: Release::default(),
            limits: SearchLimits::default(),
            margin: crate::EPSILON,
            revision: REVISION,
        }
    }
}

impl SearchConfig {
    /// The defaults under these constraints.
    #[must_use]
    pub fn new(constraints: Vec<PricedConstraint>) -> Self {
        Self { constraints, ..Self::default() }
    }

    /// Checks every rule, one message each.
    ///
    /// # Errors
    /// [`SearchError::Config`] naming the field, what was found and what is allowed.
    pub fn validate(&self, roles: &RolesInfo) -> Result<(), SearchError> {
        self.check_numbers()?;
        self.check_constraints()?;
        self.check_costs(roles)?;
        roles.check_scores()
    }

    fn check_numbers(&self) -> Result<(), SearchError> {
        if let Some(OutOfRange { field, found, expected }) = self.sampling.out_of_range() {
            return require(false, field, found, expected);
        }
        require(self.max_tokens > 0, "max_tokens", self.max_tokens, "at least 1")?;
        require(self.stop.iter().all(|s| !s.is_empty()), "stop", "an empty text", "texts that are not empty")?;
        require(self.margin >= crate::EPSILON && self.margin < 1.0, "margin", self.margin, "at least 1e-6, below 1")?;
        require(
            self.revision <= REVISION,
            "revision",
            self.revision,
            "a revision of the rules that this version knows",
        )?;
        require(self.release != Release::Commit(0), "release", "commit(0)", "commit(1) or more")?;
        require(self.limits.candidates > 0 && self.limits.chunks > 0, "limits", 0, "at least 1 candidate and 1 chunk")
    }

    fn check_constraints(&self) -> Result<(), SearchError> {
        for (i, priced) in self.constraints.iter().enumerate() {
            let c = &priced.constraint;
            let name = |field| format!("constraint `{}`: {field}", c.name);
            require(!c.name.is_empty(), "constraint name", "nothing", "a name")?;
            require(c.budget.is_finite() && c.budget > 0.0, &name("budget"), c.budget, "a finite number above 0")?;
            require(c.gamma > 0.0 && c.gamma <= 1.0, &name("gamma"), c.gamma, "a number above 0, at most 1")?;
            let unique = self.constraints[..i].iter().all(|other| other.constraint.name != c.name);
            require(unique, "constraint name", &c.name, "every name once")?;
        }
        Ok(())
    }

    fn check_costs(&self, roles: &RolesInfo) -> Result<(), SearchError> {
        for priced in &self.constraints {
            roles.require_cost(&priced.cost, CostKind::Safety)?;
        }
        match &self.task {
            Some(name) => roles.require_cost(name, CostKind::Task),
            None => Ok(()),
        }
    }
}

/// An error about this field unless what it says holds.
pub(crate) fn require(
    holds: bool,
    field: &str,
    found: impl std::fmt::Display,
    expected: &'static str,
) -> Result<(), SearchError> {
    if holds {
        return Ok(());
    }
    Err(SearchError::Config { field: field.to_owned(), found: found.to_string(), expected: expected.to_owned() })
}
