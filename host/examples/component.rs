//! A component as a unit test: loads one into the sandbox, prices a text with it, and shows what it charges.
//!
//! `cargo run --example component -- keyword-cost.wasm WORD TEXT`
#![expect(clippy::print_stdout, reason = "an example talks to its reader")]

use inferenceguard_host::{
    Limits, Sandbox, SettingValue,
    search::{Batch, BatchRow, Role},
};
use std::{collections::BTreeMap, env, error::Error, fs};

/// What the cost `keyword-cost` charges for a text that is one token long, if this word weighs 2.
pub(crate) fn price(component: &[u8], word: &str, text: &str) -> Result<Vec<f64>, Box<dyn Error>> {
    let sandbox = Sandbox::new(Limits { instances: 4, ..Limits::default() }, None)?;
    let words = SettingValue::Weighted(vec![(word.to_owned(), 2.0)]);
    let settings = BTreeMap::from([("words".to_owned(), words)]);
    let active = sandbox.load("keyword-cost", component)?.in_role(Role::Cost)?.activate(&settings)?;

    // A component reads what it declared. The host fills these columns; a test fills them by hand.
    let row = BatchRow {
        tokens: vec![0],
        length: 1,
        finished: true,
        text: text.to_owned(),
        text_ends: vec![u32::try_from(text.chars().count())?],
        ..BatchRow::default()
    };
    let batch = Batch { needs: active.needs().clone(), rows: [row].into(), ..Batch::default() };
    let prices = active.cost()?.price(&batch)?;
    prices.into_iter().next().ok_or_else(|| "the component priced no row".into())
}

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [component, word, text] = arguments.as_slice() else {
        return Err("usage: component FILE WORD TEXT".into());
    };
    println!("{:?}", price(&fs::read(component)?, word, text)?);
    Ok(())
}
