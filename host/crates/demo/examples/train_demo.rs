//! Trains the demo models: `cargo run --release --example train_demo -- OUT [BASE_STEPS SCORE_STEPS]`.

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use inferenceguard_demo::models::{Options, train};

#[expect(clippy::print_stdout, reason = "a program whose result is its report")]
fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let out = arguments.first().context("name the folder to write")?;
    let mut options = Options::new(out);
    if let [_, base, score, ..] = arguments.as_slice() {
        (options.base_steps, options.score_steps) = (base.parse()?, score.parse()?);
        options.keep_base = options.base_steps == 0;
        options.base_steps = options.base_steps.max(1);
    }
    let progress = ProgressBar::new(0);
    progress.set_style(ProgressStyle::with_template("{elapsed_precise} {wide_bar} {pos}/{len} {msg} ({eta} left)")?);
    let report = train(&options, &progress)?;
    progress.finish_and_clear();
    println!("{report}");
    Ok(())
}
