//! Calibrates a trained head on the labels of the validation.

use super::{
    aim::{Aim, RewardObjective},
    calibration::{line, reward_line},
    fit::{Head, Job},
    objective::CostObjective,
};
use crate::{error::Result, network::Line};

impl Job<'_> {
    /// What calibrates the x of a head, by the validation.
    pub(super) fn calibration(&self, head: &Head) -> Result<Line> {
        match self.aim {
            Aim::Cost(objective) => self.cost_line(head, objective),
            Aim::Reward(objective) => self.calibrated_reward(head, objective),
        }
    }

    fn calibrated_reward(&self, head: &Head, objective: RewardObjective) -> Result<Line> {
        let units = &self.data.parts.validation;
        let graded = if objective == RewardObjective::Graded { self.data.fitted(&self.data.of(units)) } else { vec![] };
        let at: Vec<usize> = graded.iter().map(|(at, _)| *at).collect();
        let graded: Vec<(f64, f64)> =
            self.ends(head, &at)?.into_iter().zip(graded.iter().map(|(_, grade)| *grade)).collect();
        let (lower, higher): (Vec<usize>, Vec<usize>) = self.data.pairs(units).into_iter().unzip();
        let pairs = self.ends(head, &lower)?.into_iter().zip(self.ends(head, &higher)?).collect::<Vec<_>>();
        Ok(reward_line(&graded, &pairs))
    }

    /// The line of the validation's labels; (1, 0) without labels of both kinds.
    fn cost_line(&self, head: &Head, objective: CostObjective) -> Result<Line> {
        let labelled = self.data.labelled(&self.data.of(&self.data.parts.validation));
        let harmful = labelled.iter().filter(|(_, harmful)| *harmful).count();
        if harmful == 0 || harmful == labelled.len() {
            return Ok((1.0, 0.0));
        }
        let answers: Vec<usize> = labelled.iter().map(|(at, _)| *at).collect();
        let xs = self.outputs(head, &answers)?;
        let pairs: Vec<(&[f64], bool)> =
            xs.iter().zip(&labelled).map(|(xs, (_, harmful))| (xs.as_slice(), *harmful)).collect();
        Ok(line(objective, &pairs))
    }
}
