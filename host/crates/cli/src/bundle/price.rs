//! `bundle price`: what a text would cost, token by token.

use crate::{flags::GuardArguments, output, prompt::prompt};
use anyhow::{Context, bail};
use clap::Args;
use inferenceguard_catalog::{
    CatalogError, TextJudge, build,
    bundles::{self, Fallback},
    words,
};
use inferenceguard_console::price::{self, Line};
use inferenceguard_host::{Engine, Judgement, Request};
use inferenceguard_model::GrowingText;
use inferenceguard_search::{ConstraintReport, PricedText};
use serde_json::json;

#[derive(Debug, Args)]
pub(crate) struct PriceArguments {
    #[command(flatten)]
    guard: GuardArguments,
    /// The prompt that the text answers; for costs that read prompts
    #[arg(long, default_value = "")]
    prompt: String,
    /// Prints one JSON object
    #[arg(long)]
    json: bool,
    /// The text; - reads it from the standard input
    text: String,
}

/// Prices a text. Costs that read text alone need no model, and then a word counts as a token.
pub(super) fn price(arguments: &PriceArguments) -> anyhow::Result<()> {
    let text = prompt(&arguments.text)?;
    let lines = match arguments.guard.model {
        Some(_) => by_model(arguments, &text)?,
        None => match by_text(arguments, &text) {
            // The demonstration's model.
            Err(CatalogError::ReadsModel { .. }) => by_model(arguments, &text)?,
            lines => lines?,
        },
    };
    if arguments.json {
        return output::json(&json!(lines));
    }
    output::result(price::table(&lines))
}

fn by_text(arguments: &PriceArguments, text: &str) -> Result<Vec<Line>, CatalogError> {
    let bundle = bundles::open(arguments.guard.bundle.as_deref(), Fallback::Plain)?;
    let pieces = words(text);
    let priced = TextJudge::open(&bundle)?.price(&arguments.prompt, &pieces)?;
    Ok(priced.iter().map(|one| line(one, &pieces)).collect())
}

fn line(priced: &PricedText, pieces: &[inferenceguard_search::TextPiece]) -> Line {
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
fn by_model(arguments: &PriceArguments, text: &str) -> anyhow::Result<Vec<Line>> {
    let (builder, bundle) = arguments.guard.choice().builder(&[], &[])?;
    let engine = build(builder)?;
    let tokens = engine.tokenizer().encode(text)?;
    let judge = engine.prepare(&bundle)?;
    let judged = engine
        .judge_tokens(&judge, &Request::new(&*arguments.prompt), &tokens)
        .with_context(|| format!("as an answer to the prompt {:?}; --prompt names another", arguments.prompt))?;
    if let Some(failure) = judged.failures.first() {
        bail!("{failure}");
    }
    let texts = texts(&engine, &tokens)?;
    let gammas = bundle.manifest().constraints.iter().map(|one| one.gamma);
    let line = |(report, gamma): (&ConstraintReport, f64)| Line {
        constraint: report.name.clone(),
        budget: report.budget,
        spent: report.max_cost,
        holds: holds(&judged, report),
        tokens: texts.iter().cloned().zip(price::costs(&report.z, gamma)).collect(),
        found: Vec::new(),
    };
    Ok(judged.constraints.iter().zip(gammas).map(line).collect())
}

/// Whether one constraint held. Where no sum is beyond its budget, the tracker or the margin of the audit refuses the text, and
/// nothing says which constraint they mean.
fn holds(judged: &Judgement, report: &ConstraintReport) -> bool {
    let is_over = |one: &ConstraintReport| one.max_cost.is_nan() || one.max_cost >= one.budget;
    judged.within_budget || (judged.constraints.iter().any(is_over) && !is_over(report))
}

/// What each token adds to the text. A character belongs to the token that completes it.
fn texts(engine: &Engine, tokens: &[u32]) -> anyhow::Result<Vec<String>> {
    let text = GrowingText::default().with(&*engine.tokenizer(), tokens)?;
    Ok((0..tokens.len()).map(|at| text.text()[text.end(at)..text.end(at + 1)].to_owned()).collect())
}
