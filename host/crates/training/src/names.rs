//! Values of options by name, each with the sentence that a page of help shows.

use crate::critic::Preset;
use inferenceguard_bundle::network::LayerActivation;
use inferenceguard_critic::{
    Schedule,
    cost::{CostObjective, RewardObjective},
    objective::Weighed,
    targets::BudgetSeen,
};
use inferenceguard_search::{ConstraintMode, CostClip};

/// A value by its name: the name, what it means, the value.
pub type Named<T> = (&'static str, &'static str, T);

/// Settings of a whole training.
pub const PRESETS: &[Named<Preset>] = &[
    ("default", "Minutes on one core for small models", Preset::Default),
    ("paper", "Table 3 of arXiv 2502.01208", Preset::Paper),
];

/// What the multiplier of a Lagrangian value weighs.
pub const WEIGHED: &[Named<Weighed>] = &[
    ("end", "The cost model's points for the whole answer", Weighed::End),
    ("sum", "The sum of the costs of its tokens", Weighed::Sum),
];

/// When a constraint must hold.
pub const MODES: &[Named<ConstraintMode>] = &[
    ("anytime", "At every token", ConstraintMode::Anytime),
    ("terminal", "When the answer ends", ConstraintMode::Terminal),
];

/// What becomes of negative costs.
pub const CLIPS: &[Named<CostClip>] = &[
    ("none", "Costs are taken as they are", CostClip::None),
    ("nonneg", "A negative cost counts as zero", CostClip::Nonneg),
    ("capped", "The running sum never falls below zero", CostClip::Capped),
];

/// What has been charged where the critic reads.
pub const SEEN: &[Named<BudgetSeen>] = &[
    ("chunk-start", "Costs up to the start of the chunk are charged", BudgetSeen::ChunkStart),
    ("newest", "All costs up to the position are charged", BudgetSeen::Newest),
];

/// What a layer applies to its sums.
pub const ACTIVATIONS: &[Named<LayerActivation>] = &[
    ("relu", "max(0, x)", LayerActivation::Relu),
    ("silu", "x · sigmoid(x)", LayerActivation::Silu),
    ("tanh", "tanh x", LayerActivation::Tanh),
];

/// How the learning rate falls.
pub const SCHEDULES: &[Named<Schedule>] =
    &[("constant", "Not at all", Schedule::Constant), ("cosine", "Down a cosine", Schedule::Cosine)];

/// What a cost learns.
pub const OBJECTIVES: &[Named<CostObjective>] = &[
    ("survival", "How likely harm begins at each token; budgets bound that", CostObjective::Survival),
    ("pairwise", "The same, from pairs of a less and a more harmful answer", CostObjective::Pairwise),
    ("prefix", "The score of every beginning of an answer", CostObjective::Prefix),
    ("signed", "Costs of either sign, whose sum is the score", CostObjective::Signed),
];

/// What a reward learns.
pub const REWARD_OBJECTIVES: &[Named<RewardObjective>] = &[
    ("pairwise", "Which answer of a pair is better (Bradley and Terry)", RewardObjective::Pairwise),
    ("graded", "The grade of every answer, and pairs beside grades", RewardObjective::Graded),
];
