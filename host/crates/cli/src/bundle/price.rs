//! `bundle price`: what a text would cost, token by token.

use crate::{flags::GuardArguments, output, prompt::prompt};
use anyhow::Context;
use clap::Args;
use inferenceguard_catalog::{
    CatalogError, TextJudge, build,
    bundles::{self, Fallback},
    words,
};
use inferenceguard_console::price::{self, Line};
use inferenceguard_host::{Engine, Request};
use inferenceguard_search::PricedText;
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
    let texts = texts(&engine, &tokens)?;
    let gammas = bundle.manifest().constraints.iter().map(|one| one.gamma);
    let line = |(report, gamma): (&inferenceguard_search::ConstraintReport, f64)| Line {
        constraint: report.name.clone(),
        budget: report.budget,
        spent: report.max_cost,
        holds: judged.within_budget,
        tokens: texts.iter().cloned().zip(price::costs(&report.z, gamma)).collect(),
        found: Vec::new(),
    };
    Ok(judged.constraints.iter().zip(gammas).map(line).collect())
}

/// What each token adds to the text.
fn texts(engine: &Engine, tokens: &[u32]) -> anyhow::Result<Vec<String>> {
    let tokenizer = engine.tokenizer();
    let (mut texts, mut before) = (Vec::new(), String::new());
    for end in 1..=tokens.len() {
        let text = tokenizer.decode(&tokens[..end])?;
        texts.push(text.strip_prefix(&before).unwrap_or_default().to_owned());
        before = text;
    }
    Ok(texts)
}
