//! Many cases with the same times.

use crate::{Case, Outcome, Report, ScalingError, Times, simulate, times::is_count};

/// Which cases are simulated: all combinations.
#[derive(Debug, Clone, PartialEq)]
pub struct Sweep {
    /// Numbers of language replicas.
    pub replicas: Vec<usize>,
    /// Score replicas for each language replica.
    pub scores: Vec<usize>,
    /// Numbers of candidates.
    pub ns: Vec<usize>,
}

impl Default for Sweep {
    fn default() -> Self {
        let replicas = (0..9).map(|power| 1 << power).collect();
        Self { replicas, scores: vec![1, 2, 4], ns: vec![8, 32, 128] }
    }
}

/// One case and what it gives.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Row {
    pub(crate) case: Case,
    /// Score replicas for each language replica.
    pub(crate) scores: usize,
    pub(crate) outcome: Outcome,
}

impl Sweep {
    /// Simulates every case, with and without affinity; without, one number of score replicas is enough: the largest.
    ///
    /// # Errors
    /// [`ScalingError`] for numbers that cannot be.
    pub fn run(&self, times: &Times) -> Result<Report, ScalingError> {
        let lists = [("replicas", &self.replicas), ("scores", &self.scores), ("n", &self.ns)];
        for (name, list) in lists {
            list.iter().try_for_each(|count| is_count(name, *count))?;
            if list.is_empty() {
                return Err(ScalingError::number(name, "an empty list", "at least one number"));
            }
        }
        let mut rows = Vec::new();
        for n in &self.ns {
            let most = self.scores.iter().max().copied().unwrap_or(1);
            let with = self.scores.iter().map(|scores| (*scores, true));
            for (scores, affinity) in with.chain([(most, false)]) {
                for replicas in &self.replicas {
                    rows.push(row(times, (*replicas, scores), *n, affinity)?);
                }
            }
        }
        Ok(Report { times: times.clone(), rows })
    }
}

fn row(times: &Times, (language, scores): (usize, usize), n: usize, affinity: bool) -> Result<Row, ScalingError> {
    let case = Case::full(times, language, language.saturating_mul(scores), n, affinity);
    Ok(Row { case, scores, outcome: simulate(times, &case)? })
}
