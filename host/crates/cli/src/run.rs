//! `run`: one prompt, answered under guard.

use crate::{
    flags::GuardArguments,
    output,
    progress::Shown,
    prompt::{PromptArguments, prompt},
};
use clap::Args;
use indicatif::ProgressBar;
use inferenceguard_catalog::journals;
use inferenceguard_chat::{check_success, stream};
use inferenceguard_console::answer;
use inferenceguard_host::{Engine, Output, Progress, Request};
use inferenceguard_record::Journal;
use inferenceguard_search::Release;
use serde_json::json;
use std::path::PathBuf;

const BASE: &str = "base";

#[derive(Debug, Args)]
pub(crate) struct RunArguments {
    #[command(flatten)]
    guard: GuardArguments,
    /// The method, such as base, re-control, best-of-n, beam, args or inference-guard; the bundle's own if not given
    #[arg(long)]
    method: Option<String>,
    #[command(flatten)]
    asked: PromptArguments,
    /// Prints one JSON object
    #[arg(long)]
    json: bool,
    /// Also answers without guard, and shows both side by side
    #[arg(long)]
    compare: bool,
    /// Prints text as soon as it can no longer change
    #[arg(long, conflicts_with_all = ["json", "compare"])]
    stream: bool,
    /// Appends a record of the answer to this file
    #[arg(long, value_name = "FILE", conflicts_with = "compare")]
    record: Option<PathBuf>,
    /// Signs the record with this key (its secret half; `bundle keygen` makes one)
    #[arg(long, value_name = "FILE", requires = "record")]
    record_key: Option<PathBuf>,
    /// What the user says; - reads it from the standard input
    prompt: String,
}

/// Answers the prompt. The answer alone goes to stdout, and how it came about to stderr.
pub(crate) fn run(arguments: &RunArguments) -> anyhow::Result<()> {
    let prompt = prompt(&arguments.prompt)?;
    let own = arguments.method.clone().unwrap_or_else(|| inferenceguard_host::OWN_METHOD.to_owned());
    let mut methods = vec![own.clone()];
    if arguments.compare && own != BASE {
        methods.push(BASE.to_owned());
    }
    let engine = arguments.guard.choice().engine(&methods, &arguments.asked.budgets)?;
    let asked = arguments.asked.asked();
    asked.check(&engine)?;
    let request = |method: &str| Request {
        method: Some(method.to_owned()),
        release: arguments.stream.then_some(Release::Agreement),
        record: arguments.record.is_some(),
        ..asked.request(&prompt, asked.opening())
    };
    // Before the answer, so that a file that cannot be written is reported at once.
    let (path, key) = (arguments.record.as_deref(), arguments.record_key.as_deref());
    let journal = journals::of_answer(path, key, |text| output::note(text))?;
    let guarded = generate(&engine, request(&own), journal.as_ref())?;
    if arguments.compare {
        let base = generate(&engine, request(BASE), None)?;
        match arguments.json {
            true => output::json(&json!({ "base": base, "guarded": guarded }))?,
            false => output::result(answer::side_by_side(&base, &guarded))?,
        }
    } else {
        print(arguments, &guarded)?;
    }
    // A failed request is an error, also after it was shown.
    Ok(check_success(&guarded)?)
}

/// The answer goes to stdout, everything about it to stderr.
fn print(arguments: &RunArguments, guarded: &Output) -> anyhow::Result<()> {
    match (arguments.json, arguments.stream) {
        (true, _) => return output::json(guarded),
        // The text was printed while it was released.
        (false, true) => {}
        (false, false) => output::result(&guarded.text)?,
    }
    output::note(format_args!("\n{}", answer::summary(guarded)));
    Ok(())
}

/// Answers and keeps a record, also of text that was printed before an error.
fn generate(engine: &Engine, request: Request, journal: Option<&Journal>) -> anyhow::Result<Output> {
    // Text on a terminal and a bar would overwrite each other.
    let shown = request.release.is_none().then(|| Shown::begin("{bar:24} {pos}/{len} tokens  {msg}")).transpose()?;
    let advance = |progress: &Progress| shown.iter().for_each(|shown| advance(shown.bar(), progress));
    let mut cut_off = None;
    let answered = stream(engine, request, advance, |output| cut_off = Some(output), output::part)?;
    drop(shown);
    let decided = answered.as_ref().ok().or(cut_off.as_ref());
    if let Some((journal, output)) = journal.zip(decided) {
        journal.append(output)?;
    }
    Ok(answered?)
}

fn advance(bar: &ProgressBar, progress: &Progress) {
    bar.set_length(u64::from(progress.max_depth));
    bar.set_position(u64::from(progress.depth));
    bar.set_message(answer::progress(progress));
}
