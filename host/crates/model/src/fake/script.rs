//! The script of a fake engine.

use std::collections::BTreeMap;

/// A kind of call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Call {
    /// [`Generator::open`](crate::Generator::open).
    Open,
    /// [`Generator::fork`](crate::Generator::fork).
    Fork,
    /// [`Generator::append`](crate::Generator::append).
    Append,
    /// [`Generator::grow`](crate::Generator::grow).
    Grow,
    /// [`Generator::logprobs`](crate::Generator::logprobs).
    Logprobs,
    /// [`Generator::latents`](crate::Generator::latents).
    Latents,
}

/// What goes wrong in a call; numbers are rows of it. The table at [`crate::fake`] says what each does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// `time-out`
    TimeOut,
    /// `error`
    Error,
    /// `restart`
    Restart,
    /// `row-error R`
    RowError(usize),
    /// `missing R`
    Missing(usize),
    /// `wrong-beam R`
    WrongBeam(usize),
    /// `outside R`
    Outside(usize),
    /// `too-many R`
    TooMany(usize),
    /// `clipped R`
    Clipped(usize),
    /// `nan R`
    Nan(usize),
}

/// A line that is not understood.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("line {line} of the script: {found:?} is not `CALL NUMBER: FAULT`, as the page of `fake` lists them")]
pub struct FaultError {
    /// Its number, from 1.
    pub line: usize,
    /// The line.
    pub found: String,
}

/// The faults by call and number.
pub(super) type Faults = BTreeMap<(Call, u64), Fault>;

pub(super) fn parse(text: &str) -> Result<Faults, FaultError> {
    let mut faults = Faults::new();
    for (i, line) in text.lines().enumerate() {
        let entry = line.split_once('#').map_or(line, |(entry, _)| entry).trim();
        if entry.is_empty() {
            continue;
        }
        let (call, fault) = one(entry).ok_or_else(|| FaultError { line: i + 1, found: line.to_owned() })?;
        faults.insert(call, fault);
    }
    Ok(faults)
}

fn one(entry: &str) -> Option<((Call, u64), Fault)> {
    let (call, fault) = entry.split_once(':')?;
    let (name, number) = call.trim().split_once(' ')?;
    let call = call_of(name)?;
    let (fault, row) = fault.trim().split_once(' ').map_or((fault.trim(), None), |(fault, row)| (fault, Some(row)));
    let row = match row {
        Some(row) => Some(row.trim().parse().ok()?),
        None => None,
    };
    let fault = fault_of(fault, row)?;
    let by_row = !matches!(fault, Fault::TimeOut | Fault::Error | Fault::Restart);
    let reads = matches!((call, fault), (Call::Logprobs | Call::Latents, Fault::Nan(_)));
    (!by_row || call == Call::Grow || reads).then_some(((call, number.trim().parse().ok()?), fault))
}

fn call_of(name: &str) -> Option<Call> {
    Some(match name {
        "open" => Call::Open,
        "fork" => Call::Fork,
        "append" => Call::Append,
        "grow" => Call::Grow,
        "logprobs" => Call::Logprobs,
        "latents" => Call::Latents,
        _ => return None,
    })
}

fn fault_of(name: &str, row: Option<usize>) -> Option<Fault> {
    Some(match (name, row) {
        ("time-out", None) => Fault::TimeOut,
        ("error", None) => Fault::Error,
        ("restart", None) => Fault::Restart,
        ("row-error", Some(row)) => Fault::RowError(row),
        ("missing", Some(row)) => Fault::Missing(row),
        ("wrong-beam", Some(row)) => Fault::WrongBeam(row),
        ("outside", Some(row)) => Fault::Outside(row),
        ("too-many", Some(row)) => Fault::TooMany(row),
        ("clipped", Some(row)) => Fault::Clipped(row),
        ("nan", Some(row)) => Fault::Nan(row),
        _ => return None,
    })
}
