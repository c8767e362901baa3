//! The time to pass numbers of 32 rows to a component.

use crate::{
    sandbox_support::{activate, rows},
    stopwatch::{Stopwatch, limited, plain},
};
use std::hint::black_box;

const ROWS: u64 = 32;

pub(crate) fn measure(watch: Stopwatch) {
    plain("a call that reads the tokens of 32 rows", call(watch, "ok", 0));
    limited("a call that reads 32 rows of top-64", call(watch, "read-top-k", 0), 0.1);
    limited("a call that reads 32 latents of 4096", call(watch, "read-latents", 4096), 0.5);
}

fn call(watch: Stopwatch, mode: &str, width: usize) -> f64 {
    let active = activate("rogue-cost", mode).expect("a cost");
    let mut batch = rows(ROWS, active.needs());
    batch.rows_mut().iter_mut().for_each(|row| row.latent = Some(vec![0.5; width].into()));
    let mut cost = active.cost().expect("an instance");
    watch.time(|| drop(black_box(cost.price(black_box(&batch)).expect("prices"))))
}
