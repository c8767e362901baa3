//! What an operator says about the training of a critic.

use inferenceguard_bundle::network::LayerActivation;
use inferenceguard_catalog::LoadingOptions;
use inferenceguard_critic::{Reading, Recipe, Schedule, collect::MEMORY, objective::Weighed, targets::BudgetSeen};
use inferenceguard_search::{ConstraintMode, CostClip, SamplingSettings};
use std::path::PathBuf;

/// Defaults that belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    /// Minutes on one core for small models.
    Default,
    /// The paper's table 3.
    Paper,
}

/// A training, as an operator names it. What is `None` or empty comes from the preset, and what the preset leaves out from the
/// bundle.
#[derive(Debug, Clone)]
pub struct Given {
    /// A folder, a GGUF file or a hub id; the demonstration model if `None`.
    pub model: Option<String>,
    /// `NAME=DIR`, each a score model under the name that the bundle's costs use.
    pub scores: Vec<String>,
    /// The bundle whose costs price the answers and whose constraints are learnt; the demonstration's if `None`.
    pub bundle: Option<PathBuf>,
    /// How models are loaded.
    pub loading: LoadingOptions,
    /// Receives trajectories, and per latent a network, plots and a checkpoint.
    pub out: PathBuf,
    /// A file of prompts; the demonstration's training prompts if `None`.
    pub prompts: Option<PathBuf>,
    /// The most prompts, spread evenly over all.
    pub limit: Option<usize>,
    /// Where values come from that are not given.
    pub preset: Preset,
    /// What each network reads.
    pub readings: Vec<Reading>,
    /// Whether RE-Control's value network is trained instead of a critic.
    pub value: bool,
    /// The multiplier of a value network with a safety cost; it stands for `value`.
    pub lagrangian: Option<f64>,
    /// What the multiplier weighs.
    pub lagrangian_cost: Weighed,
    /// How answers are sampled.
    pub answers: GivenAnswers,
    /// What a critic learns.
    pub targets: GivenTargets,
    /// How networks are trained.
    pub training: GivenTraining,
}

impl Given {
    /// Whether a value network is trained.
    pub(super) fn is_value(&self) -> bool {
        self.value || self.lagrangian.is_some()
    }
}

/// How answers are sampled.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GivenAnswers {
    /// Answers per prompt.
    pub answers: Option<usize>,
    /// The most answer tokens.
    pub max_tokens: Option<usize>,
    /// Latents are kept at every multiple of this many tokens.
    pub every: Option<usize>,
    /// How tokens are drawn.
    pub sampling: SamplingSettings,
    /// Prompts answered at once.
    pub prompts_at_once: Option<usize>,
}

/// What a critic learns.
#[derive(Debug, Clone, PartialEq)]
pub struct GivenTargets {
    /// `LOW..HIGH`, one range for all constraints or one each.
    pub budgets: Vec<String>,
    /// The discount of all constraints.
    pub gamma: Option<f64>,
    /// When all constraints must hold.
    pub mode: Option<ConstraintMode>,
    /// What becomes of negative costs of all constraints.
    pub clip: Option<CostClip>,
    /// Tokens of a chunk.
    pub chunk_len: Option<usize>,
    /// The budget that a critic sees.
    pub seen: Option<BudgetSeen>,
    /// Whether the task cost is scaled by gamma^T.
    pub discount_cost: bool,
}

/// How networks are trained.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GivenTraining {
    /// Width of the hidden layers.
    pub hidden: Option<usize>,
    /// Hidden layers.
    pub depth: Option<usize>,
    /// What follows a hidden layer.
    pub activation: Option<LayerActivation>,
    /// The learning rate.
    pub rate: Option<f64>,
    /// How the learning rate changes.
    pub schedule: Option<Schedule>,
    /// The weight decay.
    pub weight_decay: Option<f64>,
    /// The most MiB of latents that lie in memory.
    pub memory: Option<usize>,
    /// How long it takes.
    pub steps: GivenSteps,
    /// How prompts are split.
    pub parts: GivenParts,
}

/// How many steps a training has.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GivenSteps {
    /// The most passes over all answers.
    pub epochs: Option<usize>,
    /// The epochs without a better validation loss after which the training stops; 0 = never.
    pub patience: Option<usize>,
    /// Answers per step.
    pub batch: Option<usize>,
}

/// How prompts are split, and the seed of everything.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GivenParts {
    /// The share of prompts for early stopping and calibration.
    pub validation: Option<f64>,
    /// The share of prompts that the report measures on.
    pub test: Option<f64>,
    /// The seed of answers, splits, budgets, weights and orders.
    pub seed: u64,
}

impl GivenTraining {
    /// The recipe, with what is not given from `due`.
    pub(crate) fn recipe(&self, due: Recipe) -> Recipe {
        Recipe {
            hidden: self.hidden.unwrap_or(due.hidden),
            depth: self.depth.unwrap_or(due.depth),
            activation: self.activation.unwrap_or(due.activation),
            rate: self.rate.unwrap_or(due.rate),
            schedule: self.schedule.unwrap_or(due.schedule),
            weight_decay: self.weight_decay.unwrap_or(due.weight_decay),
            epochs: self.steps.epochs.unwrap_or(due.epochs),
            patience: self.steps.patience.unwrap_or(due.patience),
            batch: self.steps.batch.unwrap_or(due.batch),
            seed: self.parts.seed,
        }
    }

    /// The most bytes of latents that lie in memory.
    pub(crate) fn memory(&self) -> usize {
        self.memory.map_or(MEMORY, |mib| mib.saturating_mul(1 << 20))
    }
}
