//! `explain`: why an answer is what it is, in words.

use crate::{
    journal::{bodies, models},
    output, show, terminal,
};
use anyhow::ensure;
use clap::Args;
use inferenceguard_candle::{CandleModel, LoadOptions};
use inferenceguard_catalog::language_files;
use inferenceguard_model::{Model, ModelIdentity, Token, Tokenizer};
use inferenceguard_record::{Body, Candidate, Header, Span};
use serde_json::json;
use std::{path::PathBuf, sync::Arc};

#[derive(Debug, Args)]
pub(crate) struct ExplainArguments {
    /// The number of a record; all if not given
    #[arg(long, short)]
    record: Option<u64>,
    /// The model that answered, for the spelling of its tokens; the demonstration's if not given
    #[arg(long, value_name = "DIR|ID")]
    model: Option<String>,
    /// Prints one JSON object per record
    #[arg(long)]
    json: bool,
    /// A file of records
    file: PathBuf,
}

/// Explains one record of a file, or all.
pub(crate) fn explain(arguments: &ExplainArguments) -> anyhow::Result<()> {
    let (mut skipped, mut explained) = (0, 0);
    let language = language(arguments)?;
    for record in bodies(&arguments.file, &mut skipped)? {
        let (header, body) = record?;
        if arguments.record.is_some_and(|wanted| wanted != header.sequence) {
            continue;
        }
        explained += 1;
        if arguments.json {
            let (header, steps, nearest) = (&header, body.steps(), body.nearest());
            output::json(&json!({"header": header, "steps": steps, "nearest": nearest}))?;
        } else {
            output::result(words(&header, &body, language.as_ref()))?;
        }
    }
    ensure!(explained > 0, "{}: no such record with a body ({skipped} without)", arguments.file.display());
    Ok(())
}

/// The tokenizer, and which model it is.
type Language = (Arc<dyn Tokenizer>, ModelIdentity);

fn language(arguments: &ExplainArguments) -> anyhow::Result<Option<Language>> {
    let Ok(files) = language_files(arguments.model.as_deref(), |text| output::note(text)) else { return Ok(None) };
    let model = CandleModel::load_files(&files, &LoadOptions::default())?;
    Ok(Some((model.tokenizer(), ModelIdentity::from(model.info()))))
}

fn words(header: &Header, body: &Body, language: Option<&Language>) -> String {
    let bundle = &header.bundle;
    let mut lines = vec![
        format!("record {}: {}, {}", header.sequence, show::status(body.outcome.ending()), show::finish(header.finish)),
        format!("  by {} of {} {} (generation {:?})", header.method, bundle.name, bundle.version, header.generations),
    ];
    lines.extend(models(header).map(|(what, fingerprint)| format!("  {what} {fingerprint}")));
    lines.extend(body.steps().iter().map(|step| {
        let again = if step.attempt > 0 { format!(", try {}", step.attempt + 1) } else { String::new() };
        format!("  chunk {}{again}: {} of {} safe; {}", step.chunk + 1, step.safe, step.candidates, step.decision)
    }));
    lines.extend(body.outcome.failures.iter().map(|failure| format!("  failed: {failure}")));
    let tokenizer = language.filter(|(_, model)| model.expect(&header.model).is_ok()).map(|(tokenizer, _)| tokenizer);
    lines.extend(body.nearest().into_iter().flat_map(|nearest| candidate(&nearest, tokenizer)));
    terminal::lines(lines)
}

fn candidate(found: &Candidate, tokenizer: Option<&Arc<dyn Tokenizer>>) -> Vec<String> {
    let whose = if found.emitted { "the answer" } else { "the nearest candidate" };
    let spelled = |tokens: &[Token]| match tokenizer.map(|tokenizer| tokenizer.decode(tokens)) {
        Some(Ok(text)) => format!("{:?}", text.trim()),
        _ => format!("{tokens:?}"),
    };
    let mut lines = vec![format!("  {whose}: {}", spelled(&found.tokens))];
    lines.extend(found.margins.iter().map(|(name, left, budget)| match *left >= 0.0 {
        true => format!("  {name}: {left:.2} of {budget} left"),
        false => format!("  {name}: {:.2} more than the budget of {budget}", -left),
    }));
    lines.extend(found.dearest.iter().map(|Span { constraint, from, to, cost }| {
        format!("  dearest for {constraint}: {} cost {cost:.2}", spelled(&found.tokens[*from..*to]))
    }));
    lines
}
