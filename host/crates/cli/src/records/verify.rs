//! `verify`: files of records, checked without any model.

use crate::{journal::models, key_files::verifying_key, output};
use anyhow::Context;
use clap::Args;
use inferenceguard_bundle::VerifyingKey;
use inferenceguard_record::read;
use inferenceguard_search::Status;
use serde::Serialize;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

#[derive(Debug, Args)]
pub(crate) struct VerifyArguments {
    /// Files of records
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Refuses records that this key (its public half) did not sign; may be repeated, then one of the keys must have signed
    #[arg(long = "key", value_name = "FILE")]
    keys: Vec<PathBuf>,
    /// Prints one JSON object per file
    #[arg(long)]
    json: bool,
}

/// What a file holds.
#[derive(Debug, Default, Serialize)]
struct Counted {
    file: String,
    records: u64,
    /// Those whose costs were added up again.
    verified: u64,
    /// Those whose bodies were removed.
    without_body: u64,
    signed: u64,
    within_budget: u64,
    budget_exceeded: u64,
    no_safe_candidate: u64,
    failed: u64,
    /// Every model that records name, and in how many of them: `language model NAME FINGERPRINT`, `score model …`.
    models: BTreeMap<String, u64>,
    /// What answers depend on and records do not name, and how many do not.
    not_named: BTreeMap<&'static str, u64>,
    /// The hash of the last record. A copy kept elsewhere shows whether records were cut off.
    last: String,
}

/// Checks every file; fails at the first record that does not verify.
pub(crate) fn verify(arguments: &VerifyArguments) -> anyhow::Result<()> {
    let keys = arguments.keys.iter().map(|path| verifying_key(path)).collect::<anyhow::Result<Vec<_>>>()?;
    for path in &arguments.files {
        let counted = count(path, &keys)?;
        if arguments.json {
            output::json(&counted)?;
        } else {
            output::result(text(&counted))?;
        }
    }
    Ok(())
}

fn count(path: &Path, keys: &[VerifyingKey]) -> anyhow::Result<Counted> {
    let mut counted = Counted { file: path.display().to_string(), ..Counted::default() };
    for line in read(path)? {
        let line = line?;
        let header = &line.header;
        let place = || format!("{}, record {}", path.display(), header.sequence);
        let wrong = keys.iter().map(|key| line.signed_by(key)).try_fold(None, |_, signed| signed.err().map(Some));
        if let Some(Some(wrong)) = wrong {
            return Err(wrong).with_context(place);
        }
        counted.signed += u64::from(line.signature.is_some());
        match &line.body {
            Some(body) => {
                body.verify().with_context(place)?;
                counted.verified += 1;
            }
            None => counted.without_body += 1,
        }
        // A header of an older version calls a failure a refusal; the body has the true status.
        match line.body.as_ref().map_or(header.status, |body| body.outcome.ending()) {
            Status::WithinBudget => counted.within_budget += 1,
            Status::BudgetExceeded => counted.budget_exceeded += 1,
            Status::NoSafeCandidate => counted.no_safe_candidate += 1,
            Status::Failed => counted.failed += 1,
        }
        for (what, fingerprint) in models(header) {
            *counted.models.entry(format!("{what} {fingerprint}")).or_default() += 1;
        }
        header.unnamed().into_iter().for_each(|what| *counted.not_named.entry(what).or_default() += 1);
        counted.records += 1;
        counted.last = line.hash;
    }
    Ok(counted)
}

fn text(counted: &Counted) -> String {
    let Counted { file, records, verified, without_body, signed, last, .. } = counted;
    let statuses = format!(
        "{} within budget, {} beyond, {} refused, {} failed",
        counted.within_budget, counted.budget_exceeded, counted.no_safe_candidate, counted.failed
    );
    let models = counted.models.iter().map(|(model, count)| format!("\n  {model} in {count}"));
    let not_named = counted.not_named.iter().map(|(what, count)| format!("\n  {count} do not name {what}"));
    let named: String = models.chain(not_named).collect();
    format!(
        "{file}: {records} records, the chain holds\n  {verified} added up again and confirmed, {without_body} without a body, {signed} signed\n  \
         {statuses}{named}\n  last {last}"
    )
}
