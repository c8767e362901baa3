//! The scores of judges, each written at once, so that a run that was stopped asks no judge twice.
//!
//! `verdicts.jsonl` names a text by its digest: equal prompts with equal answers are judged once, and a score never counts for
//! another text.

use super::{Finding, JudgeId};
use crate::{
    EvalError, JudgeProblem,
    journal::{open, recover, unwritable},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, HashMap},
    fs,
    io::Write,
    path::{Path, PathBuf},
};

/// A line of the file.
#[derive(Serialize, Deserialize)]
struct Line {
    judge: String,
    by: String,
    of: String,
    #[serde(flatten)]
    finding: Finding,
}

/// Where scores are written, and the scores so far.
#[derive(Default)]
pub struct Verdicts {
    path: PathBuf,
    sink: Option<Box<dyn Write + Send>>,
    found: HashMap<(String, String), Finding>,
    by: BTreeMap<String, String>,
}

impl std::fmt::Debug for Verdicts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (path, found) = (&self.path, self.found.len());
        f.debug_struct("Verdicts").field("path", path).field("found", &found).finish_non_exhaustive()
    }
}

impl Verdicts {
    /// The name of the file.
    pub const FILE: &'static str = "verdicts.jsonl";

    /// Verdicts that are kept in memory only.
    #[must_use]
    pub fn memory() -> Self {
        Self::default()
    }

    /// Begins the file in `folder`, or goes on with the file that is there. A line that a kill cut short is dropped.
    ///
    /// # Errors
    /// [`EvalError::Busy`], [`EvalError::Damaged`], [`EvalError::Read`], [`EvalError::Write`].
    pub fn open(folder: &Path) -> Result<Self, EvalError> {
        fs::create_dir_all(folder).map_err(unwritable(folder))?;
        let path = folder.join(Self::FILE);
        let mut file = open(&path)?;
        let lines: Vec<Line> = recover(&mut file, &path)?;
        let mut verdicts = Self { path, sink: Some(Box::new(file)), ..Self::default() };
        for (at, line) in lines.into_iter().enumerate() {
            if let Some(problem) = verdicts.contradiction(&line) {
                return Err(EvalError::Damaged { path: verdicts.path, line: at + 1, problem });
            }
            verdicts.hold(line);
        }
        Ok(verdicts)
    }

    /// What an earlier line says otherwise: that the judge is another one, or that it finds something else in this text.
    fn contradiction(&self, line: &Line) -> Option<String> {
        let Line { judge, by, of, finding } = line;
        if let Some(other) = self.by.get(judge).filter(|other| *other != by) {
            return Some(format!("the judge `{judge}` is {by} here, and {other} in a line before"));
        }
        let before = self.found.get(&(judge.clone(), of.clone())).filter(|before| *before != finding)?;
        let (score, earlier) = (finding.score, before.score);
        let what = if score == earlier { "another relevance or fluency".to_owned() } else { earlier.to_string() };
        Some(format!("the judge `{judge}` gives a text the score {score}, and {what} in a line before"))
    }

    /// Refuses a judge of whose name another judge has given scores.
    pub(super) fn are_of(&self, id: &JudgeId) -> Result<(), EvalError> {
        match self.by.get(&id.name) {
            Some(by) if *by != id.by => {
                let (path, judge) = (self.path.clone(), id.name.clone());
                Err(EvalError::OtherJudge { path, judge, found: by.clone(), expected: id.by.clone() })
            }
            _ => Ok(()),
        }
    }

    /// What the judge says of a text.
    pub(super) fn get(&self, id: &JudgeId, of: &str) -> Option<Finding> {
        self.found.get(&(id.name.clone(), of.to_owned())).copied()
    }

    /// Writes a finding whole, and keeps it in memory.
    pub(super) fn append(&mut self, id: &JudgeId, of: &str, finding: Finding) -> Result<(), EvalError> {
        let numbers = [Some(finding.score), finding.relevance, finding.fluency];
        if let Some(found) = numbers.into_iter().flatten().find(|number| !number.is_finite()) {
            return Err(EvalError::Judge { judge: id.name.clone(), problem: JudgeProblem::NotFinite { found } });
        }
        let line = Line { judge: id.name.clone(), by: id.by.clone(), of: of.to_owned(), finding };
        let mut bytes = serde_json::to_vec(&line)?;
        bytes.push(b'\n');
        if let Some(sink) = &mut self.sink {
            sink.write_all(&bytes).and_then(|()| sink.flush()).map_err(unwritable(&self.path))?;
        }
        self.hold(line);
        Ok(())
    }

    fn hold(&mut self, line: Line) {
        self.by.insert(line.judge.clone(), line.by);
        self.found.insert((line.judge, line.of), line.finding);
    }
}
