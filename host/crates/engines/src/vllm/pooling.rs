//! `/pooling`: a row of numbers for each position of a text.

use super::{
    LIMIT,
    check::{same_name, same_tokens, version},
};
use crate::{
    Contradiction, Endpoint, Fault, Remote, Sequence,
    checks::{CANARY, unwrapped},
    engine::Session,
    fleet::{Check, Fleet, Read, Shared},
    http::{Call, Http, Models, json, malformed},
    measure::Measure,
    open::Likeness,
    worker::Worker,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use inferenceguard_model::{Token, Tokenizer};
use serde::{Deserialize, Serialize};
use std::sync::OnceLock;

/// The tokens of the text that is read twice to see whether the server reads it twice.
const PREFIX: usize = 300;

/// The path of pooling.
pub(crate) const POOLING: &str = "/pooling";

#[derive(Serialize)]
struct Request<'a> {
    model: &'a str,
    input: [&'a [Token]; 1],
    /// Scores and latents as the model gives them.
    use_activation: bool,
    encoding_format: &'static str,
    add_special_tokens: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_salt: Option<&'a str>,
}

#[derive(Deserialize)]
struct Answer {
    data: Vec<Entry>,
    usage: Usage,
}

#[derive(Deserialize)]
struct Usage {
    prompt_tokens: usize,
}

#[derive(Deserialize)]
struct Entry {
    data: String,
}

/// The body of a request for one text.
pub(crate) fn request(model: &str, tokens: &[Token], salt: Option<&str>) -> Vec<u8> {
    let (use_activation, add_special_tokens) = (false, false);
    let request = Request {
        model,
        input: [tokens],
        use_activation,
        encoding_format: "base64",
        add_special_tokens,
        cache_salt: salt,
    };
    json(&request)
}

/// What rows must fit.
#[derive(Debug, Clone, Copy)]
struct Due {
    width: usize,
    /// The tokens of the text.
    positions: usize,
    /// Whether rows of the beginning may be left out, because they were read before.
    prefix: bool,
    what: &'static str,
}

/// The rows of an answer, one after the other: those of the last positions, as many as were computed. The server must have read
/// the whole text: a shortened one has other scores at the same positions.
fn rows(bytes: &[u8], due: Due) -> Result<Vec<f32>, Fault> {
    let answer: Answer = serde_json::from_slice(bytes).map_err(|error| malformed(POOLING, &error))?;
    let [entry] = answer.data.as_slice() else {
        return Err(Contradiction::Answers { found: answer.data.len(), expected: 1 }.into());
    };
    let (found, sent) = (answer.usage.prompt_tokens, due.positions);
    if found != sent {
        return Err(Contradiction::Prompt { found, sent }.into());
    }
    let numbers = numbers(entry, due)?;
    let found = numbers.len() / due.width;
    if found > sent {
        return Err(Contradiction::TooMany { found, max: sent }.into());
    }
    if !due.prefix && found < sent {
        return Err(Contradiction::TooFew { found, expected: sent }.into());
    }
    Ok(numbers)
}

fn numbers(entry: &Entry, Due { width, what, .. }: Due) -> Result<Vec<f32>, Fault> {
    let reason = "its numbers are not base64 of 32 bits each".to_owned();
    let bytes = BASE64_STANDARD.decode(&entry.data).ok().filter(|bytes| bytes.len().is_multiple_of(4));
    let bytes = bytes.ok_or(Fault::Malformed { path: POOLING, reason })?;
    let numbers: Vec<f32> = bytes.as_chunks::<4>().0.iter().map(|four| f32::from_le_bytes(*four)).collect();
    if !numbers.len().is_multiple_of(width) {
        return Err(Contradiction::Width { found: numbers.len(), expected: width }.into());
    }
    if numbers.iter().all(|number| number.is_finite()) {
        Ok(numbers)
    } else {
        Err(Contradiction::NotFinite { what }.into())
    }
}

/// What a check of a pooling server finds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PoolFacts {
    pub(crate) model: String,
    pub(crate) version: String,
    pub(crate) context: usize,
    /// Whether a text that was read before is not read again.
    pub(crate) prefix: bool,
}

/// What every replica of a pooling server must be.
pub(crate) struct PoolCheck {
    model: Option<String>,
    canary: Vec<Token>,
    measure: Measure,
    what: &'static str,
    /// The tokens that the server must take.
    context: usize,
    probe: Option<Likeness>,
    any_version: bool,
    /// What the first replicas are: later ones must be the same.
    expected: OnceLock<PoolFacts>,
}

impl PoolCheck {
    /// The check for scores or latents, called `what` in errors; the server must take `context` tokens.
    pub(crate) fn new(
        remote: &Remote,
        tokenizer: &dyn Tokenizer,
        (measure, what): (Measure, &'static str),
        context: usize,
    ) -> Result<Self, Fault> {
        let setup = |reason: String| Fault::Setup { reason };
        let canary = tokenizer.encode(CANARY).map_err(|error| setup(error.to_string()))?;
        let probe = remote.probe_for(measure, usize::MAX)?;
        let (model, any_version) = (remote.model.clone(), remote.any_version);
        Ok(Self { model, canary, measure, what, context, probe, any_version, expected: OnceLock::new() })
    }

    async fn rows(
        &self,
        http: &Http,
        at: &Endpoint,
        model: &str,
        tokens: &[Token],
        salt: &str,
    ) -> Result<Vec<f32>, Fault> {
        let body = request(model, tokens, Some(salt));
        let call = Call { limit: LIMIT, ..Call::post(POOLING, &body) };
        let due = Due { width: self.measure.width(), positions: tokens.len(), prefix: true, what: self.what };
        rows(&unwrapped(http.bytes(at, call).await)?, due)
    }

    /// Whether a second reading of the same text gives fewer rows than the first. `context` is how many tokens the server takes.
    async fn prefix(&self, http: &Http, at: &Endpoint, model: &str, context: usize) -> Result<bool, Fault> {
        // Longer than the largest block of the cache, if the context allows.
        let (length, width) = (context.clamp(2, PREFIX), self.measure.width());
        let text: Vec<Token> = self.canary.iter().copied().cycle().take(length).collect();
        let salt = format!("ig-{:016x}", crate::identity::unique());
        let first = self.rows(http, at, model, &text, &salt).await?.len();
        if first != text.len() * width {
            return Err(Contradiction::TooFew { found: first / width, expected: text.len() }.into());
        }
        Ok(self.rows(http, at, model, &text, &salt).await?.len() < first)
    }

    async fn probe(
        &self,
        http: &Http,
        at: &Endpoint,
        model: &str,
        (likeness, sequences): (&Likeness, &[Sequence]),
    ) -> Result<(), Fault> {
        let mut pairs = Vec::new();
        for one in sequences {
            let text = [one.prompt.as_slice(), &one.tokens].concat();
            let salt = format!("ig-{:016x}", crate::identity::unique());
            let found = self.rows(http, at, model, &text, &salt).await?;
            let last = found.len().checked_sub(one.values.len()).map(|from| &found[from..]);
            let last = last.ok_or(Contradiction::TooFew { found: found.len(), expected: one.values.len() })?;
            pairs.extend(likeness.pairs(last, &one.values));
        }
        likeness.judge(&pairs)
    }

    fn same(&self, found: &PoolFacts) -> Result<(), Fault> {
        let Some(expected) = self.expected.get() else { return Ok(()) };
        same_name(&expected.model, &found.model)?;
        if found.context < expected.context {
            return Err(Fault::Context { found: found.context, expected: expected.context });
        }
        Ok(())
    }

    /// What all replicas can do. They must serve the model under one name.
    fn common(&self, found: Vec<PoolFacts>) -> Result<PoolFacts, Fault> {
        let mut found = found.into_iter();
        let first = found.next().ok_or(Fault::Cancelled)?;
        let all = found.try_fold(first, |all, one| {
            same_name(&all.model, &one.model)?;
            let (context, prefix) = (all.context.min(one.context), all.prefix && one.prefix);
            Ok::<_, Fault>(PoolFacts { context, prefix, ..all })
        })?;
        // Set once: at the start.
        drop(self.expected.set(all.clone()));
        Ok(all)
    }
}

impl Check for PoolCheck {
    type Facts = PoolFacts;

    async fn check(&self, http: &Http, at: &Endpoint) -> Result<PoolFacts, Fault> {
        let models: Models = unwrapped(http.json(at, Call::get("/v1/models")).await)?;
        let model = models.find(self.model.as_deref())?;
        let version = version(http, at, self.any_version).await?;
        same_tokens(http, at, &model.id, &self.canary).await?;
        let context = model.max_model_len.unwrap_or(usize::MAX);
        if context < self.context {
            return Err(Fault::Context { found: context, expected: self.context });
        }
        let prefix = self.prefix(http, at, &model.id, model.max_model_len.unwrap_or(self.context)).await?;
        if let Some(likeness) = &self.probe {
            self.probe(http, at, &model.id, (likeness, &likeness.probe.sequences)).await?;
        }
        let found = PoolFacts { model: model.id, version, context, prefix };
        self.same(&found)?;
        Ok(found)
    }

    async fn look(&self, http: &Http, at: &Endpoint, facts: &PoolFacts) -> Result<bool, Fault> {
        let models: Models = unwrapped(http.json(at, Call::get("/v1/models")).await)?;
        if models.find(Some(&facts.model))?.max_model_len.unwrap_or(usize::MAX) != facts.context {
            return Ok(false);
        }
        let Some(likeness) = &self.probe else { return Ok(true) };
        match self.probe(http, at, &facts.model, (likeness, likeness.first())).await {
            Err(Fault::Probe { .. }) => Ok(false),
            other => other.map(|()| true),
        }
    }

    /// Answers of `/pooling` do not name their process.
    fn mark(_facts: &PoolFacts) -> Option<&str> {
        None
    }
}

/// Servers that pool.
pub(crate) struct Pooling {
    pub(crate) fleet: Shared<PoolCheck>,
    pub(crate) facts: PoolFacts,
    width: usize,
    what: &'static str,
}

impl Pooling {
    pub(crate) fn connect(worker: &Worker, remote: &Remote, check: PoolCheck) -> Result<Self, crate::RemoteError> {
        let (width, what) = (check.measure.width(), check.what);
        let (fleet, facts) = Fleet::start(worker, remote, check, |fleet, found| fleet.check().common(found))?;
        Ok(Self { fleet, facts, width, what })
    }

    /// The rows of the last positions of a text.
    pub(crate) async fn rows(
        &self,
        session: &Session,
        tokens: &[Token],
        salt: Option<&str>,
    ) -> Result<Vec<f32>, crate::RemoteError> {
        let body = request(&self.facts.model, tokens, salt);
        let call = Call { limit: LIMIT, ..Call::post(POOLING, &body) };
        let read = |facts: &PoolFacts, bytes: &[u8]| {
            let Self { width, what, .. } = *self;
            let value = rows(bytes, Due { width, positions: tokens.len(), prefix: facts.prefix, what })?;
            Ok(Read { value, mark: None })
        };
        self.fleet.call(&session.id, call, read).await
    }
}
