//! Checks a file of records: the chain, the sums and the signatures.

use crate::{ReplayError, models};
use inferenceguard_bundle::VerifyingKey;
use inferenceguard_record::{Wrong, is_torn, read};
use inferenceguard_search::{Finish, Status};
use serde::Serialize;
use std::{collections::BTreeMap, fmt, path::Path};

/// What a file holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// The file.
    pub file: String,
    /// Its records.
    pub records: u64,
    /// Records whose costs were added up again.
    pub verified: u64,
    /// Records whose bodies were removed.
    pub without_body: u64,
    /// Records with a signature.
    pub signed: u64,
    /// Answers within budget.
    pub within_budget: u64,
    /// Answers beyond the budget.
    pub budget_exceeded: u64,
    /// Refusals.
    pub no_safe_candidate: u64,
    /// Failed requests.
    pub failed: u64,
    /// Cancelled requests: what they would have answered is not known.
    pub cancelled: u64,
    /// Answers that no constraint priced.
    pub unguarded: u64,
    /// Every model that records name, and in how many of them: `language model NAME FINGERPRINT`, `score model …`.
    pub models: BTreeMap<String, u64>,
    /// What answers depend on and records do not name, and in how many records it is missing.
    pub not_named: BTreeMap<&'static str, u64>,
    /// Whether the last line has no end. Whatever stands in it was left out: the writer acknowledged it to nobody.
    pub torn: bool,
    /// The hash of the last record. A copy kept elsewhere shows whether records were cut off.
    pub last: String,
}

/// Checks a file of records.
///
/// # Errors
/// [`ReplayError::At`] for the first record that does not verify, or that none of the keys has signed.
pub fn verify(path: &Path, keys: &[VerifyingKey]) -> Result<Verified, ReplayError> {
    let mut counted = Verified { file: path.display().to_string(), torn: is_torn(path)?, ..Verified::default() };
    for line in read(path)? {
        let line = line?;
        let header = &line.header;
        let at = |wrong: Wrong| ReplayError::at(path, header.sequence)(wrong.into());
        let wrong = keys.iter().map(|key| line.signed_by(key)).try_fold(None, |_, signed| signed.err().map(Some));
        if let Some(Some(wrong)) = wrong {
            return Err(at(wrong));
        }
        counted.signed += u64::from(line.signature.is_some());
        match &line.body {
            Some(body) => {
                body.verify().map_err(at)?;
                counted.verified += 1;
            }
            None => counted.without_body += 1,
        }
        // A header of an older version calls a failure a refusal; the body has the true status.
        let status = line.body.as_ref().map_or(header.status, |body| body.outcome.ending());
        match (header.finish, status) {
            // Its status says that nothing fit was found; it was not looked for to the end.
            (Finish::Cancelled, _) => counted.cancelled += 1,
            (_, Status::WithinBudget) => counted.within_budget += 1,
            (_, Status::BudgetExceeded) => counted.budget_exceeded += 1,
            (_, Status::NoSafeCandidate) => counted.no_safe_candidate += 1,
            (_, Status::Failed) => counted.failed += 1,
            (_, Status::Unguarded) => counted.unguarded += 1,
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

impl fmt::Display for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Verified { file, records, verified, without_body, signed, last, .. } = self;
        let statuses = format!(
            "{} within budget, {} beyond, {} refused, {} failed, {} cancelled, {} unguarded",
            self.within_budget,
            self.budget_exceeded,
            self.no_safe_candidate,
            self.failed,
            self.cancelled,
            self.unguarded
        );
        let models = self.models.iter().map(|(model, count)| format!("\n  {model} in {count}"));
        let not_named = self.not_named.iter().map(|(what, count)| format!("\n  {count} do not name {what}"));
        let torn = self.torn.then(|| "\n  the last line has no end: whatever stands in it was not verified".to_owned());
        let named: String = models.chain(not_named).chain(torn).collect();
        write!(
            f,
            "{file}: {records} records, the chain holds\n  {verified} added up again and confirmed, {without_body} without a body, {signed} signed\n  \
         {statuses}{named}\n  last {last}"
        )
    }
}
