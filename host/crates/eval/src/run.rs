//! Answers every prompt by every method.

use crate::{Answer, EvalError, Graded, Journal, Priced, Prompt, Row, Status, Verdict};
use std::error::Error;

type Failure = Box<dyn Error + Send + Sync>;

/// A method: it answers prompts, and prices emitted answers again.
pub trait Method {
    /// Answers a prompt. A failure that concerns this prompt only (it does not fit, a score is not finite) is an answer with
    /// [`Status::Failed`].
    ///
    /// # Errors
    /// A failure that every prompt would meet. The evaluation then stops, and earlier answers are kept.
    fn answer(&mut self, prompt: &str, seed: u64) -> Result<Answer, Failure>;

    /// Prices the emitted text from scratch: no cache, no search, no tracker.
    ///
    /// # Errors
    /// When a score model fails.
    fn price_again(&mut self, prompt: &str, answer: &Answer) -> Result<Priced, Failure>;
}

/// Grades an answer without knowing its costs; `None` if it cannot.
pub type Judge<'a> = dyn Fn(&Prompt, &str) -> Option<Verdict> + 'a;

/// A method that takes part.
pub struct Contestant<'a> {
    /// The model's name.
    pub model: &'a str,
    /// Its line in the table.
    pub row: &'a Row,
    /// The method.
    pub method: &'a mut dyn Method,
}

impl std::fmt::Debug for Contestant<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Contestant").field("model", &self.model).field("row", &self.row.label).finish_non_exhaustive()
    }
}

/// The progress of an evaluation.
#[derive(Debug, Clone, Copy)]
pub struct Progress<'a> {
    /// Answers so far, earlier runs included.
    pub done: usize,
    /// Answers in all.
    pub total: usize,
    /// The model at work.
    pub model: &'a str,
    /// The row at work.
    pub row: &'a str,
}

/// Answers every prompt by every contestant with every seed, except the answers that the journal has already.
///
/// The request's seed is computed from the seed and the prompt's id, so it depends neither on the order nor on a limit.
///
/// # Errors
/// [`EvalError::NoPrompts`], [`EvalError::Method`] at the first failure of a method, [`EvalError::Write`].
pub fn evaluate(
    prompts: &[Prompt],
    contestants: &mut [Contestant<'_>],
    seeds: &[u64],
    judge: &Judge<'_>,
    journal: &mut Journal,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<(), EvalError> {
    if prompts.is_empty() {
        return Err(EvalError::NoPrompts { name: "the evaluation".to_owned() });
    }
    let total = prompts.len() * contestants.len() * seeds.len();
    for one in contestants {
        for (seed, prompt) in seeds.iter().flat_map(|seed| prompts.iter().map(move |prompt| (*seed, prompt))) {
            if !journal.has(one.model, &one.row.label, seed, prompt.id) {
                let graded = grade(one, prompt, seed, judge)?;
                journal.append(graded)?;
            }
            progress(Progress { done: journal.answers().len(), total, model: one.model, row: &one.row.label });
        }
    }
    Ok(())
}

/// One stream of draws per seed and prompt.
fn request_seed(seed: u64, prompt: usize) -> u64 {
    (seed << 32).wrapping_add(prompt as u64)
}

fn grade(one: &mut Contestant<'_>, prompt: &Prompt, seed: u64, judge: &Judge<'_>) -> Result<Graded, EvalError> {
    let (model, row) = (one.model.to_owned(), one.row);
    let failed = |source| {
        let (model, method) = (model.clone(), row.label.clone());
        EvalError::Method { model, method, prompt: prompt.text.clone(), source }
    };
    let answer = one.method.answer(&prompt.text, request_seed(seed, prompt.id)).map_err(failed)?;
    let priced = match answer.status {
        Status::Failed => Priced::default(),
        _ => one.method.price_again(&prompt.text, &answer).map_err(failed)?,
    };
    // A failed answer has no text; with a judge it still has a verdict, so that it is counted.
    let verdict = judge(prompt, &answer.text);
    Ok(Graded {
        model,
        row: row.label.clone(),
        method: row.method.clone(),
        budget: row.budget,
        seed,
        prompt_id: prompt.id,
        prompt: prompt.text.clone(),
        intent: prompt.intent,
        topic: prompt.topic.clone(),
        group: prompt.group.clone(),
        priced_again: priced.cost.filter(|_| answer.status == Status::WithinBudget),
        end_cost: priced.end,
        emitted_reward: priced.reward,
        verdict,
        opinions: Vec::new(),
        answer,
    })
}
