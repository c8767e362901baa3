//! What can go wrong in an evaluation.

use crate::JudgeProblem;
use std::{io, path::PathBuf};

/// An error of the evaluation.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvalError {
    /// A file could not be read.
    #[error("{}: cannot be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A line of the prompts is not what it should be.
    #[error("{}, line {line} of the prompts: {problem}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Its number, from 1.
        line: usize,
        /// What was found and what was expected.
        problem: String,
    },
    /// There is nothing to evaluate.
    #[error("{name}: there are no prompts; give at least one")]
    NoPrompts {
        /// The data set.
        name: String,
    },
    /// A file of the results could not be written.
    #[error("{}: cannot be written: {source}; what was answered before is kept, and the same command goes on from there", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The folder holds another evaluation.
    #[error(
        "{}: this folder holds an evaluation with other settings: `{what}` was {found} and is now {expected}; give the same settings, or another folder", path.display()
    )]
    OtherSettings {
        /// The file with the settings.
        path: PathBuf,
        /// Which setting.
        what: String,
        /// As it was.
        found: String,
        /// As it is now.
        expected: String,
    },
    /// A file of an earlier run is damaged.
    #[error("{}, line {line}: {problem}; remove the line or take another folder", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Its number, from 1.
        line: usize,
        /// What is wrong.
        problem: String,
    },
    /// Another process writes there.
    #[error("{}: another evaluation is writing there; wait for it, or take another folder", path.display())]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// A method could not answer or price, and no other prompt would fare better.
    #[error("model {model}, method {method}, prompt {prompt:?}: {source}")]
    Method {
        /// The model.
        model: String,
        /// The method.
        method: String,
        /// The prompt.
        prompt: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A judge failed, or replied what it must not.
    #[error("judge {judge}: {problem}; the verdicts before are kept, and the same command goes on from there")]
    Judge {
        /// Its name.
        judge: String,
        /// What it did, and what was expected.
        problem: JudgeProblem,
    },
    /// Verdicts of a name are of another judge.
    #[error(
        "{}: the verdicts of `{judge}` are of {found}, and `{judge}` is now {expected}; give the judge another name (NAME=...), or take another folder", path.display()
    )]
    OtherJudge {
        /// The file with the verdicts.
        path: PathBuf,
        /// The name.
        judge: String,
        /// Who gave them.
        found: String,
        /// Who is to judge now.
        expected: String,
    },
    /// A file of rated answers is not what it should be.
    #[error("{}, line {line} of the rated answers: {problem}", path.display())]
    Rated {
        /// The file.
        path: PathBuf,
        /// Its number, from 1.
        line: usize,
        /// What was found and what was expected.
        problem: String,
    },
    /// A recorded baseline does not fit this evaluation.
    #[error("{}: {problem}", path.display())]
    Baseline {
        /// The file.
        path: PathBuf,
        /// What is wrong and what to do.
        problem: String,
    },
    /// A picture could not be drawn.
    #[error("the figure `{name}` could not be drawn: {reason}")]
    Picture {
        /// Which.
        name: &'static str,
        /// Why.
        reason: String,
    },
    /// The page could not be made.
    #[error("the report's page could not be made: {0}")]
    Page(#[from] minijinja::Error),
    /// Results could not be put into JSON.
    #[error("the results could not be put into JSON: {0}")]
    Json(#[from] serde_json::Error),
}
