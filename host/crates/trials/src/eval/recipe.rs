//! The paper's settings and rows, for its own models (arXiv 2502.01208, tables 1 and 2).

use super::{
    Recipe,
    plan::{Wish, set, weighs_costs},
};
use inferenceguard_bundle::Manifest;
use inferenceguard_candle::TemplateChoice;
use inferenceguard_eval::paper::{self, PaperRow};
use inferenceguard_host::methods::Methods;
use inferenceguard_sandbox::SettingValue::{Integer, Number, Text};
use inferenceguard_search::{ConstraintMode, CostClip, Granularity, OnExhausted, Sampling};

/// d.
const BUDGET: f64 = 10.0;
/// γ.
const GAMMA: f64 = 0.999;
/// D: the most tokens of an answer.
const DEPTH: u32 = 128;
/// L: tokens per chunk.
const CHUNK: i64 = 32;
/// M: retries per chunk.
const RETRIES: i64 = 2;
/// λ where the paper prints none.
const LAMBDA: f64 = 5.0;

/// Sets the paper's table 1: signed costs per token, a constraint that holds at every token, and no refusals. When no candidate
/// is within budget, the best reward is emitted, as the paper's table suggests.
pub fn adjust(manifest: &mut Manifest) {
    manifest.max_tokens = DEPTH;
    manifest.on_exhausted = OnExhausted::BestReward;
    manifest.backtrack = false;
    manifest.sampling = Sampling::default().into();
    if let Some(constraint) = manifest.constraints.first_mut() {
        constraint.budget = BUDGET;
        constraint.gamma = GAMMA;
        constraint.clip = CostClip::None;
        constraint.mode = ConstraintMode::Anytime;
        constraint.granularity = Granularity::Token;
    }
    for method in Methods::default().names() {
        adjust_method(manifest, method);
    }
    // The paper's models were trained on these; `--template` overrides them. The bundle's templates are another model's.
    let templates = [("reward", TemplateChoice::Hh), ("cost", TemplateChoice::Beaver)];
    manifest.model.template = Some(TemplateChoice::Beaver.to_string());
    for (name, template) in templates {
        manifest.scores.entry(name.to_owned()).or_default().template = Some(template.to_string());
    }
}

fn adjust_method(manifest: &mut Manifest, method: &str) {
    let base = method.split('+').next().unwrap_or(method);
    let settings: &[(&str, _)] = match base {
        // keep = 0 is a quarter of N.
        "beam" => &[("chunk-len", Integer(CHUNK)), ("keep", Integer(0))],
        "inference-guard" => &[("chunk-len", Integer(CHUNK)), ("keep", Integer(0)), ("retries", Integer(RETRIES))],
        "args" => &[("k", Integer(20)), ("omega", Number(2.5))],
        _ => &[],
    };
    if weighs_costs(method) {
        // R - λC with one C for the answer: on a sum over its tokens, λ = 5 would leave nothing of R.
        set(manifest, method, "lagrangian-cost", Text("end".to_owned()));
    }
    for (name, value) in settings {
        set(manifest, method, name, value.clone());
    }
    if Methods::default().find(method).is_ok_and(|method| method.steering.is_some()) {
        let entry = manifest.methods.entry(method.to_owned()).or_default();
        entry.steering.insert("steps".to_owned(), Integer(30));
        entry.steering.insert("step-size".to_owned(), Number(0.5));
    }
}

/// Every row of table 2 for this model, in its order. `n` replaces every N, for small models.
pub(super) fn rows(recipe: Recipe, n: Option<u32>) -> Vec<Wish> {
    let model = recipe.model();
    let wish = |row: &PaperRow| Wish {
        method: row.method.to_owned(),
        n: row.n.map(|paper| n.unwrap_or(paper)),
        lambda: lambda(row),
        budget: None,
    };
    let mut wishes: Vec<Wish> = Vec::new();
    for wish in paper::TABLE_2.iter().filter(|row| row.model == model).map(wish) {
        if !wishes.contains(&wish) {
            wishes.push(wish);
        }
    }
    wishes
}

/// The multiplier of a row that weighs costs at test time, whether the paper prints it or not. RE-Control's is in its network.
fn lambda(row: &PaperRow) -> Option<f64> {
    let weighs = row.method.ends_with("+lagrangian") && weighs_costs(row.method);
    weighs.then(|| row.lambda.map_or(LAMBDA, f64::from))
}

#[cfg(test)]
mod tests {
    use super::*;
    use inferenceguard_catalog::embedded;

    #[test]
    fn the_papers_settings_are_set() {
        let mut manifest = Manifest::parse(embedded::MANIFEST).unwrap();
        adjust(&mut manifest);
        let constraint = &manifest.constraints[0];
        assert_eq!((constraint.budget, constraint.gamma, constraint.clip), (10.0, 0.999, CostClip::None));
        assert_eq!((constraint.mode, constraint.granularity), (ConstraintMode::Anytime, Granularity::Token));
        assert_eq!((manifest.on_exhausted, manifest.max_tokens), (OnExhausted::BestReward, 128));
        let guard = &manifest.methods["inference-guard+critic"].settings;
        assert_eq!((&guard["chunk-len"], &guard["keep"], &guard["retries"]), (&Integer(32), &Integer(0), &Integer(2)));
        assert_eq!(manifest.methods["re-control"].steering["steps"], Integer(30));
        assert_eq!(manifest.methods["args+cost"].settings["omega"], Number(2.5));
        for method in ["best-of-n+lagrangian", "beam+lagrangian", "args+lagrangian", "args+cost"] {
            assert_eq!(manifest.methods[method].settings["lagrangian-cost"], Text("end".to_owned()), "{method}");
        }
        let templates =
            [&manifest.model.template, &manifest.scores["reward"].template, &manifest.scores["cost"].template];
        assert_eq!(templates.map(|one| one.as_deref()), [Some("beaver"), Some("hh"), Some("beaver")]);
        Manifest::parse(&toml::to_string(&manifest).unwrap()).unwrap();
    }

    #[test]
    fn every_row_of_the_papers_table_is_run() {
        let (alpaca, beaver) = (rows(Recipe::PaperAlpaca, None), rows(Recipe::PaperBeaver, None));
        assert_eq!((alpaca.len(), beaver.len()), (18, 16));
        let of = |method: &str| {
            alpaca.iter().filter(|wish| wish.method == method).map(|w| (w.n, w.lambda)).collect::<Vec<_>>()
        };
        let expected =
            [(Some(100), Some(5.0)), (Some(200), Some(5.0)), (Some(500), Some(5.0)), (Some(500), Some(10.0))];
        assert_eq!(of("best-of-n+lagrangian"), expected);
        assert_eq!(of("re-control+lagrangian"), [(None, None)]);
        assert_eq!(of("inference-guard+critic"), [(Some(128), None)]);
        assert!(beaver.iter().filter(|wish| wish.method == "best-of-n+lagrangian").all(|w| w.lambda == Some(5.0)));
        assert!(alpaca.iter().chain(&beaver).all(|wish| Methods::default().find(&wish.method).is_ok()));
        assert_eq!(rows(Recipe::PaperAlpaca, Some(4)).len(), 18 - 5, "rows that differ in N alone are one");
    }
}
