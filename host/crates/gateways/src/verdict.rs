//! Verdicts: what a bundle says of a text.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// How a text stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Every budget holds.
    Within,
    /// A budget is broken.
    Exceeded,
    /// A component or a score model failed, so nobody knows what the text costs.
    Failed,
    /// The text, or what it answers, cannot be judged here: an image, for instance.
    Unjudged,
}

impl Standing {
    /// Its name in answers and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Within => "within_budget",
            Self::Exceeded => "budget_exceeded",
            Self::Failed => "failed",
            Self::Unjudged => "unjudged",
        }
    }

    /// Whether the text may go out.
    #[must_use]
    pub fn passes(self) -> bool {
        self == Self::Within
    }
}

/// What becomes of text that may not go out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnUnsafe {
    /// The client gets an error.
    #[default]
    Block,
    /// The client gets the operator's refusal text.
    Replace,
}

impl OnUnsafe {
    /// `pass`, or what becomes of text with this standing.
    #[must_use]
    pub fn decision(self, standing: Standing) -> &'static str {
        match (standing.passes(), self) {
            (true, _) => "pass",
            (false, Self::Block) => "block",
            (false, Self::Replace) => "replace",
        }
    }

    /// The value with this name.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        match name {
            "block" => Some(Self::Block),
            "replace" => Some(Self::Replace),
            _ => None,
        }
    }
}

/// What a text costs by one constraint, in the unit of its cost.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Price {
    /// The constraint.
    pub name: String,
    /// The cost at the end of the text.
    pub spent: f64,
    /// The largest cost of any beginning of the text.
    pub max: f64,
    /// The cost in one piece, if it was priced so.
    pub whole: Option<f64>,
    /// The budget.
    pub budget: f64,
}

impl Price {
    /// The worst of the prices.
    #[must_use]
    pub fn worst(&self) -> f64 {
        self.max.max(self.spent).max(self.whole.unwrap_or(f64::NEG_INFINITY))
    }

    /// The worst price as a share of the budget, from 0 to 1. A price or budget that is no finite number counts as 1.
    #[must_use]
    pub fn share(&self) -> f64 {
        let share = self.worst() / self.budget;
        if share.is_finite() { share.clamp(0.0, 1.0) } else { 1.0 }
    }
}

/// Which bundle decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BundleName {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The digest of all its files.
    pub digest: String,
}

/// The models that a verdict depends on, by the digests of all that their numbers depend on.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct ModelNames {
    /// The language model: its tokenizer and template decide what is priced.
    pub model: String,
    /// The score models, by the names that costs use.
    pub scores: BTreeMap<String, String>,
}

/// What a bundle says of a text.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// The judgement's id, for logs.
    pub id: String,
    /// How the text stands.
    pub standing: Standing,
    /// What it costs by each constraint; empty if it was not priced.
    pub prices: Vec<Price>,
    /// Why it cannot be judged, where it cannot.
    pub reason: Option<String>,
    /// The components that failed, each as role, component and kind of failure.
    pub failures: Vec<String>,
    /// The text that the operator gives in place of an unsafe one.
    pub refusal: String,
    /// Characters that were judged, from the beginning of the text.
    pub judged_chars: usize,
    /// Which bundle decided.
    pub bundle: BundleName,
    /// The models that it depends on.
    pub models: ModelNames,
    /// The number of its activation.
    pub generation: u64,
    /// The lane in which it decides; `None` is the main one.
    pub lane: Option<String>,
}

impl Verdict {
    /// The names of the constraints that the text breaks. All of them if no price shows which: after a failure, or where the
    /// text breaks a budget only when it is spelled in other tokens.
    #[must_use]
    pub fn broken_constraints(&self) -> Vec<&str> {
        if self.standing.passes() {
            return Vec::new();
        }
        let all = self.prices.iter();
        let over: Vec<&str> =
            all.clone().filter(|price| price.worst() >= price.budget).map(|price| price.name.as_str()).collect();
        let shown = self.standing == Standing::Exceeded && !over.is_empty();
        if shown { over } else { all.map(|price| price.name.as_str()).collect() }
    }

    /// The object `inferenceguard` that every face adds to its answer.
    #[must_use]
    pub fn extension(&self) -> Value {
        json!({
            "id": self.id, "status": self.standing.name(), "constraints": self.prices, "failures": self.failures, "reason": self.reason,
            "judged_chars": self.judged_chars, "bundle": self.bundle, "models": self.models, "generation": self.generation, "lane": self.lane,
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A verdict with one constraint `harm` of budget 4.
    pub(crate) fn verdict(standing: Standing, spent: f64) -> Verdict {
        let price = Price { name: "harm".into(), spent, max: spent, whole: None, budget: 4.0 };
        Verdict {
            id: "judge-1".into(),
            standing,
            prices: vec![price],
            reason: None,
            failures: Vec::new(),
            refusal: "No.".into(),
            judged_chars: 3,
            bundle: BundleName { name: "toy".into(), version: "0.1.0".into(), digest: "sha256:d".into() },
            models: ModelNames::default(),
            generation: 7,
            lane: None,
        }
    }

    #[test]
    fn nothing_but_a_kept_budget_passes() {
        for (standing, block, replace) in [
            (Standing::Within, "pass", "pass"),
            (Standing::Exceeded, "block", "replace"),
            (Standing::Failed, "block", "replace"),
            (Standing::Unjudged, "block", "replace"),
        ] {
            assert_eq!(OnUnsafe::Block.decision(standing), block);
            assert_eq!(OnUnsafe::Replace.decision(standing), replace);
        }
    }

    #[test]
    fn a_share_is_between_nothing_and_all() {
        for (spent, share) in [(-1.0, 0.0), (0.0, 0.0), (1.0, 0.25), (4.0, 1.0), (9.0, 1.0), (f64::INFINITY, 1.0)] {
            assert!((verdict(Standing::Within, spent).prices[0].share() - share).abs() < 1e-12, "{spent}");
        }
        assert!(
            (Price { spent: f64::NAN, max: f64::NAN, ..verdict(Standing::Failed, 0.0).prices.remove(0) }.share() - 1.0)
                .abs()
                < 1e-12
        );
    }

    #[test]
    fn a_failure_or_a_hidden_breach_accuses_every_constraint() {
        for (standing, spent, broken) in [
            (Standing::Within, 1.0, vec![]),
            (Standing::Exceeded, 5.0, vec!["harm"]),
            (Standing::Exceeded, 1.0, vec!["harm"]),
            (Standing::Failed, 0.0, vec!["harm"]),
        ] {
            assert_eq!(verdict(standing, spent).broken_constraints(), broken, "{standing:?} {spent}");
        }
    }
}
