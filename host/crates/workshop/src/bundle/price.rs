//! What a text would cost, token by token.

use crate::WorkshopError;
use inferenceguard_catalog::{
    CatalogError, Choice, TextJudge, build,
    bundles::{self, Fallback},
    words,
};
use inferenceguard_console::price::{Line, costs};
use inferenceguard_host::{Engine, Request};
use inferenceguard_model::{GrowingText, Token};
use inferenceguard_search::{ConstraintReport, PricedText, TextPiece};

/// Prices a text as the answer to a prompt, under every constraint. Costs that read text alone need no model, and then a word
/// counts as a token.
///
/// # Errors
/// What cannot be opened or does not fit together, a component that fails, a prompt that a score model cannot take.
pub fn price(choice: &Choice, prompt: &str, text: &str) -> Result<Vec<Line>, WorkshopError> {
    if choice.model.is_some() {
        return by_model(choice, prompt, text);
    }
    match by_text(choice, prompt, text) {
        // The demonstration's model.
        Err(CatalogError::ReadsModel { .. }) => by_model(choice, prompt, text),
        lines => Ok(lines?),
    }
}

fn by_text(choice: &Choice, prompt: &str, text: &str) -> Result<Vec<Line>, CatalogError> {
    let bundle = bundles::open(choice.bundle.as_deref(), Fallback::Plain)?;
    let pieces = words(text);
    let priced = TextJudge::open(&bundle)?.price(prompt, &pieces)?;
    Ok(priced.iter().map(|one| line(one, &pieces)).collect())
}

fn line(priced: &PricedText, pieces: &[TextPiece]) -> Line {
    Line {
        constraint: priced.constraint.name.clone(),
        budget: priced.constraint.budget,
        spent: priced.counted,
        holds: priced.holds,
        tokens: pieces.iter().map(|(_, text)| text.clone()).zip(priced.costs.iter().copied()).collect(),
        found: priced.found.clone(),
    }
}

/// The model reads the text, and every cost prices its tokens.
fn by_model(choice: &Choice, prompt: &str, text: &str) -> Result<Vec<Line>, WorkshopError> {
    let (builder, bundle) = choice.builder(&[], &[])?;
    let engine = build(builder)?;
    let tokens = engine.tokenizer().encode(text)?;
    let judge = engine.prepare(&bundle)?;
    let unfit = |source| WorkshopError::Prompt { prompt: prompt.to_owned(), source: Box::new(source) };
    let judged = engine.judge_tokens(&judge, &Request::new(prompt), &tokens).map_err(unfit)?;
    if let Some(failure) = judged.failures.first() {
        return Err(WorkshopError::NotPriced { failure: failure.to_string() });
    }
    let texts = texts(&engine, &tokens)?;
    let gammas = bundle.manifest().constraints.iter().map(|one| one.gamma);
    let line = |(report, gamma): (&ConstraintReport, f64)| Line {
        constraint: report.name.clone(),
        budget: report.budget,
        spent: report.max_cost,
        holds: judged.within_budget || holds(&judged.constraints, report),
        tokens: texts.iter().cloned().zip(costs(&report.z, gamma)).collect(),
        found: Vec::new(),
    };
    Ok(judged.constraints.iter().zip(gammas).map(line).collect())
}

/// Whether one of these constraints held, of which not all did. Where no sum is beyond its budget, the tracker or the margin of
/// the audit refuses the text, and nothing says which constraint they mean.
fn holds(all: &[ConstraintReport], report: &ConstraintReport) -> bool {
    let is_over = |one: &ConstraintReport| {
        let sums = [Some(one.max_cost), one.whole];
        sums.into_iter().flatten().any(|sum| sum.is_nan() || sum >= one.budget)
    };
    all.iter().any(is_over) && !is_over(report)
}

/// What each token adds to the text. A character belongs to the token that completes it.
fn texts(engine: &Engine, tokens: &[Token]) -> Result<Vec<String>, WorkshopError> {
    let text = GrowingText::default().with(&*engine.tokenizer(), tokens)?;
    Ok((0..tokens.len()).map(|at| text.text()[text.end(at)..text.end(at + 1)].to_owned()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_constraint_holds_only_where_another_sum_says_why_the_text_does_not() {
        let report = |max_cost, whole| ConstraintReport {
            name: "harm".to_owned(),
            budget: 8.0,
            cost: max_cost,
            max_cost,
            z: Vec::new(),
            whole,
        };
        let fine = report(2.0, Some(2.0));
        for over in [report(9.0, None), report(f64::NAN, None), report(2.0, Some(9.0)), report(2.0, Some(f64::NAN))] {
            let all = [fine.clone(), over.clone()];
            assert!(holds(&all, &fine) && !holds(&all, &over), "{over:?}");
        }
        let all = [fine.clone(), report(3.0, None)];
        assert!(!all.iter().any(|one| holds(&all, one)), "nothing says which of them does not hold");
    }
}
