//! Judges beside the demonstration's: programs, score models, people. Each gives an answer a score; above the judge's threshold
//! the answer is harmful.
//!
//! 1. [`RatedAnswers`]: answers that people rated. [`RatedAnswers::check`] measures a judge against them.
//! 2. [`judge_answers`] lets every [`Grader`] grade every answer of a [`Journal`]. [`Verdicts`] keeps each score as it comes, so
//!    that no judge is asked twice.
//! 3. A [`Report`](crate::Report) then has [`Judged`] shares, the [`Agreement`] of every two judges, and shares by [`Topic`].
//!
//! [`question_lines`] and [`Replies`] are the two directions of the protocol for programs.

mod agreement;
mod harm;
mod lines;
mod rated;
mod verdicts;

pub use agreement::Agreement;
pub use harm::{Judged, Topic};
pub use lines::{Replies, question_lines};
pub use rated::{Check, RatedAnswers, Reliability};
pub use verdicts::Verdicts;

pub(crate) use agreement::agreements;
pub(crate) use harm::{judged, topics};

use crate::{EvalError, Journal, JudgeProblem, Opinion, Status};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::HashSet;

/// Who a judge is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JudgeId {
    /// Its name in tables.
    pub name: String,
    /// What gives its scores: a command, or the digest of a model.
    pub by: String,
    /// An answer with a larger score is harmful.
    pub threshold: f64,
}

/// A judge with its measurements.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JudgeReport {
    /// Who it is.
    #[serde(flatten)]
    pub id: JudgeId,
    /// How it does on answers that people rated, file by file.
    pub checks: Vec<Check>,
}

/// A prompt and its answer, for a judge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Question<'a> {
    /// What the user asks.
    pub prompt: &'a str,
    /// What went out.
    pub response: &'a str,
}

impl Question<'_> {
    /// A digest of both texts.
    fn digest(&self) -> String {
        let mut hasher = Sha256::new();
        hasher.update((self.prompt.len() as u64).to_le_bytes());
        hasher.update(self.prompt.as_bytes());
        hasher.update(self.response.as_bytes());
        hex::encode(hasher.finalize())
    }
}

/// What a judge says of one text.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// Harmful above the judge's threshold.
    pub score: f64,
    /// How far the text is about the prompt, from 0 to 1, if the judge says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relevance: Option<f64>,
    /// How well the text reads, from 0 to 1, if the judge says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fluency: Option<f64>,
}

impl From<f64> for Finding {
    /// A score alone.
    fn from(score: f64) -> Self {
        Self { score, relevance: None, fluency: None }
    }
}

/// Keeps what a judge says of the question at a place. An error ends the judging.
pub type Keep<'a> = dyn FnMut(usize, Finding) -> Result<(), EvalError> + 'a;

/// A judge that is asked about many answers at once.
pub trait Grader {
    /// Who it is.
    fn id(&self) -> &JudgeId;

    /// Gives every question a score, in any order, each through `keep` as soon as it is known.
    ///
    /// # Errors
    /// [`EvalError::Judge`], and errors of `keep`.
    fn grade(&mut self, questions: &[Question<'_>], keep: &mut Keep<'_>) -> Result<(), EvalError>;
}

/// The progress of one judge.
#[derive(Debug, Clone, Copy)]
pub struct Judging<'a> {
    /// The judge's name.
    pub judge: &'a str,
    /// How many texts it has judged in this run, and how many it was asked for.
    pub done: (usize, usize),
}

/// Lets every judge grade every answer that went out, in the order of the judges. The first one's opinion is that of the figures.
///
/// # Errors
/// [`EvalError::Judge`], [`EvalError::OtherJudge`], [`EvalError::Write`]; scores that came before are kept.
pub fn judge_answers(
    judges: &mut [Box<dyn Grader + '_>],
    journal: &mut Journal,
    verdicts: &mut Verdicts,
    progress: &mut dyn FnMut(Judging<'_>),
) -> Result<(), EvalError> {
    for judge in judges {
        let id = judge.id().clone();
        let out = journal.answers().iter().filter(|graded| graded.answer.status != Status::Failed);
        let questions: Vec<Question<'_>> =
            out.map(|graded| Question { prompt: &graded.prompt, response: &graded.answer.text }).collect();
        let mut found = findings(&mut **judge, &questions, verdicts, progress)?.into_iter();
        for graded in journal.answers_mut() {
            let finding = if graded.answer.status == Status::Failed { None } else { found.next() };
            graded.opinions.push(opinion(&id, finding));
        }
    }
    Ok(())
}

/// What a judge says of a text. Without a finding (the answer failed) nothing is known.
fn opinion(id: &JudgeId, finding: Option<Finding>) -> Opinion {
    Opinion {
        judge: id.name.clone(),
        score: finding.map(|finding| finding.score),
        harmful: finding.is_some_and(|finding| finding.score > id.threshold),
        relevance: finding.and_then(|finding| finding.relevance),
        fluency: finding.and_then(|finding| finding.fluency),
    }
}

/// What the judge says of every question. It is asked about each text once, over all runs in one folder.
fn findings(
    judge: &mut (dyn Grader + '_),
    questions: &[Question<'_>],
    verdicts: &mut Verdicts,
    progress: &mut dyn FnMut(Judging<'_>),
) -> Result<Vec<Finding>, EvalError> {
    let id = judge.id().clone();
    verdicts.are_of(&id)?;
    let digests: Vec<String> = questions.iter().map(Question::digest).collect();
    let mut seen = HashSet::new();
    let is_open = |at: &usize| verdicts.get(&id, &digests[*at]).is_none() && seen.insert(digests[*at].as_str());
    let open: Vec<usize> = (0..questions.len()).filter(is_open).collect();
    let asked: Vec<Question<'_>> = open.iter().map(|at| questions[*at]).collect();
    let wrong = |problem| EvalError::Judge { judge: id.name.clone(), problem };
    if !asked.is_empty() {
        let mut done = 0;
        judge.grade(&asked, &mut |at, finding| {
            let place = open.get(at).ok_or_else(|| wrong(JudgeProblem::unknown(at as u64, open.len())))?;
            verdicts.append(&id, &digests[*place], finding)?;
            done += 1;
            progress(Judging { judge: &id.name, done: (done, open.len()) });
            Ok(())
        })?;
    }
    let finding = |of: &String| verdicts.get(&id, of).ok_or_else(|| wrong(JudgeProblem::Missing));
    digests.iter().map(finding).collect()
}
