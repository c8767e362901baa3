//! What budgets refuse, and what answers are worth under them, for one model and one bundle.

use crate::{TrialError, eval::demonstration_prompts};
use indicatif::ProgressBar;
use inferenceguard_bundle::Bundle;
use inferenceguard_catalog::{Choice, build, write_file};
use inferenceguard_demo::world::{Split, World};
use inferenceguard_eval::{Curve, Dataset, Ending, Prompt, Tried, plots};
use inferenceguard_host::{Engine, EngineError, OWN_METHOD, Request};
use inferenceguard_model::ModelError;
use inferenceguard_search::Status;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// The method that answers without a guard.
const PLAIN: &str = "base";

/// What to calibrate.
#[derive(Debug, Clone)]
pub struct CalibrateOptions {
    /// The model and the bundle.
    pub choice: Choice,
    /// A file of prompts; the demonstration's validation prompts if `None`.
    pub prompts: Option<PathBuf>,
    /// The most prompts.
    pub limit: usize,
    /// The constraint; the only one if `None`.
    pub constraint: Option<String>,
    /// The budgets to try, each above 0.
    pub budgets: Vec<f64>,
    /// The share of harmless prompts that may be refused, from 0 to 1.
    pub refusals: f64,
    /// Shows how many answers there are.
    pub progress: ProgressBar,
}

/// Asks every prompt without a guard and under every budget.
///
/// # Errors
/// Options out of their range, models and bundles that cannot be opened, a prompt that cannot be answered.
pub fn calibrate(options: &CalibrateOptions) -> Result<Curve, TrialError> {
    let prompts = prompts(options)?;
    let methods = [OWN_METHOD.to_owned(), PLAIN.to_owned()];
    let (builder, bundle) = options.choice.builder(&methods, &[])?;
    let constraint = constraint(options, &bundle)?;
    let budgets = budgets(options)?;
    // A request can only tighten a budget, so the engine has the largest.
    let largest = budgets.iter().copied().fold(0.0, f64::max);
    let engine = build(builder.budget(&constraint, largest))?;
    let bar = &options.progress;
    bar.set_length((prompts.len() * (budgets.len() + 1)) as u64);
    let ask = |method: &str, budget| -> Result<Vec<Tried>, TrialError> {
        let one = |prompt| {
            bar.inc(1);
            try_prompt(&engine, prompt, method, &constraint, budget)
        };
        prompts.iter().map(one).collect()
    };
    let plain = ask(PLAIN, largest)?;
    let guarded = budgets.iter().map(|budget| Ok((*budget, ask(OWN_METHOD, *budget)?)));
    let guarded = guarded.collect::<Result<Vec<_>, TrialError>>()?;
    Ok(Curve::new(&constraint, &plain, &guarded, options.refusals)?)
}

/// Writes the table and the plot of a curve into a folder, which is made.
///
/// # Errors
/// A plot that cannot be drawn, a file that cannot be written.
pub fn write(curve: &Curve, folder: &Path) -> Result<(), TrialError> {
    fs::create_dir_all(folder).map_err(TrialError::file(folder))?;
    let picture = plots::curve(curve)?;
    write_file(&folder.join("calibration.md"), format!("{curve}\n").as_bytes())?;
    write_file(&folder.join("calibration.json"), &serde_json::to_vec_pretty(curve)?)?;
    write_file(&folder.join("calibration.svg"), picture.svg.as_bytes())?;
    Ok(write_file(&folder.join("calibration.png"), &picture.png)?)
}

fn prompts(options: &CalibrateOptions) -> Result<Vec<Prompt>, TrialError> {
    let dataset = match &options.prompts {
        Some(path) => Dataset::read(path)?,
        None if options.choice.model.is_some() => {
            return Err(TrialError::Option { problem: "name prompts that your users ask: --prompts FILE" });
        }
        None => demonstration_prompts(Split::Validation, &World::frozen())?,
    };
    Ok(dataset.limited(options.limit)?.prompts)
}

/// The constraint that is named, or the only one.
fn constraint(options: &CalibrateOptions, bundle: &Bundle) -> Result<String, TrialError> {
    let constraints = &bundle.manifest().constraints;
    let known = || constraints.iter().map(|one| one.name.as_str()).collect::<Vec<_>>().join(", ");
    match (&options.constraint, constraints.as_slice()) {
        (Some(name), _) if constraints.iter().any(|one| one.name == *name) => Ok(name.clone()),
        (Some(name), _) => Err(TrialError::UnknownConstraint { name: name.clone(), known: known() }),
        (None, [only]) => Ok(only.name.clone()),
        (None, _) => Err(TrialError::WhichConstraint { known: known() }),
    }
}

fn budgets(options: &CalibrateOptions) -> Result<Vec<f64>, TrialError> {
    let fine = options.budgets.iter().all(|budget| budget.is_finite() && *budget > 0.0);
    if !fine || options.budgets.is_empty() {
        return Err(TrialError::Option { problem: "--budgets: expected numbers above 0, such as 1,2,5,10" });
    }
    if !(0.0..=1.0).contains(&options.refusals) {
        return Err(TrialError::Option { problem: "--refusals: expected a share from 0 to 1" });
    }
    Ok(options.budgets.clone())
}

/// Asks one prompt. A model that fails on it, and may answer others, leaves it without an answer; a prompt that the models do not
/// take is an error.
fn try_prompt(
    engine: &Engine,
    prompt: &Prompt,
    method: &str,
    constraint: &str,
    budget: f64,
) -> Result<Tried, TrialError> {
    let mut request = Request::new(&prompt.text);
    (request.method, request.seed) = (Some(method.to_owned()), Some(prompt.id as u64));
    request.max_tokens = None;
    request.budgets.insert(constraint.to_owned(), budget);
    let asked = match engine.generate(request) {
        Ok(asked) => asked,
        Err(error) if is_of_one_answer(&error) => {
            return Ok(Tried { intent: prompt.intent, ending: Ending::Failed, reward: None, cost: f64::INFINITY });
        }
        Err(source) => {
            let (number, prompt, source) = (prompt.id + 1, prompt.text.clone(), Box::new(source));
            return Err(TrialError::Prompt { number, prompt, source });
        }
    };
    let report = asked.constraints.iter().find(|one| one.name == constraint);
    let ending = match asked.status {
        Status::WithinBudget | Status::BudgetExceeded | Status::Unguarded => Ending::Answered,
        Status::NoSafeCandidate => Ending::Refused,
        Status::Failed => Ending::Failed,
    };
    let cost = report.map_or(f64::INFINITY, |one| one.max_cost);
    Ok(Tried { intent: prompt.intent, ending, reward: asked.reward.filter(|_| ending == Ending::Answered), cost })
}

/// Whether a model gave no numbers for one answer: neither the prompt is wrong, nor is the model broken for good.
fn is_of_one_answer(error: &EngineError) -> bool {
    use ModelError::{Backend, NotFinite, Shape};
    matches!(error, EngineError::Model(NotFinite(_) | Shape { .. } | Backend(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_that_fails_on_one_answer_differs_from_a_wrong_prompt_and_a_broken_model() {
        assert!(is_of_one_answer(&ModelError::NotFinite("logits").into()));
        assert!(is_of_one_answer(&ModelError::Backend("no route".into()).into()));
        for error in [ModelError::EmptyPrompt, ModelError::Cancelled, ModelError::Broken("it panicked".to_owned())] {
            assert!(!is_of_one_answer(&error.into()));
        }
    }
}
