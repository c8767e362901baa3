//! Reads a file of records and checks it, without any model, component or engine:
//! `cargo run -p inferenceguard-record --example verify -- FILE`.
#![expect(clippy::print_stdout, reason = "an example talks to its reader")]

use inferenceguard_record::read;
use std::{collections::BTreeMap, env, error::Error, path::Path};

/// What was found in a file whose records all verify.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Found {
    pub(crate) records: usize,
    /// Records that still have their body, so that their sums could be checked.
    pub(crate) with_body: usize,
    /// How many answers had each status.
    pub(crate) statuses: BTreeMap<String, usize>,
}

/// Checks the chain of headers, and the sums of every record that has a body. The first record that is wrong is the error.
pub(crate) fn verify(path: &Path) -> Result<Found, Box<dyn Error>> {
    let mut found = Found::default();
    for line in read(path)? {
        let line = line?;
        if let Some(body) = &line.body {
            body.verify()?;
            found.with_body += 1;
        }
        found.records += 1;
        *found.statuses.entry(format!("{:?}", line.header.status)).or_default() += 1;
    }
    Ok(found)
}

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let file = env::args().nth(1).ok_or("usage: verify FILE")?;
    let found = verify(Path::new(&file))?;
    println!("{} records verify, {} of them with a body: {:?}", found.records, found.with_body, found.statuses);
    Ok(())
}
