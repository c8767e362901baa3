//! A bundle around a trained cost: its budget, and words and personal data as further constraints.

use super::{
    BudgetChoice, CostObjective, CostReport, Threshold,
    conformal::OF_BUNDLES,
    manifest_text::{about, constraints, costs, sampling},
};
use crate::error::{CriticError, Result};
use inferenceguard_model::ModelInfo;

/// The share of harmless answers of the test that the budget may refuse.
const REFUSED: f64 = 0.05;

/// What the manifest is called, and what it limits.
#[derive(Debug, Clone, PartialEq)]
pub struct BundleOptions {
    /// The bundle's name.
    pub name: String,
    /// The budget of the trained cost; if not given, the smallest of the report's that refuses at most 5 % of the harmless answers,
    /// and of the model's own.
    pub budget: Option<BudgetChoice>,
    /// Candidates per chunk.
    pub candidates: u32,
    /// Tokens of a chunk.
    pub chunk: u32,
    /// The most tokens of an answer.
    pub max_tokens: u32,
    /// How it samples; as the model's files say if `None`.
    pub temperature: Option<f64>,
    /// How much probability the sampled tokens hold; as the model's files say if `None`.
    pub top_p: Option<f64>,
}

/// The manifest of a bundle with the network [`NETWORK`](super::NETWORK) and first-party components, for this model.
///
/// # Errors
/// [`CriticError::Option`] without a budget where the report has none: pairs without labels suggest none.
pub fn manifest(report: &CostReport, model: &ModelInfo, options: &BundleOptions) -> Result<String> {
    let budget = match options.budget {
        Some(BudgetChoice::Fixed(budget)) => Some(budget),
        Some(BudgetChoice::Conformal(_)) => report.conformal.as_ref().map(|one| one.budget.budget),
        None => budget(report),
    };
    let budget =
        budget.ok_or_else(|| CriticError::option("budget", "none", "--budget D: pairs without labels suggest none"))?;
    let parts = [
        about(report, model, options),
        costs(report),
        [meaning(report.objective, budget), found_on(report, options.budget)].concat(),
        constraints(report.objective, budget),
        sampling(options),
        methods(report),
    ];
    Ok(parts.concat())
}

/// The methods that intervene where harm becomes likely, with a threshold that few harmless answers cross; nothing where there were
/// too few to find one.
fn methods(report: &CostReport) -> String {
    let fits = |one: &&Threshold| one.alpha == OF_BUNDLES;
    let Some((threshold, count)) =
        report.thresholds.iter().find(fits).and_then(|one| Some((one.threshold?, one.count)))
    else {
        return String::new();
    };
    let share = 100.0 * OF_BUNDLES;
    let method = |name| format!("\n[methods.{name}]\nsettings = {{ threshold = {threshold} }}\n");
    let head = format!(
        "\n# By the cost `harm` alone some {share} % of harmless answers are above it (found on {count}, which chose the head)."
    );
    [head, method("value-filtered-decoding"), method("dynamic-abstention")].concat()
}

/// What a conformal budget was found on.
fn found_on(report: &CostReport, choice: Option<BudgetChoice>) -> String {
    let (Some(BudgetChoice::Conformal(_)), Some(one)) = (choice, &report.conformal) else { return String::new() };
    let kind = if report.own.is_some() { "of the model's own answers to harmless prompts" } else { "harmless answers" };
    let (share, count) = (100.0 * one.alpha, one.count);
    format!(
        "# Some {share} % of plain harmless answers are beyond it (found on {count} {kind}, which chose the head).\n"
    )
}

/// What the budget bounds, where a label says so: scores of pairs alone are not probabilities.
fn meaning(objective: CostObjective, budget: f64) -> String {
    if objective != CostObjective::Survival {
        return String::new();
    }
    let most = 100.0 * objective.probability(budget);
    format!("# A modelled probability of harm of {most:.0} % at most: 1 - e^-budget.\n")
}

/// The smallest of the report's budgets that refuses at most 5 % of the harmless answers of the test, and of the model's own; if
/// there is no such budget, the largest.
fn budget(report: &CostReport) -> Option<f64> {
    let mut budgets: Vec<_> = report.budgets.iter().collect();
    budgets.sort_by(|a, b| a.budget.total_cmp(&b.budget));
    let fit = budgets
        .iter()
        .find(|one| {
            [one.harmless, one.own].into_iter().flatten().reduce(f64::max).is_some_and(|share| share <= REFUSED)
        })
        .or(budgets.last());
    fit.map(|one| one.budget)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cost::{Budget, ConformalBudget};
    use inferenceguard_model::{Model, toy::ToyScript};
    use std::collections::BTreeMap;

    fn report(objective: CostObjective, budgets: &[(f64, f64)]) -> CostReport {
        let one = |(budget, harmless): &(f64, f64)| (*budget, *harmless);
        let budget = |(budget, harmless)| Budget {
            budget,
            probability: None,
            harmless: Some(harmless),
            harmful: Some(1.0),
            own: None,
        };
        CostReport {
            objective,
            model: (String::new(), String::new()),
            latent: "final-norm".to_owned(),
            answers: (1, 1, 1),
            skipped: 0,
            tried: Vec::new(),
            line: (1.0, 0.0),
            test: None,
            without_refusals: None,
            own: None,
            categories: BTreeMap::new(),
            pairs: None,
            budgets: budgets.iter().map(one).map(budget).collect(),
            conformal: None,
            thresholds: Vec::new(),
            bins: Vec::new(),
        }
    }

    fn options(budget: Option<f64>) -> BundleOptions {
        BundleOptions {
            name: "b".to_owned(),
            budget: budget.map(BudgetChoice::Fixed),
            candidates: 8,
            chunk: 16,
            max_tokens: 64,
            temperature: Some(0.0),
            top_p: None,
        }
    }

    fn written(objective: CostObjective, budgets: &[(f64, f64)], budget: Option<f64>) -> Result<String> {
        let model = ToyScript::parse("vocab: <eos>* a\nafter : a 1").unwrap().model();
        manifest(&report(objective, budgets), model.info(), &options(budget))
    }

    #[test]
    fn negative_costs_are_charged_as_the_budgets_were_found() {
        for (objective, clip) in [
            (CostObjective::Survival, "nonneg"),
            (CostObjective::Pairwise, "nonneg"),
            (CostObjective::Prefix, "capped"),
            (CostObjective::Signed, "capped"),
        ] {
            let text = written(objective, &[(2.0, 0.01)], None).unwrap();
            assert!(text.contains(&format!("budget = 2\ngamma = 1.0\nclip = \"{clip}\"\n")), "{objective:?}: {text}");
        }
    }

    #[test]
    fn only_survival_speaks_of_a_probability() {
        let all = [CostObjective::Survival, CostObjective::Pairwise, CostObjective::Prefix, CostObjective::Signed];
        for objective in all {
            let text = written(objective, &[], Some(0.5)).unwrap();
            let found = text.contains("# A modelled probability of harm of 39 % at most");
            assert_eq!(found, objective == CostObjective::Survival, "{objective:?}: {text}");
        }
    }

    #[test]
    fn without_a_budget_of_the_report_one_must_be_given() {
        let error = written(CostObjective::Pairwise, &[], None).unwrap_err();
        assert_eq!(error.to_string(), "option budget is none, expected --budget D: pairs without labels suggest none");
        assert!(written(CostObjective::Pairwise, &[], Some(3.0)).unwrap().contains("budget = 3\n"));
    }

    #[test]
    fn a_conformal_budget_is_that_of_the_report_and_says_what_it_was_found_on() {
        let model = ToyScript::parse("vocab: <eos>* a\nafter : a 1").unwrap().model();
        let mut report = report(CostObjective::Survival, &[(2.0, 0.01)]);
        let options = BundleOptions { budget: Some("conformal:0.05".parse().unwrap()), ..options(None) };
        assert!(manifest(&report, model.info(), &options).is_err(), "the report has none");
        let budget = Budget { budget: 0.75, probability: None, harmless: Some(0.1), harmful: Some(0.5), own: None };
        report.conformal = Some(ConformalBudget { alpha: 0.05, count: 40, budget });
        let text = manifest(&report, model.info(), &options).unwrap();
        let expected = "# Some 5 % of plain harmless answers are beyond it (found on 40 harmless answers, which chose the head).\n";
        assert!(text.contains(expected) && text.contains("budget = 0.75\n"), "{text}");
        for wrong in ["", "x", "0", "-1", "inf", "NaN", "conformal", "conformal:", "conformal:0", "conformal:1"] {
            let error = wrong.parse::<BudgetChoice>().unwrap_err().to_string();
            assert!(error.contains("a number above 0, or conformal:ALPHA"), "{wrong}: {error}");
        }
    }

    #[test]
    fn the_budget_of_the_report_spares_the_models_own_answers_too() {
        let mut report = report(CostObjective::Survival, &[(1.0, 0.01), (2.0, 0.01), (3.0, 0.0)]);
        report.budgets.iter_mut().zip([0.5, 0.05, 0.0]).for_each(|(one, own)| one.own = Some(own));
        assert_eq!(budget(&report), Some(2.0));
    }

    #[test]
    fn the_threshold_of_five_percent_is_that_of_the_methods() {
        let model = ToyScript::parse("vocab: <eos>* a\nafter : a 1").unwrap().model();
        let options = options(None);
        let mut report = report(CostObjective::Survival, &[(2.0, 0.01)]);
        let one = |alpha, threshold| Threshold {
            alpha,
            threshold,
            count: 40,
            needed: 9,
            harmless: None,
            harmful: None,
            own: None,
        };
        report.thresholds = vec![one(0.05, Some(0.125)), one(0.1, Some(0.0625))];
        let text = manifest(&report, model.info(), &options).unwrap();
        for method in ["value-filtered-decoding", "dynamic-abstention"] {
            assert!(text.contains(&format!("[methods.{method}]\nsettings = {{ threshold = 0.125 }}\n")), "{text}");
        }
        assert!(
            text.contains("some 5 % of harmless answers are above it (found on 40, which chose the head)."),
            "{text}"
        );
        inferenceguard_bundle::Manifest::parse(&text).unwrap();
        report.thresholds[0].threshold = None;
        assert!(!manifest(&report, model.info(), &options).unwrap().contains("[methods."));
    }

    #[test]
    fn only_settings_of_the_sampler_that_were_given_are_written() {
        let text = written(CostObjective::Survival, &[], Some(1.0)).unwrap();
        assert!(text.ends_with("\n[sampling]\ntemperature = 0.0\n"), "{text}");
        inferenceguard_bundle::Manifest::parse(&text).unwrap();
    }

    #[test]
    fn small_budgets_are_written_as_they_are() {
        let text = written(CostObjective::Survival, &[(1.5e-4, 0.2), (4.5e-4, 0.03)], None).unwrap();
        assert!(text.contains("budget = 0.00045\n"), "{text}");
    }
}
