//! Evaluations: many prompts, answered by several methods and models.
//!
//! 1. [`evaluate`] reads the prompts, opens the bundles (`under_test`), lists the rows (`plan`) and opens every model once.
//! 2. With `tune_lambda`, `tune` chooses the multipliers of Lagrangian rows on other prompts.
//! 3. `stage` builds the engine of every row, answers every prompt that an earlier run did not, and prices each answer from
//!    scratch (`pricer`).
//! 4. `judges` lets programs and score models judge the answers, and measures each of them on answers that people rated.
//! 5. [`baseline`] compares the report with a recorded one.
//!
//! [`dry_run()`] looks at all that would be opened, and loads no model.

mod adjusted;
pub mod baseline;
mod contestants;
mod demonstration;
mod dry_run;
mod judge_choice;
mod judges;
mod options;
mod origin;
mod plan;
mod pricer;
mod recipe;
mod smollm2;
mod stage;
mod tune;
mod under_test;

pub use demonstration::prompts as demonstration_prompts;
pub use dry_run::{DryRun, Memory, ModelAhead, PromptsAhead, RowAhead, TimeAhead, dry_run};
pub use options::{EvalOptions, RECIPES, Recipe, WEIGHED, WeighedCost};
pub use recipe::adjust as set_the_papers_settings;

use crate::TrialError;
use demonstration::DemoJudge;
use inferenceguard_bundle::Manifest;
use inferenceguard_catalog::language_files;
use inferenceguard_demo::world::World;
use inferenceguard_eval::{Dataset, Report};
use judge_choice::JudgeChoice;
use judges::Panel;
use stage::Stage;

/// Answers every prompt by every method of every model. With a folder, goes on where an earlier run stopped.
///
/// # Errors
/// Options that contradict each other, prompts that cannot be read, models and bundles that cannot be opened or do not fit,
/// a method that fails on every prompt, a judge that fails.
pub fn evaluate(options: &EvalOptions) -> Result<Report, TrialError> {
    check(options)?;
    let given = judge_choice::judge_choices(options)?;
    let rated = judges::rated(options, &given)?;
    let (world, note) = (World::frozen(), options.choice.loading.note);
    let dataset = dataset(options, &world)?;
    if options.recipe == Some(Recipe::Smollm2) && given.is_empty() {
        note(smollm2::WITHOUT_JUDGE);
    }
    let bundled = under_test::bundled(options, &|name| language_files(name, note))?;
    let manifests: Vec<&Manifest> = bundled.iter().map(|one| one.bundle.manifest()).collect();
    let wishes = plan::wishes(options, &manifests)?;
    let models = under_test::open(options, bundled)?;
    if models.iter().any(|model| !model.pricer.borrow().prices_costs()) {
        note("the cost cannot be priced in one piece, so no answer is priced a second time");
    }
    let judge = given.contains(&JudgeChoice::Demo).then(|| DemoJudge::new(&world));
    let mut panel = Panel::open(options, &given, &rated, &models, judge.as_ref())?;
    let judges = panel.measured()?;
    let stage = Stage { options, models: &models, judge: judge.as_ref() };
    let wishes = tune::tuned(&stage, &world, &dataset, wishes)?;
    let (settings, mut journal) =
        stage.answered(&dataset, &wishes, options.out.as_deref(), options.baseline.as_deref())?;
    panel.judge(&mut journal)?;
    shown(options, Report { judges, ..Report::new(&settings, &journal) })
}

/// Writes a sample of the answers, if one is asked for.
fn shown(options: &EvalOptions, report: Report) -> Result<Report, TrialError> {
    if let (Some(folder), Some(count)) = (&options.out, options.show) {
        report.write_sample(folder, count)?;
    }
    Ok(report)
}

/// Checks what concerns several options.
fn check(options: &EvalOptions) -> Result<(), TrialError> {
    if options.show.is_some() && options.out.is_none() {
        return Err(TrialError::Option { problem: "--show writes into the folder of --out; name one" });
    }
    let given = |name: &str| options.choice.scores.iter().any(|score| score.starts_with(&format!("{name}=")));
    let complete = options.prompts.is_some() && options.choice.model.is_some();
    let scored = given("reward") && given("cost");
    match options.recipe {
        Some(recipe) if recipe.is_papers() && !(complete && scored) => {
            Err(TrialError::RecipeModels { recipe: recipe.name() })
        }
        Some(recipe) if !complete => Err(TrialError::RecipeModel { recipe: recipe.name() }),
        _ => Ok(()),
    }
}

fn dataset(options: &EvalOptions, world: &World) -> Result<Dataset, TrialError> {
    let dataset = match &options.prompts {
        Some(path) => Dataset::read(path)?,
        None => demonstration::prompts(options.split, world)?,
    };
    if dataset.repeated > 0 {
        let repeated = dataset.repeated;
        (options.choice.loading.note)(&format!("{repeated} records repeat a prompt; each prompt is asked once"));
    }
    let limit = options.limit.unwrap_or(usize::MAX);
    if options.recipe == Some(Recipe::Smollm2) {
        let all =
            if options.attacks { dataset.with_attacks(limit, smollm2::ATTACKED)? } else { dataset.limited(limit)? };
        return smollm2::check(&all).map(|()| all);
    }
    Ok(if options.attacks { dataset.attacked(limit)? } else { dataset.limited(limit)? })
}
