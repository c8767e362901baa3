//! Answers a prompt under a bundle: `cargo run --example embed -- BUNDLE PROMPT`.
//!
//! The toy model stands in for a real one: any other `Model` goes into the same place.
#![expect(clippy::print_stdout, reason = "an example talks to its reader")]

use inferenceguard_host::{Bundle, CancelToken, EngineBuilder, Event, Output, Request, model::toy::ToyScript};
use std::{env, error::Error, path::Path};

const SCRIPT: &str = "vocab: <eos>* good bad plain
after : good 3, plain 3, bad 2, <eos> 1
score cost: bad 5
score reward cumulative: good 1, bad 2";

/// Answers, and shows text and progress on the way.
pub(crate) fn answer(bundle: &Bundle, prompt: &str) -> Result<Output, Box<dyn Error>> {
    let toy = ToyScript::parse(SCRIPT)?;
    let mut builder = EngineBuilder::new().model(Box::new(toy.model())).bundle(bundle);
    for score in toy.scores() {
        builder = builder.score_model(Box::new(score));
    }
    let engine = builder.build()?;

    Ok(engine.stream(Request::new(prompt), &CancelToken::new(), |event| match event {
        Event::Released { text } => println!("released: {text}"),
        Event::Progress(at) => println!("chunk {}: {} of {} candidates safe", at.chunk, at.safe, at.candidates),
        _ => {}
    })?)
}

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let (Some(folder), Some(prompt)) = (arguments.next(), arguments.next()) else {
        return Err("usage: embed BUNDLE PROMPT (words of the toy: good bad plain)".into());
    };
    let output = answer(&Bundle::open(Path::new(&folder))?, &prompt)?;
    println!("{:?}, {:?}: {}", output.status, output.finish, output.text);
    for constraint in &output.constraints {
        println!("{}: {:.2} of {:.2} spent", constraint.name, constraint.max_cost, constraint.budget);
    }
    Ok(())
}
