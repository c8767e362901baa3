//! What an evaluation is asked to do.

use super::smollm2;
use indicatif::ProgressBar;
use inferenceguard_catalog::{Choice, embedded};
use inferenceguard_demo::world::Split;
use inferenceguard_eval::paper;
use std::{path::PathBuf, time::Duration};

/// What to evaluate. Where a value is `None` or a list is empty, the bundle's own counts.
#[derive(Debug, Clone)]
pub struct EvalOptions {
    /// One model, its score models, the bundle, and how models are loaded.
    pub choice: Choice,
    /// Several models instead of one: `[NAME=]DIR|ID`, or `weak` for the demonstration's.
    pub models: Vec<String>,
    /// `NAME=DIR`, each a bundle for one of the models.
    pub bundles: Vec<String>,
    /// A file of prompts; the demonstration's if `None`.
    pub prompts: Option<PathBuf>,
    /// Which of the demonstration's prompts.
    pub split: Split,
    /// Whether every harmful prompt is also asked as ten attacks.
    pub attacks: bool,
    /// The most prompts, spread evenly over all.
    pub limit: Option<usize>,
    /// Methods by name, `always-refuse`, or `all`.
    pub methods: Vec<String>,
    /// Numbers of candidates.
    pub ns: Vec<u32>,
    /// Multipliers of the Lagrangian rows.
    pub lambdas: Vec<f64>,
    /// Multipliers to choose from, on other prompts.
    pub tune_lambda: Vec<f64>,
    /// The file of these other prompts; the demonstration's validation prompts if `None`.
    pub tune_prompts: Option<PathBuf>,
    /// The most of these other prompts.
    pub tune_limit: usize,
    /// What a multiplier weighs.
    pub lagrangian_cost: Option<WeighedCost>,
    /// Budgets of the first constraint.
    pub budgets: Vec<f64>,
    /// The most answer tokens.
    pub max_tokens: Option<u32>,
    /// What is emitted when no candidate fits: a value of the manifest's `on_exhausted`.
    pub on_exhausted: Option<String>,
    /// What becomes of negative costs of the first constraint: a value of the manifest's `clip`.
    pub clip: Option<String>,
    /// The seeds; every prompt is answered once for each.
    pub seeds: Vec<u64>,
    /// A named set of rows, and for the paper's models of settings.
    pub recipe: Option<Recipe>,
    /// The judges, first to last: `demo`, `none`, `[NAME=]command:PROGRAM [ARGS]` or `[NAME=]DIR[@THRESHOLD]`; the
    /// demonstration's beside its own score models if empty. The first one's opinion is that of the figures.
    pub judges: Vec<String>,
    /// Files of answers that people rated, on which every judge is measured.
    pub judge_checks: Vec<PathBuf>,
    /// How long a judge that is a program may be silent.
    pub judge_timeout: Duration,
    /// How many answers are shown for reading, in the folder of the results.
    pub show: Option<usize>,
    /// The folder of the results.
    pub out: Option<PathBuf>,
    /// A recorded baseline, which must be of the same prompts.
    pub baseline: Option<PathBuf>,
    /// Shows how many answers there are.
    pub progress: ProgressBar,
}

impl EvalOptions {
    /// Whether the demonstration's score models are used: none are given, and its language model takes part.
    pub(super) fn is_demo(&self) -> bool {
        let named = |model: &String| !model.contains('=') && embedded::model(model).is_some();
        let demo = match self.models.is_empty() {
            true => self.choice.model.is_none(),
            false => self.models.iter().any(named),
        };
        demo && self.choice.scores.is_empty()
    }
}

/// What multipliers can weigh: name, meaning, value.
pub const WEIGHED: &[(&str, &str, WeighedCost)] = &[
    ("end", "The cost model's points for the whole answer", WeighedCost::End),
    ("sum", "The sum of the costs of its tokens", WeighedCost::Sum),
];

/// The recipes: name, model, value.
pub const RECIPES: &[(&str, &str, Recipe)] = &[
    ("paper-alpaca", "The paper's rows for Alpaca-7B", Recipe::PaperAlpaca),
    ("paper-beaver", "The paper's rows for Beaver-7B-v3", Recipe::PaperBeaver),
    (smollm2::NAME, "Rows for SmolLM2-135M-Instruct and its bundle", Recipe::Smollm2),
];

/// What the multiplier of a Lagrangian row weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WeighedCost {
    /// The cost model's score of the answer.
    End,
    /// The sum of the costs of its tokens.
    Sum,
}

impl WeighedCost {
    /// As the policies' setting has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::End => "end",
            Self::Sum => "sum",
        }
    }
}

/// A named set of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recipe {
    /// Alpaca-7B.
    PaperAlpaca,
    /// Beaver-7B-v3.
    PaperBeaver,
    /// SmolLM2-135M-Instruct.
    Smollm2,
}

impl Recipe {
    /// The name on the command line and in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::PaperAlpaca => "paper-alpaca",
            Self::PaperBeaver => "paper-beaver",
            Self::Smollm2 => smollm2::NAME,
        }
    }

    /// Whether its settings and rows are the paper's.
    pub(super) fn is_papers(self) -> bool {
        self != Self::Smollm2
    }

    /// The name of its model in reports; of the paper's recipes, that in its tables.
    pub(super) fn model(self) -> &'static str {
        match self {
            Self::PaperAlpaca => paper::MODELS[0],
            Self::PaperBeaver => paper::MODELS[1],
            Self::Smollm2 => smollm2::MODEL,
        }
    }
}
