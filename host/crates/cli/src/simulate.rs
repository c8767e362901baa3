//! `simulate`: answers a second over many replicas, from measured times.

use crate::output;
use clap::Args;
use inferenceguard_scaling::{Sweep, Times};
use std::path::PathBuf;

/// See `simulate`.
#[derive(Debug, Args)]
pub(crate) struct SimulateArguments {
    /// A TOML file of measured times; those of SCALING.md if not given
    #[arg(long, value_name = "FILE")]
    times: Option<PathBuf>,
    /// Servers of the language model
    #[arg(long, value_delimiter = ',', default_value = "1,2,4,8,16,32,64,128,256")]
    replicas: Vec<usize>,
    /// Servers of the score model for each of those
    #[arg(long, value_delimiter = ',', default_value = "1,2,4")]
    scores: Vec<usize>,
    /// Numbers of candidates, the continuations compared
    #[arg(long = "n", value_delimiter = ',', default_value = "8,32,128")]
    ns: Vec<usize>,
    /// How many times as fast as measured these servers are; this program stays as it is
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0)]
    engines_faster: f64,
    /// Writes scaling.csv, scaling.md and scaling.svg into this folder, which must exist
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Simulates every case, prints the table, and writes files.
pub(crate) fn run(arguments: &SimulateArguments) -> anyhow::Result<()> {
    let SimulateArguments { times, replicas, scores, ns, engines_faster, out } = arguments;
    let times = Times::read(times.as_deref())?.with_faster_engines(*engines_faster)?;
    let sweep = Sweep { replicas: replicas.clone(), scores: scores.clone(), ns: ns.clone() };
    let report = sweep.run(&times)?;
    if let Some(folder) = out {
        output::file(&folder.join("scaling.csv"), report.csv().as_bytes())?;
        output::file(&folder.join("scaling.md"), report.markdown().as_bytes())?;
        output::file(&folder.join("scaling.svg"), report.plot()?.svg.as_bytes())?;
    }
    output::tables(report.table().trim_end())
}
