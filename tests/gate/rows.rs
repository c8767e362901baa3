//! What `bench --json` printed, round by round.

use crate::{
    problem::Problem,
    ratios::{Ratio, Round},
};
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    path::Path,
    process::{Command, Stdio},
};

/// The part of a report that is read. A program of another version may print more, so further fields are no error.
#[derive(Debug, Deserialize)]
struct Report {
    rows: Vec<Row>,
}

#[derive(Debug, Deserialize)]
struct Row {
    method: String,
    n: u32,
    prompt_tokens: usize,
    concurrency: usize,
    seconds_per_prompt: f64,
    usage: Usage,
}

#[derive(Debug, Deserialize)]
struct Usage {
    completion_tokens: u64,
}

/// The seconds of every case of one run, and how long its answers were.
pub(crate) type Run = BTreeMap<String, (f64, u64)>;

/// Runs `PROGRAM bench --json` with these options.
pub(crate) fn run(program: &Path, options: &[String]) -> Result<Run, Problem> {
    let mut command = Command::new(program);
    command.args(["bench", "--json"]).args(options).stdin(Stdio::null());
    let output = command.output().map_err(|source| Problem::Start { program: program.to_owned(), source })?;
    if !output.status.success() {
        let last = String::from_utf8_lossy(&output.stderr).lines().last().unwrap_or_default().to_owned();
        return Err(Problem::Failed { program: program.to_owned(), how: output.status.to_string(), last });
    }
    read(&output.stdout, program)
}

fn read(printed: &[u8], program: &Path) -> Result<Run, Problem> {
    let report: Result<Report, _> = serde_json::from_slice(printed);
    let report = report.map_err(|source| Problem::Printed { program: program.to_owned(), source })?;
    report.rows.iter().map(Row::timed).collect()
}

impl Row {
    fn timed(&self) -> Result<(String, (f64, u64)), Problem> {
        let Self { method, n, prompt_tokens, concurrency, seconds_per_prompt: seconds, usage } = self;
        let case = format!("{method} N = {n}, prompt {prompt_tokens}, {concurrency} at once");
        if *seconds > 0.0 && seconds.is_finite() {
            return Ok((case, (*seconds, usage.completion_tokens)));
        }
        Err(Problem::Time { case, found: *seconds })
    }
}

/// The times of all rounds so far.
#[derive(Debug, Default)]
pub(crate) struct Rounds(BTreeMap<String, Vec<Round>>);

impl Rounds {
    /// Adds the runs of one round.
    pub(crate) fn add(&mut self, old: Run, new: Run) -> Result<(), Problem> {
        let unlike = |found: String| Err(Problem::Unlike { found });
        let (before, after): (Vec<&String>, Vec<&String>) = (old.keys().collect(), new.keys().collect());
        if before != after || before.is_empty() {
            return unlike(format!("the old program measured {before:?}, the new one {after:?}"));
        }
        if !self.0.is_empty() && self.0.keys().ne(old.keys()) {
            return unlike(format!("the first round measured {:?}, this one {before:?}", self.0.keys()));
        }
        for ((case, (old, before)), (new, after)) in old.into_iter().zip(new.into_values()) {
            if before != after {
                return unlike(format!(
                    "{case}: answers of {before} tokens from the old program, {after} from the new"
                ));
            }
            self.0.entry(case).or_default().push((old, new));
        }
        Ok(())
    }

    /// The ratio of every case.
    pub(crate) fn ratios(&self) -> Vec<(String, Ratio)> {
        self.0.iter().filter_map(|(case, rounds)| Some((case.clone(), Ratio::of(rounds)?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(cases: &[(&str, f64, u64)]) -> Run {
        cases.iter().map(|(case, seconds, tokens)| ((*case).to_owned(), (*seconds, *tokens))).collect()
    }

    #[test]
    fn rows_of_a_report_are_read_by_their_case() {
        let row = |seconds: &str| {
            format!(
                r#"{{"version": "9", "new_field": 1, "rows": [{{"method": "base", "n": 1, "prompt_tokens": 64,
                "concurrency": 4, "seconds_per_prompt": {seconds}, "usage": {{"completion_tokens": 128, "retries": 0}}}}]}}"#
            )
        };
        let read = |text: &str| read(text.as_bytes(), Path::new("p")).map_err(|problem| problem.to_string());
        assert_eq!(read(&row("0.25")), Ok(run(&[("base N = 1, prompt 64, 4 at once", 0.25, 128)])));
        assert!(read(&row("0")).unwrap_err().contains("found 0 seconds per prompt; expected a time above 0"));
        for text in ["", "[]", "{}", r#"{"rows": [{"method": "base"}]}"#] {
            assert!(read(text).unwrap_err().contains("p printed no rows of a bench"), "{text}");
        }
    }

    #[test]
    fn rounds_are_paired_by_case() {
        let mut rounds = Rounds::default();
        for _ in 0..5 {
            rounds.add(run(&[("a", 1.0, 8), ("b", 2.0, 8)]), run(&[("b", 2.0, 8), ("a", 2.0, 8)])).unwrap();
        }
        let ratios: Vec<(String, f64)> = rounds.ratios().into_iter().map(|(case, one)| (case, one.ratio)).collect();
        assert_eq!(ratios, [("a".to_owned(), 0.5), ("b".to_owned(), 1.0)]);
    }

    #[test]
    fn runs_that_did_other_work_are_not_compared() {
        let one = || run(&[("a", 1.0, 8)]);
        let cases = [
            (one(), run(&[("b", 1.0, 8)]), "the old program measured [\"a\"], the new one [\"b\"]"),
            (one(), run(&[("a", 1.0, 7)]), "answers of 8 tokens from the old program, 7 from the new"),
            (run(&[("b", 1.0, 8)]), run(&[("b", 1.0, 8)]), "the first round measured [\"a\"], this one [\"b\"]"),
            (run(&[]), run(&[]), "the old program measured [], the new one []"),
        ];
        for (old, new, why) in cases {
            let mut rounds = Rounds::default();
            rounds.add(one(), one()).unwrap();
            let error = rounds.add(old, new).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn a_program_that_cannot_be_run_is_named() {
        let error = super::run(Path::new("no-such-program"), &[]).unwrap_err().to_string();
        assert!(error.contains("no-such-program does not start"), "{error}");
        let error = super::run(Path::new("false"), &[]).unwrap_err().to_string();
        assert!(error.contains("false ended with exit status: 1"), "{error}");
    }
}
