//! `/pooling`: a row of numbers for each position of a text.

use super::{
    LIMIT,
    check::{same_tokens, version},
};
use crate::{
    Endpoint, Fault, Lie, Probe, Remote, Tolerance,
    checks::{CANARY, unwrapped},
    engine::Session,
    fleet::{Check, Fleet, Read, Shared},
    http::{Call, Http, Models, malformed},
    worker::Worker,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use inferenceguard_model::{Cancel, Token, Tokenizer};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

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
    serde_json::to_vec(&request).unwrap_or_default()
}

/// The rows of an answer, one after the other: those of the last positions, as many as were computed.
pub(crate) fn rows(bytes: &[u8], width: usize, positions: usize, what: &'static str) -> Result<Vec<f32>, Fault> {
    let answer: Answer = serde_json::from_slice(bytes).map_err(|error| malformed(POOLING, &error))?;
    let [entry] = answer.data.as_slice() else {
        return Err(Lie::Answers { found: answer.data.len(), expected: 1 }.into());
    };
    let reason = "its numbers are not base64 of 32 bits each".to_owned();
    let bytes = BASE64_STANDARD.decode(&entry.data).ok().filter(|bytes| bytes.len().is_multiple_of(4));
    let bytes = bytes.ok_or(Fault::Malformed { path: POOLING, reason })?;
    let numbers: Vec<f32> = bytes.as_chunks::<4>().0.iter().map(|four| f32::from_le_bytes(*four)).collect();
    if !numbers.len().is_multiple_of(width) {
        return Err(Lie::Width { found: numbers.len(), expected: width }.into());
    }
    if numbers.len() / width > positions {
        return Err(Lie::TooMany { found: numbers.len() / width, max: positions }.into());
    }
    if numbers.iter().all(|number| number.is_finite()) { Ok(numbers) } else { Err(Lie::NotFinite { what }.into()) }
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
    width: usize,
    what: &'static str,
    context: usize,
    probe: Option<(Probe, Tolerance)>,
    any_version: bool,
}

impl PoolCheck {
    /// For rows of `width` numbers; the server must take `context` tokens.
    pub(crate) fn new(
        remote: &Remote,
        tokenizer: &dyn Tokenizer,
        (width, what): (usize, &'static str),
        context: usize,
    ) -> Result<Self, Fault> {
        let setup = |reason: String| Fault::Setup { reason };
        let canary = tokenizer.encode(CANARY).map_err(|error| setup(error.to_string()))?;
        let probe = remote.probe_for(width, usize::MAX)?;
        let (model, any_version) = (remote.model.clone(), remote.any_version);
        Ok(Self { model, canary, width: width.max(1), what, context, probe, any_version })
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
        rows(&unwrapped(http.bytes(at, call).await)?, self.width, tokens.len(), self.what)
    }

    /// Whether a second reading of the same text gives fewer rows than the first.
    async fn prefix(&self, http: &Http, at: &Endpoint, model: &str, context: usize) -> Result<bool, Fault> {
        // Longer than the largest block of the cache, if the context allows.
        let length = context.clamp(2, 300);
        let text: Vec<Token> = self.canary.iter().copied().cycle().take(length).collect();
        let salt = format!("ig-{:016x}", crate::hashes::unique());
        let first = self.rows(http, at, model, &text, &salt).await?.len();
        if first != text.len() * self.width {
            return Err(Lie::TooFew { found: first / self.width, expected: text.len() }.into());
        }
        Ok(self.rows(http, at, model, &text, &salt).await?.len() < first)
    }

    async fn probe(&self, http: &Http, at: &Endpoint, model: &str) -> Result<(), Fault> {
        let Some((probe, tolerance)) = &self.probe else { return Ok(()) };
        let mut pairs = Vec::new();
        for one in &probe.sequences {
            let text = [one.prompt.as_slice(), &one.tokens].concat();
            let salt = format!("ig-{:016x}", crate::hashes::unique());
            let found = self.rows(http, at, model, &text, &salt).await?;
            let last = found.len().checked_sub(one.values.len()).map(|from| &found[from..]);
            let last = last.ok_or(Lie::TooFew { found: found.len(), expected: one.values.len() })?;
            // Latents have no unit: they are compared as parts of the largest number of the probe's.
            let unit =
                if self.width > 1 { one.values.iter().fold(0.0f32, |most, value| most.max(value.abs())) } else { 1.0 };
            pairs.extend(last.iter().zip(&one.values).map(|(found, expected)| (found / unit, expected / unit)));
        }
        tolerance.exceeded(&pairs).map_or(Ok(()), |difference| Err(Fault::Probe { difference }))
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
        let prefix = self.prefix(http, at, &model.id, context).await?;
        self.probe(http, at, &model.id).await?;
        Ok(PoolFacts { model: model.id, version, context, prefix })
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
        let (setting, width, what) = (remote.setting(), check.width, check.what);
        let begun = worker.wait(&Cancel::new(), async move {
            let fleet = Arc::new(Fleet::new(setting, check)?);
            let found = fleet.begin().await?;
            Ok::<_, crate::RemoteError>((fleet, found))
        });
        let (fleet, found) = begun.map_err(|fault| fault.at("(this side)"))??;
        let mut found = found.into_iter();
        let Some(first) = found.next() else { return Err(Fault::Cancelled.at(fleet.names())) };
        let facts = found.fold(first, |all, one| PoolFacts { prefix: all.prefix && one.prefix, ..all });
        worker.spawn(Fleet::watch(Arc::downgrade(&fleet), remote.deadlines));
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
        let read = |bytes: &[u8]| {
            let value = rows(bytes, self.width, tokens.len(), self.what)?;
            Ok(Read { value, mark: None })
        };
        self.fleet.call(&session.id, call, read).await
    }
}
