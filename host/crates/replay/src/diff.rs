//! Recorded answers under two bundles.

use crate::{ReplayError, bodies};
use inferenceguard_catalog::{
    CatalogError, Choice, TextJudge,
    bundles::{self, Fallback},
};
use inferenceguard_host::{Engine, Judgement, Prepared, Request};
use inferenceguard_record::{Body, Header};
use inferenceguard_search::{Finish, Status};
use std::{fmt, path::Path};

/// How the two bundles judge the answers, in numbers of answers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Judged {
    /// Answers that are judged the same.
    pub same: u64,
    /// Answers that would not pass any more.
    pub stricter: u64,
    /// Answers that would pass now.
    pub looser: u64,
    /// Refusals, which hold no answer to judge.
    pub refusals: u64,
    /// Failed requests, which hold no answer either.
    pub failures: u64,
    /// Cancelled requests, which hold no answer either.
    pub cancelled: u64,
    /// Answers on which a component of one of the bundles failed.
    pub unjudged: u64,
    /// Records without a body.
    pub skipped: u64,
}

impl fmt::Display for Judged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { same, stricter, looser, refusals, failures, cancelled, unjudged, skipped } = self;
        write!(
            f,
            "{same} answers are judged the same, {stricter} would not pass any more, {looser} would pass now; {refusals} refusals, \
             {failures} failed requests, {cancelled} cancelled requests and {skipped} records without a body are not judged, nor \
             are {unjudged} answers on which a component failed"
        )
    }
}

/// One answer that the two bundles do not judge the same.
#[derive(Debug)]
pub enum Compared<'a> {
    /// A component of one of the bundles failed.
    Failed {
        /// The record's number.
        record: u64,
        /// Which component, and why.
        failure: String,
    },
    /// One bundle lets the answer pass, the other does not.
    Differs {
        /// The record.
        header: &'a Header,
        /// Its body.
        body: &'a Body,
        /// By the old bundle.
        old: &'a Judgement,
        /// By the new bundle.
        new: &'a Judgement,
    },
}

/// Judges every recorded answer by an old and a new bundle, and shows the answers that are not judged the same. `choice` names
/// the models; if it names none, and the costs of both bundles read text alone, no model is loaded.
///
/// # Errors
/// [`ReplayError::At`] for a record of other models; models and bundles that cannot be opened; what `show` returns.
pub fn diff<E: From<ReplayError>>(
    choice: &Choice,
    [old, new]: [&Path; 2],
    records: &Path,
    show: &mut dyn FnMut(Compared<'_>) -> Result<(), E>,
) -> Result<Judged, E> {
    let judges = Judges::open(choice, old, new)?;
    let (mut counted, mut skipped) = (Judged::default(), 0);
    for record in bodies(records, &mut skipped).map_err(ReplayError::from)? {
        let (header, body) = record.map_err(ReplayError::from)?;
        if body.outcome.tokens.is_empty() {
            match (body.outcome.finish, body.outcome.ending()) {
                (Finish::Cancelled, _) => counted.cancelled += 1,
                (_, Status::Failed) => counted.failures += 1,
                _ => counted.refusals += 1,
            }
            continue;
        }
        let (old, new) = judges.judge(&header, &body).map_err(ReplayError::at(records, header.sequence))?;
        if let Some(failure) = old.failures.iter().chain(&new.failures).next() {
            counted.unjudged += 1;
            show(Compared::Failed { record: header.sequence, failure: failure.to_string() })?;
            continue;
        }
        match (old.within_budget, new.within_budget) {
            (true, false) => counted.stricter += 1,
            (false, true) => counted.looser += 1,
            _ => {
                counted.same += 1;
                continue;
            }
        }
        show(Compared::Differs { header: &header, body: &body, old: &old, new: &new })?;
    }
    Ok(Judged { skipped, ..counted })
}

/// Two bundles that judge.
enum Judges {
    /// Without a model.
    Text(Box<[TextJudge; 2]>),
    Models {
        engine: Box<Engine>,
        old: Prepared,
        new: Prepared,
    },
}

impl Judges {
    fn open(choice: &Choice, old: &Path, new: &Path) -> Result<Self, ReplayError> {
        if choice.model.is_none() && choice.scores.is_empty() {
            let text = |path: &Path| TextJudge::open(&bundles::open(Some(path), Fallback::Plain)?);
            match text(old).and_then(|old| Ok([old, text(new)?])) {
                Ok(judges) => return Ok(Self::Text(Box::new(judges))),
                Err(CatalogError::ReadsModel { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let engine = Choice { bundle: Some(old.to_owned()), ..choice.clone() }.engine(&[], &[])?;
        let (old, new) = (prepared(&engine, old)?, prepared(&engine, new)?);
        Ok(Self::Models { engine: Box::new(engine), old, new })
    }

    fn judge(&self, header: &Header, body: &Body) -> Result<(Judgement, Judgement), ReplayError> {
        match self {
            Self::Text(judges) => {
                let pieces = body.pieces().ok_or(ReplayError::NoText)?;
                let judge = |one: &TextJudge| -> Result<Judgement, ReplayError> {
                    Ok(Judgement::of_text(&one.price(&body.inputs.prompt, &pieces)?))
                };
                let [old, new] = &**judges;
                Ok((judge(old)?, judge(new)?))
            }
            Self::Models { engine, old, new } => {
                Ok((judge(engine, old, header, body)?, judge(engine, new, header, body)?))
            }
        }
    }
}

fn prepared(engine: &Engine, bundle: &Path) -> Result<Prepared, ReplayError> {
    Ok(engine.prepare(&bundles::open(Some(bundle), Fallback::Plain)?)?)
}

fn judge(engine: &Engine, bundle: &Prepared, header: &Header, body: &Body) -> Result<Judgement, ReplayError> {
    header.expects(&engine.models().model, &engine.models().scores)?;
    let (prompt, history) = (body.inputs.prompt.clone(), body.inputs.history.clone());
    let request = Request { prompt, history, ..Request::default() };
    Ok(engine.judge_tokens(bundle, &request, &body.outcome.tokens)?)
}
