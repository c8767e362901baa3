//! What a dry run found, in words.

use super::{ModelAhead, TimeAhead, models::Ahead};
use crate::{TrialError, eval::under_test::Bundled};
use inferenceguard_catalog::hub::megabytes;
use serde::Serialize;
use std::{collections::BTreeMap, fmt};

/// One row of one model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RowAhead {
    /// The model's name.
    pub model: String,
    /// The row's label.
    pub row: String,
    /// The method.
    pub method: String,
    /// Its number of candidates, if it has such a number.
    pub n: Option<u32>,
    /// The most tokens of an answer, by the bundle.
    pub max_tokens: Option<u32>,
    /// Why it would be skipped, as far as the bundle alone shows.
    pub not_run: Option<String>,
}

/// The prompts of the evaluation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PromptsAhead {
    /// Their name.
    pub name: String,
    /// How many, attacks included.
    pub count: usize,
    /// How often each is answered by every row.
    pub seeds: usize,
    /// Tokens of the longest, in the first language model's template; absent if its texts could not be opened.
    pub longest: Option<usize>,
    /// How many leave no room for an answer.
    pub too_long: usize,
}

/// The memory that is needed at once. What lies between layers, and the program itself, come on top.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Memory {
    /// Bytes of the weights of all models; they are all held at once.
    pub weights: u64,
    /// Bytes of keys and values for the longest prompt and the most candidates, of every model but the judges.
    pub states: u64,
    /// The most candidates of a row.
    pub candidates: u32,
    /// The most tokens of an answer.
    pub max_tokens: u32,
}

impl Memory {
    pub(super) fn of(models: &[Ahead], rows: &[RowAhead], prompts: Option<&PromptsAhead>, bundled: &[Bundled]) -> Self {
        let played = || rows.iter().filter(|row| row.not_run.is_none());
        let candidates = played().filter_map(|row| row.n).max().unwrap_or(1);
        let max_tokens = bundled.iter().map(|one| one.bundle.manifest().max_tokens).max().unwrap_or(0);
        let prompt = prompts.and_then(|prompts| prompts.longest).unwrap_or(0) as u64;
        let tokens = prompt + u64::from(candidates) * u64::from(max_tokens);
        let about = || models.iter().map(|one| &one.about);
        // A judge reads one answer after the other.
        let states =
            |one: &ModelAhead| one.token_bytes.saturating_mul(if one.role == "judge" { prompt } else { tokens });
        let states = about().map(states).fold(0, u64::saturating_add);
        Self { weights: about().map(|one| one.weight_bytes).sum(), states, candidates, max_tokens }
    }
}

/// What a dry run found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DryRun {
    /// The models.
    pub models: Vec<ModelAhead>,
    /// The rows.
    pub rows: Vec<RowAhead>,
    /// The prompts, if they could be read.
    pub prompts: Option<PromptsAhead>,
    /// The memory.
    pub memory: Memory,
    /// The time, if something was measured.
    pub time: Option<TimeAhead>,
    /// What is missing or wrong: the evaluation would end with an error.
    pub problems: Vec<String>,
}

impl DryRun {
    /// Whether the evaluation could begin.
    ///
    /// # Errors
    /// [`TrialError::NotReady`] with everything that is missing.
    pub fn ready(&self) -> Result<(), TrialError> {
        match self.problems.is_empty() {
            true => Ok(()),
            false => Err(TrialError::NotReady { count: self.problems.len(), problems: self.problems.join("; ") }),
        }
    }

    fn write_models(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Models")?;
        for one in &self.models {
            let template = one.template.as_deref().unwrap_or("unknown");
            let from = if one.template_from.is_empty() {
                "by option, bundle or default".to_owned()
            } else {
                one.template_from.join(", ")
            };
            writeln!(f, "  {} {} ({})", one.role, one.name, one.place.display())?;
            writeln!(
                f,
                "    {} million numbers, {} of weights, {} bytes a token",
                one.numbers / 1_000_000,
                megabytes(one.weight_bytes),
                one.token_bytes
            )?;
            writeln!(f, "    template {template} ({from})")?;
            let files: Vec<String> =
                one.found.iter().map(|(name, bytes)| format!("{name} {}", megabytes(*bytes))).collect();
            writeln!(f, "    files: {}", if files.is_empty() { "none".to_owned() } else { files.join(", ") })?;
        }
        Ok(())
    }

    fn write_rows(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let skipped: Vec<&RowAhead> = self.rows.iter().filter(|row| row.not_run.is_some()).collect();
        writeln!(f, "Rows: {} of {} would run", self.rows.len() - skipped.len(), self.rows.len())?;
        let mut by_model: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for row in self.rows.iter().filter(|row| row.not_run.is_none()) {
            by_model.entry(&row.model).or_default().push(&row.row);
        }
        by_model.iter().try_for_each(|(model, rows)| writeln!(f, "  {model}: {}", rows.join(", ")))?;
        for row in skipped {
            writeln!(f, "  not run: {} ({}): {}", row.row, row.model, row.not_run.as_deref().unwrap_or_default())?;
        }
        Ok(())
    }

    fn write_needs(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.prompts {
            None => writeln!(f, "Prompts: none could be read")?,
            Some(one) => {
                let longest = one.longest.map_or_else(|| "unknown".to_owned(), |tokens| format!("{tokens} tokens"));
                let (count, seeds, too_long) = (one.count, one.seeds, one.too_long);
                writeln!(
                    f,
                    "Prompts: {count} of {}, seeds: {seeds}, the longest: {longest}, too long: {too_long}",
                    one.name
                )?;
            }
        }
        let Memory { weights, states, candidates, max_tokens } = self.memory;
        let all = megabytes(weights.saturating_add(states));
        writeln!(
            f,
            "Memory: {all}: weights {}, and {} for {candidates} candidates of {max_tokens} tokens; what lies between layers comes on top",
            megabytes(weights),
            megabytes(states)
        )?;
        match &self.time {
            None => {
                writeln!(
                    f,
                    "Time: unknown; --measured FILE estimates it from the report.json of a run with --limit 3, or from `bench --json`"
                )
            }
            Some(time) => {
                writeln!(f, "Time: {:.1} hours, judges and tuning left out ({})", time.seconds / 3600.0, time.how)?;
                for (row, seconds, measured) in &time.rows {
                    writeln!(f, "  {row}: {seconds:.2} s a prompt, from {measured}")?;
                }
                time.unknown.iter().try_for_each(|row| writeln!(f, "  {row}: nothing like it was measured"))
            }
        }
    }
}

impl fmt::Display for DryRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_models(f)?;
        self.write_rows(f)?;
        self.write_needs(f)?;
        match self.problems.as_slice() {
            [] => write!(f, "Nothing is missing."),
            problems => {
                write!(f, "Missing or wrong:")?;
                problems.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
            }
        }
    }
}
