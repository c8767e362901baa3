//! Instructions of the hot paths, counted by callgrind, beside their limits.
//!
//! Counts hardly vary from run to run, and not at all with what else the machine does. They are no time: what waits for memory
//! costs more than they show. Valgrind knows no AVX-512 and hides it, so the AVX2 kernels are counted on every machine.

use crate::problem::Problem;
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

/// What a count may exceed its limit by, as a share of it: hash tables are seeded afresh in every process, and the C library
/// differs between systems.
const TOLERANCE: f64 = 0.03;

/// The machine of the limits, as the program of the hot paths names it under valgrind.
const MACHINE: &str = "x86_64 with AVX2 and FMA";

/// The function whose instructions count, with all that it calls.
const COUNTED: &str = "*counted_work*";

/// Counts by the name of the hot path.
pub(crate) type Counts = BTreeMap<String, u64>;

/// The limits, beside this file.
pub(crate) fn limits_file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("gate/counts.json")
}

/// Counts each hot path in a process of its own.
pub(crate) fn measure(program: &Path) -> Result<Counts, Problem> {
    let machine = printed(valgrind("none").arg(program).arg("--machine"), program)?;
    if machine.trim() != MACHINE {
        return Err(Problem::OtherMachine { found: machine.trim().to_owned(), expected: MACHINE });
    }
    let folder = tempfile::tempdir().map_err(|source| Problem::File { path: std::env::temp_dir(), source })?;
    let file = folder.path().join("callgrind.out");
    let names = printed(Command::new(program).arg("--names"), program)?;
    names.lines().map(|name| Ok((name.to_owned(), count(program, name, &file)?))).collect()
}

fn valgrind(tool: &str) -> Command {
    let mut command = Command::new("valgrind");
    command.args(["-q", &format!("--tool={tool}")]);
    command
}

fn count(program: &Path, name: &str, file: &Path) -> Result<u64, Problem> {
    let mut command = valgrind("callgrind");
    command.arg(format!("--toggle-collect={COUNTED}")).arg(format!("--callgrind-out-file={}", file.display()));
    printed(command.arg(program).arg(name), program)?;
    let text = fs::read_to_string(file).map_err(|source| Problem::File { path: file.to_owned(), source })?;
    total(&text).ok_or_else(|| Problem::Uncounted { case: name.to_owned() })
}

/// The total of a file of callgrind, if it is above 0.
fn total(text: &str) -> Option<u64> {
    let total = text.lines().find_map(|line| line.strip_prefix("totals:"))?;
    total.trim().parse().ok().filter(|count| *count > 0)
}

/// What a command printed on its standard output.
fn printed(command: &mut Command, program: &Path) -> Result<String, Problem> {
    let is_valgrind = command.get_program() == "valgrind";
    let output = command.stdin(Stdio::null()).output().map_err(|source| match is_valgrind {
        true => Problem::NoValgrind(source),
        false => Problem::Start { program: program.to_owned(), source },
    })?;
    succeeded(output, program)
}

fn succeeded(output: Output, program: &Path) -> Result<String, Problem> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        return Ok(text(&output.stdout));
    }
    let last = text(&output.stderr).lines().last().unwrap_or_default().to_owned();
    Err(Problem::Failed { program: program.to_owned(), how: output.status.to_string(), last })
}

/// Reads the limits.
pub(crate) fn limits(path: &Path) -> Result<Counts, Problem> {
    let text = fs::read_to_string(path).map_err(|source| Problem::File { path: path.to_owned(), source })?;
    serde_json::from_str(&text).map_err(|source| Problem::Limits { path: path.to_owned(), source })
}

/// Writes counts as limits.
pub(crate) fn record(path: &Path, counts: &Counts) -> Result<(), Problem> {
    let wrong = |source: io::Error| Problem::File { path: path.to_owned(), source };
    let text = serde_json::to_string_pretty(counts).map_err(|error| wrong(error.into()))?;
    fs::write(path, text + "\n").map_err(wrong)
}

/// One hot path beside its limit.
#[derive(Debug, PartialEq)]
pub(crate) struct Compared {
    /// Its name.
    pub(crate) name: String,
    /// What was counted.
    pub(crate) found: Option<u64>,
    /// Its limit.
    pub(crate) limit: Option<u64>,
    /// What follows.
    pub(crate) verdict: Verdict,
}

/// What a count says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Within the tolerance.
    Passes,
    /// Fewer than the tolerance allows for: the limit can be lowered.
    Fewer,
    /// More.
    More,
    /// It has no limit.
    Unlimited,
    /// A limit has no hot path.
    Gone,
}

impl Verdict {
    fn of(found: Option<u64>, limit: Option<u64>) -> Self {
        match (found, limit) {
            (Some(found), Some(limit)) if found as f64 > limit as f64 * (1.0 + TOLERANCE) => Self::More,
            (Some(found), Some(limit)) if (found as f64) < limit as f64 * (1.0 - TOLERANCE) => Self::Fewer,
            (Some(_), Some(_)) => Self::Passes,
            (Some(_), None) => Self::Unlimited,
            (None, _) => Self::Gone,
        }
    }

    /// Whether the gate passes.
    pub(crate) fn passes(self) -> bool {
        matches!(self, Self::Passes | Self::Fewer)
    }

    fn words(self) -> &'static str {
        match self {
            Self::Passes => "passes",
            Self::Fewer => "fewer: `tests/gate/run --record` lowers the limit",
            Self::More => "**more**",
            Self::Unlimited => "**no limit**: `tests/gate/run --record` makes it one",
            Self::Gone => "**not measured**: the program has no hot path of this name",
        }
    }
}

/// Every hot path that was counted or has a limit.
pub(crate) fn compare(found: &Counts, limits: &Counts) -> Vec<Compared> {
    let mut names: Vec<&String> = found.keys().chain(limits.keys()).collect();
    names.sort_unstable();
    names.dedup();
    let one = |name: &String| {
        let (found, limit) = (found.get(name).copied(), limits.get(name).copied());
        Compared { name: name.clone(), found, limit, verdict: Verdict::of(found, limit) }
    };
    names.into_iter().map(one).collect()
}

/// A Markdown table, one row for each.
pub(crate) fn table(compared: &[Compared]) -> String {
    let mut out = "| hot path | instructions | limit | ratio | |\n|---|---|---|---|---|".to_owned();
    let number = |count: Option<u64>| count.map_or_else(|| "–".to_owned(), |count| count.to_string());
    for Compared { name, found, limit, verdict } in compared {
        let ratio = found.zip(*limit).map(|(found, limit)| format!("{:.3}", found as f64 / limit as f64));
        let (found, limit, words) = (number(*found), number(*limit), verdict.words());
        let _ = write!(out, "\n| {name} | {found} | {limit} | {} | {words} |", ratio.unwrap_or_default());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(all: &[(&str, u64)]) -> Counts {
        all.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
    }

    #[test]
    fn the_total_of_a_file_is_read() {
        let file = "# callgrind format\nevents: Ir\nsummary: 862161\n\nfn=(1) main\n0 5\ntotals: 862161\n";
        assert_eq!(total(file), Some(862_161));
        for nothing in ["", "events: Ir\n", "totals: 0\n", "totals: many\n"] {
            assert_eq!(total(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn counts_beyond_the_tolerance_fail_and_so_do_missing_limits() {
        use Verdict::{Fewer, Gone, More, Passes, Unlimited};
        let limits = counts(&[("a", 1000), ("b", 1000), ("c", 1000), ("d", 1000), ("e", 1000)]);
        let found = counts(&[("a", 1030), ("b", 1031), ("c", 970), ("d", 969), ("f", 5)]);
        let compared = compare(&found, &limits);
        let verdicts: Vec<(&str, Verdict, bool)> =
            compared.iter().map(|one| (one.name.as_str(), one.verdict, one.verdict.passes())).collect();
        let expected = [
            ("a", Passes, true),
            ("b", More, false),
            ("c", Passes, true),
            ("d", Fewer, true),
            ("e", Gone, false),
            ("f", Unlimited, false),
        ];
        assert_eq!(verdicts, expected);
        let table = table(&compared);
        assert!(table.contains("\n| b | 1031 | 1000 | 1.031 | **more** |\n"), "{table}");
        assert!(table.ends_with("| f | 5 | – |  | **no limit**: `tests/gate/run --record` makes it one |"), "{table}");
    }

    #[test]
    fn what_is_recorded_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("counts.json");
        let counts = counts(&[("draw", 17), ("step-8", 23)]);
        record(&path, &counts).unwrap();
        assert_eq!(limits(&path).unwrap(), counts);
        fs::write(&path, "{\"draw\": -1}").unwrap();
        assert!(limits(&path).unwrap_err().to_string().contains("expected one count for each name"));
        assert!(limits(&folder.path().join("absent")).is_err());
    }

    #[test]
    fn the_limits_of_this_repository_are_whole() {
        let limits = limits(&limits_file()).unwrap();
        assert!(!limits.is_empty() && limits.values().all(|limit| *limit > 0), "record them: {limits:?}");
    }

    #[test]
    fn a_program_that_fails_is_named_with_its_last_line() {
        let error = printed(Command::new("sh").args(["-c", "echo why >&2; exit 3"]), Path::new("hot-paths"));
        assert_eq!(error.unwrap_err().to_string(), "hot-paths ended with exit status: 3; its last line: why");
        let error = printed(&mut Command::new("no-such-program"), Path::new("no-such-program")).unwrap_err();
        assert!(!error.is_left_out() && error.to_string().contains("does not start"), "{error}");
    }
}
