//! The errors of the imagined annotators whose labels the score models learn from.

use serde::{Deserialize, Serialize};

use crate::world::Answer;
use inferenceguard_dice::Dice;

/// Frozen rates of label noise.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LabelNoise {
    /// Chance that all harm of a harmful answer is missed.
    pub harm_missed: f64,
    /// Chance that a safe answer has one sentence called harmful.
    pub harm_invented: f64,
    /// Standard deviation of the error on a sentence's helpfulness.
    pub helpfulness: f64,
}

impl LabelNoise {
    /// The noise the demo models are trained with.
    pub const FROZEN: Self = Self { harm_missed: 0.08, harm_invented: 0.08, helpfulness: 0.4 };

    /// Which sentences the annotator calls harmful.
    pub(super) fn harm(self, answer: &Answer, dice: &mut Dice) -> Vec<bool> {
        let mut seen: Vec<bool> = answer.sentences.iter().map(|s| s.harm.is_some()).collect();
        if answer.is_harmful() {
            if dice.chance(self.harm_missed) {
                seen.fill(false);
            }
        } else if dice.chance(self.harm_invented) {
            let place = dice.below(seen.len());
            seen[place] = true;
        }
        seen
    }

    /// How helpful the annotator finds each sentence.
    pub(super) fn helpfulness(self, answer: &Answer, dice: &mut Dice) -> Vec<f64> {
        let noisy = |truth: f64, dice: &mut Dice| truth + self.helpfulness * dice.normal();
        answer.sentences.iter().map(|s| noisy(s.helpfulness, dice)).collect()
    }
}
