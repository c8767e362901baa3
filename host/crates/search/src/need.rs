//! What a session asks for, and what it is fed.

use crate::{
    Advanced, Batch, BeamKey, BudgetState, Constraint, Decision, Estimate, FailureKind, Plan, RoleFailure, Tracked,
};
use inferenceguard_model::{GrowRow, GrowingText, Grown, Growth, SampleRequest, Sampled, Scored, Token};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// One draw.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SampleNeed {
    /// The beam whose logits are drawn from.
    pub from: BeamKey,
    /// How.
    pub request: SampleRequest,
}

/// One row to grow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GrowNeed {
    /// The beam that the row becomes. It holds all tokens of the row but the last.
    pub beam: BeamKey,
    /// What it continues, and how.
    pub row: GrowRow<BeamKey>,
}

/// New tokens for one score model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScoreNeed {
    /// The score model.
    pub model: String,
    /// The beam to score; from now on its own anchor.
    pub beam: BeamKey,
    /// The scored beam it continues: itself, an ancestor, or [`crate::ROOT`] for the bare prompt.
    pub anchor: BeamKey,
    /// The tokens after the anchor.
    pub tokens: Vec<Token>,
    /// Whether the answer ends with them.
    pub ended: bool,
}

/// One forced candidate.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Expansion {
    /// The token.
    pub token: Token,
    /// Its raw logit.
    pub logit: f32,
    /// Its log-probability.
    pub logprob: f32,
}

/// What must be done next. Everything about latents and logits is the caller's: needs name beams.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Need {
    /// Run the prompt; it becomes the beam [`crate::ROOT`]. Answer: `Done`.
    Prefill(Vec<Token>),
    /// The tracker's start. Answer: `Budget`.
    Start(Constraint),
    /// The policy's plan. Answer: `Plan`.
    Plan(Batch),
    /// Make the forks (parent, child), then append one token to each beam. Answer: `Done`.
    Step {
        /// Beams to make first.
        forks: Vec<(BeamKey, BeamKey)>,
        /// Tokens to append.
        rows: Vec<(BeamKey, Token)>,
    },
    /// Steer the latents of these beams. Answer: `Steered`.
    Steer(Batch),
    /// Draw tokens from the logits of beams. Answer: `Sampled`.
    Sample(Vec<SampleNeed>),
    /// Grow new beams by a chunk. Answer: `Grown`.
    Grow {
        /// What the rows have in common.
        growth: Growth,
        /// The rows.
        rows: Vec<GrowNeed>,
    },
    /// The k most likely next tokens of these beams. Answer: `Expanded`.
    Expand {
        /// The beams.
        rows: Vec<BeamKey>,
        /// k.
        k: u32,
    },
    /// The critic's estimates. Answer: `Estimated`.
    Estimate(Batch),
    /// Scores. Answer: `Scored`.
    Score(Vec<ScoreNeed>),
    /// Prices of the cost of this name. Answer: `Priced`.
    Price {
        /// The cost.
        cost: String,
        /// The rows.
        batch: Batch,
    },
    /// Prices, by the cost of this name, of tokens that a score model withholds, as the text reads now. They rank and are
    /// not charged. Answer: `Priced`.
    PriceTail {
        /// The cost.
        cost: String,
        /// The rows.
        batch: Batch,
    },
    /// The tracker's advance. Answer: `Advanced`.
    Advance {
        /// The constraint.
        constraint: Constraint,
        /// The rows.
        rows: Vec<Tracked>,
    },
    /// The policy's decision. Answer: `Decided`.
    Select(Batch),
    /// Free these beams, and these scored beams. Answer: `Done`.
    Release {
        /// Beams of the language model.
        beams: Vec<BeamKey>,
        /// Beams of the score models.
        scored: Vec<BeamKey>,
    },
    /// Nothing: the outcome is there.
    Nothing,
}

impl Need {
    /// Its name, for messages.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Prefill(_) => "prefill",
            Self::Start(_) => "start",
            Self::Plan(_) => "plan",
            Self::Step { .. } => "step",
            Self::Steer(_) => "steer",
            Self::Sample(_) => "sample",
            Self::Grow { .. } => "grow",
            Self::Expand { .. } => "expand",
            Self::Estimate(_) => "estimate",
            Self::Score(_) => "score",
            Self::Price { .. } => "price",
            Self::PriceTail { .. } => "price-tail",
            Self::Advance { .. } => "advance",
            Self::Select(_) => "select",
            Self::Release { .. } => "release",
            Self::Nothing => "nothing",
        }
    }
}

impl Need {
    /// The need as a trace keeps it: without the tokens and the text of prompt and answer that every row repeats.
    pub(crate) fn for_trace(mut self) -> Self {
        match &mut self {
            Self::Sample(needs) => {
                for SampleNeed { request, .. } in needs {
                    (request.prompt, request.repeated) = (Arc::default(), Vec::new());
                }
            }
            Self::Grow { growth, rows } => {
                growth.sampling.prompt = Arc::default();
                for GrowNeed { row, .. } in rows {
                    (row.repeated, row.text) = (Vec::new(), GrowingText::default());
                }
            }
            _ => {}
        }
        self
    }

    /// The rows that a role is asked about.
    pub(crate) fn batch_mut(&mut self) -> Option<&mut Batch> {
        match self {
            Self::Plan(batch)
            | Self::Select(batch)
            | Self::Estimate(batch)
            | Self::Steer(batch)
            | Self::Price { batch, .. }
            | Self::PriceTail { batch, .. } => Some(batch),
            _ => None,
        }
    }
}

/// What came of a need. Components may fail; that is an answer too.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// It is done.
    Done,
    /// To `Start`.
    Budget(Result<BudgetState, RoleFailure>),
    /// To `Plan`.
    Plan(Result<Plan, RoleFailure>),
    /// To `Steer`.
    Steered(Result<(), RoleFailure>),
    /// To `Sample`, in order.
    Sampled(Vec<Sampled>),
    /// To `Grow`, in order. A row that the back end could not grow is a failure, and has no beam.
    Grown(Vec<Result<Grown, FailureKind>>),
    /// To `Expand`, in order.
    Expanded(Vec<Vec<Expansion>>),
    /// To `Estimate`.
    Estimated(Result<Vec<Estimate>, RoleFailure>),
    /// To `Score`, in order.
    Scored(Vec<Scored>),
    /// To `Score`, in order, where a score model failed on some rows or on all.
    PartlyScored(Vec<Result<Scored, FailureKind>>),
    /// To `Price`.
    Priced(Result<Vec<Vec<f64>>, RoleFailure>),
    /// To `Advance`.
    Advanced(Result<Vec<Advanced>, RoleFailure>),
    /// To `Select`.
    Decided(Result<Decision, RoleFailure>),
}
