//! Means and deviations of what a network is shown.

use crate::{
    network::Scaling,
    objective::{Example, Inputs},
};

/// A running mean and sum of squared deviations.
#[derive(Debug, Clone, Copy, Default)]
struct Moments {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Moments {
    fn add(&mut self, value: f64) {
        self.count += 1.0;
        let before = value - self.mean;
        self.mean += before / self.count;
        self.squares += before * (value - self.mean);
    }

    fn deviation(&self) -> f64 {
        (self.squares / self.count.max(1.0)).sqrt()
    }

    /// A deviation of at least `least`, and 1 where nothing varies at all.
    fn scale(&self, least: f64) -> (f64, f64) {
        let deviation = self.deviation().max(least);
        (self.mean, if deviation > 0.0 { deviation } else { 1.0 })
    }
}

/// Measures examples. A number that hardly varies is not blown up: its deviation counts as at least a thousandth of the
/// average one.
pub(super) fn measure(examples: &[Example], inputs: &Inputs<'_>) -> Scaling {
    let mut columns = vec![Moments::default(); inputs.width()];
    let (mut value, mut row) = (Moments::default(), Vec::new());
    for example in examples {
        row.clear();
        inputs.write(example, &mut row);
        columns.iter_mut().zip(&row).for_each(|(column, number)| column.add(f64::from(*number)));
        value.add(example.value);
    }
    let average = columns.iter().map(Moments::deviation).sum::<f64>() / columns.len().max(1) as f64;
    Scaling { inputs: columns.iter().map(|one| one.scale(average / 1000.0)).collect(), value: value.scale(0.0) }
}
