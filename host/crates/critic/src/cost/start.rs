//! Where the training of a head starts: how its inputs are scaled, and its first x.

use super::{fit::Job, objective::Form};
use crate::error::Result;

impl Job<'_> {
    /// Mean and deviation of every input on the tokens to learn from. A deviation counts as at least a thousandth of the average
    /// deviation, so that numbers that hardly vary are not amplified.
    pub(super) fn scaling(&self) -> Result<Vec<(f64, f64)>> {
        let width = self.data.latents.width(&self.places.0);
        let (mut sums, mut count, mut rows) = (vec![(0.0, 0.0); width], 0.0, Vec::new());
        for at in self.data.of(&self.data.parts.train) {
            rows.clear();
            self.data.latents.write(at, &self.places.0, &mut rows)?;
            for row in rows.chunks_exact(width.max(1)) {
                count += 1.0;
                for (sum, number) in sums.iter_mut().zip(row) {
                    let number = f64::from(*number);
                    *sum = (sum.0 + number, sum.1 + number * number);
                }
            }
        }
        let moments = |(sum, squares): (f64, f64)| {
            let mean = sum / f64::max(count, 1.0);
            (mean, (squares / f64::max(count, 1.0) - mean * mean).max(0.0).sqrt())
        };
        let moments: Vec<(f64, f64)> = sums.into_iter().map(moments).collect();
        let least = moments.iter().map(|(_, deviation)| deviation).sum::<f64>() / width.max(1) as f64 / 1000.0;
        let scale = |(mean, deviation): (f64, f64)| (mean, if least > 0.0 { deviation.max(least) } else { 1.0 });
        Ok(moments.into_iter().map(scale).collect())
    }

    /// Where x starts: for hazards such that an average answer is about as likely harmful as not.
    pub(super) fn prior(&self) -> f64 {
        let answers = self.data.of(&self.data.parts.train);
        let tokens = answers.iter().map(|at| self.data.answers[*at].tokens).sum::<usize>() as f64;
        let mean = (tokens / answers.len().max(1) as f64).max(1.0);
        if self.aim.form() == Form::Hazard { (0.7 / mean).ln() } else { 0.0 }
    }
}
