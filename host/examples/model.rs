//! Answers a prompt by a model from disk under a bundle: `cargo run --example model -- MODEL BUNDLE PROMPT`.
//!
//! MODEL is a Hugging Face folder or one GGUF file. BUNDLE is a folder that `inferguard bundle init BUNDLE --template words` writes;
//! a bundle with score models needs them as well (`EngineBuilder::score_model`, `CandleScoreModel`).
#![expect(clippy::print_stdout, reason = "an example talks to its reader")]

use inferenceguard_candle::{CandleModel, LoadOptions};
use inferenceguard_host::{Bundle, CancelToken, Engine, EngineBuilder, Event, Output, Request};
use std::{env, error::Error, path::Path};

/// An engine of a model from disk.
pub(crate) fn engine(model: &Path, bundle: &Bundle) -> Result<Engine, Box<dyn Error>> {
    let model = CandleModel::load(model, &LoadOptions::default())?;
    Ok(EngineBuilder::new().model(Box::new(model)).bundle(bundle).build()?)
}

/// Answers, and shows text as it is released.
pub(crate) fn answer(engine: &Engine, prompt: &str, mut show: impl FnMut(&str)) -> Result<Output, Box<dyn Error>> {
    Ok(engine.stream(Request::new(prompt), &CancelToken::new(), |event| {
        if let Event::Released { text } = event {
            show(&text);
        }
    })?)
}

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [model, bundle, prompt] = &arguments[..] else {
        return Err("usage: model MODEL BUNDLE PROMPT".into());
    };
    let engine = engine(Path::new(model), &Bundle::open(Path::new(bundle))?)?;
    let output = answer(&engine, prompt, |text| print!("{text}"))?;
    println!("\n{:?}, {:?}", output.status, output.finish);
    Ok(())
}
