//! Is this replica the engine and the model that this side expects? Asked at the start, after each broken connection, when another
//! process answers, and every few minutes. A short look, every few seconds, compares one sequence of the probe.

use super::{
    penalties::extra,
    read,
    wire::{COMPLETIONS, Completion, Tokenize, Tokenized, Version},
};
use crate::{
    Endpoint, Fault, Local, Remote, Sequence,
    checks::{Asked, CANARY, unwrapped},
    engine::Row,
    error::quoted,
    fleet::{Check, Read},
    http::{Call, Http, Models, json},
    measure::Measure,
    open::Likeness,
    sampling::Sampling,
};
use inferenceguard_model::{Likely, Token};
use std::sync::OnceLock;

/// The versions that were tested, for people.
const TESTED: &str = "vLLM 0.32";

/// The beginning whose continuation is changed to prove the plugin.
const BEGINNING: &str = "The capital of France is";

/// Tokens of that continuation.
const LENGTH: usize = 8;

/// Numbers of likely tokens that are tried, the largest first; vLLM allows 20 by default.
const LIKELIEST: [u32; 3] = [64, 20, 5];

/// By how much a log-probability may differ between two calls of one process, in bf16 and in another batch.
const NOISE: f32 = 0.3;

/// What a check finds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Facts {
    pub(crate) model: String,
    pub(crate) version: String,
    pub(crate) context: usize,
    pub(crate) penalties: bool,
    pub(crate) likeliest: u32,
    pub(crate) fingerprint: Option<String>,
}

/// What every replica of a language model must be.
pub(crate) struct LanguageCheck {
    model: Option<String>,
    canary: Vec<Token>,
    beginning: Vec<Token>,
    vocab: usize,
    probe: Option<Likeness>,
    any_version: bool,
    /// What the first replicas can do: later ones can do the same.
    pub(crate) expected: OnceLock<Facts>,
}

impl LanguageCheck {
    pub(crate) fn new(remote: &Remote, local: &Local) -> Result<Self, Fault> {
        let setup = |reason: String| Fault::Setup { reason };
        let tokens = |text: &str| local.tokenizer.encode(text).map_err(|error| setup(error.to_string()));
        let probe = remote.probe_for(Measure::Logprobs, local.info.vocab)?;
        Ok(Self {
            model: remote.model.clone(),
            canary: tokens(CANARY)?,
            beginning: tokens(BEGINNING)?,
            vocab: local.info.vocab,
            probe,
            any_version: remote.any_version,
            expected: OnceLock::new(),
        })
    }

    fn query<'a>(&self, prompt: &'a [Token], max: usize) -> Asked<'a> {
        Asked { prompt, max, end: &[], vocab: self.vocab }
    }

    async fn found(&self, http: &Http, at: &Endpoint) -> Result<Facts, Fault> {
        let models: Models = unwrapped(http.json(at, Call::get("/v1/models")).await)?;
        let model = models.find(self.model.as_deref())?;
        let version = version(http, at, self.any_version).await?;
        let on = On { check: self, http, at, model: &model.id };
        on.tokenizer(&self.canary).await?;
        let (likeliest, best, base) = on.base().await?;
        on.raw_logprobs(&best).await?;
        let penalties = on.penalties(&best, &base.value.1).await?;
        if let Some(likeness) = &self.probe {
            on.probe(likeness, &likeness.probe.sequences).await?;
        }
        let context = model.max_model_len.unwrap_or(usize::MAX);
        Ok(Facts { model: model.id, version, context, penalties, likeliest, fingerprint: base.mark })
    }

    fn same(&self, found: &Facts) -> Result<(), Fault> {
        let Some(expected) = self.expected.get() else { return Ok(()) };
        if found.context < expected.context {
            return Err(Fault::Context { found: found.context, expected: expected.context });
        }
        if expected.penalties && !found.penalties {
            return Err(Fault::Unlike { what: "lower tokens by offset" });
        }
        if found.likeliest < expected.likeliest {
            return Err(Fault::Unlike { what: "give as many likely tokens" });
        }
        same_name(&expected.model, &found.model)
    }
}

impl Check for LanguageCheck {
    type Facts = Facts;

    async fn check(&self, http: &Http, at: &Endpoint) -> Result<Facts, Fault> {
        let found = self.found(http, at).await?;
        self.same(&found)?;
        Ok(found)
    }

    async fn look(&self, http: &Http, at: &Endpoint, facts: &Facts) -> Result<bool, Fault> {
        let models: Models = unwrapped(http.json(at, Call::get("/v1/models")).await)?;
        if models.find(Some(&facts.model))?.max_model_len.unwrap_or(usize::MAX) != facts.context {
            return Ok(false);
        }
        let Some(likeness) = &self.probe else { return Ok(true) };
        let on = On { check: self, http, at, model: &facts.model };
        match on.probe(likeness, likeness.first()).await {
            Err(Fault::Probe { .. }) => Ok(false),
            other => other.map(|()| true),
        }
    }

    fn mark(facts: &Facts) -> Option<&str> {
        facts.fingerprint.as_deref()
    }
}

/// The version of an engine, if it is a tested one.
pub(crate) async fn version(http: &Http, at: &Endpoint, any: bool) -> Result<String, Fault> {
    let Version { version } = unwrapped(http.json(at, Call::get("/version")).await)?;
    let mut numbers = version.split(['.', '+']).map(|part| part.parse::<u32>().unwrap_or(u32::MAX));
    let tested = matches!((numbers.next(), numbers.next()), (Some(0), Some(32)));
    if tested || any { Ok(quoted(&version)) } else { Err(Fault::Version { found: quoted(&version), expected: TESTED }) }
}

/// A replica that is being checked.
struct On<'a> {
    check: &'a LanguageCheck,
    http: &'a Http,
    at: &'a Endpoint,
    model: &'a str,
}

impl On<'_> {
    async fn tokenizer(&self, canary: &[Token]) -> Result<(), Fault> {
        same_tokens(self.http, self.at, self.model, canary).await
    }

    async fn send(&self, request: &Completion<'_>) -> Result<Vec<u8>, Fault> {
        let body = json(request);
        let call = Call { limit: super::LIMIT, ..Call::post(COMPLETIONS, &body) };
        unwrapped(self.http.bytes(self.at, call).await)
    }

    fn greedy(&self) -> Completion<'_> {
        Completion::new(self.model, &self.check.beginning, LENGTH as u32, &Sampling::GREEDY)
    }

    async fn continuation(&self, penalties: &[Vec<(Token, f32)>], mass: f32) -> Result<Row, Fault> {
        let request = Completion { vllm_xargs: extra(penalties, 0, mass, self.check.vocab), ..self.greedy() };
        let bytes = self.send(&request).await?;
        Ok(read::row(&bytes, self.check.query(&self.check.beginning, LENGTH))?.value)
    }

    /// The greedy continuation, with as many likely tokens as the server gives.
    async fn base(&self) -> Result<(u32, Vec<Likely>, Read<(Vec<Likely>, Row)>), Fault> {
        let mut refusal = None;
        for k in LIKELIEST.map(|k| k.min(self.check.vocab as u32)) {
            match self.send(&Completion { logprobs: k, ..self.greedy() }).await {
                Ok(bytes) => {
                    let asked = self.check.query(&self.check.beginning, LENGTH);
                    let base = read::likely(&bytes, asked, k as usize)?;
                    return Ok((k, base.value.0.clone(), base));
                }
                Err(fault @ Fault::Status { status: 400, .. }) => refusal = Some(fault),
                Err(fault) => return Err(fault),
            }
        }
        Err(refusal.unwrap_or(Fault::ProcessedLogprobs))
    }

    /// Checks that log-probabilities are the model's own: they stay as they are at another temperature.
    async fn raw_logprobs(&self, best: &[Likely]) -> Result<(), Fault> {
        let cold = Sampling { temperature: 0.25, ..Sampling::GREEDY };
        let request = Completion::new(self.model, &self.check.beginning, 1, &cold).seeded(1);
        let bytes = self.send(&Completion { logprobs: 2, ..request }).await?;
        let now = read::likely(&bytes, self.check.query(&self.check.beginning, 1), 2)?.value.0;
        let far = |then: &Likely, now: &Likely| (then.logprob - now.logprob).abs() > NOISE;
        let changed = best.iter().zip(&now).any(|(then, now)| far(then, now));
        if changed { Err(Fault::ProcessedLogprobs) } else { Ok(()) }
    }

    /// Whether the plugin is there and does what the reference sampler does. Without it the server ignores the parameter.
    async fn penalties(&self, best: &[Likely], base: &Row) -> Result<bool, Fault> {
        let tokens = &base.tokens;
        let (Some(first), Some(second)) = (best.first(), best.get(1)) else { return Ok(false) };
        // The first offset, 5 if possible, whose token differs from the one before.
        let differs = |at: &usize| tokens[*at] != tokens[*at - 1];
        let Some(at) = [5, 4, 6, 3, 7, 2, 1].into_iter().find(|at| *at < tokens.len() && differs(at)) else {
            return Ok(false);
        };
        let entry = |at: usize, token: Token| -> Vec<Vec<(Token, f32)>> {
            (0..=at).map(|offset| if offset == at { vec![(token, 100.0)] } else { vec![] }).collect()
        };
        let changed = self.continuation(&entry(0, tokens[0]), 1.0).await?.tokens[0] != tokens[0];
        let there = self.continuation(&entry(at, tokens[at]), 1.0).await?.tokens;
        let before = self.continuation(&entry(at - 1, tokens[at]), 1.0).await?.tokens;
        // Without any mass only the likeliest of the named tokens is lowered, although it stands last.
        let both = vec![vec![(second.token, 100.0), (first.token, 100.0)]];
        let capped = self.continuation(&both, 0.0).await?.tokens;
        let offset = there[..at] == tokens[..at] && there[at] != tokens[at] && before[..=at] == tokens[..=at];
        Ok(changed && offset && capped[0] == second.token)
    }

    async fn probe(&self, likeness: &Likeness, sequences: &[Sequence]) -> Result<(), Fault> {
        let mut pairs = Vec::new();
        for one in sequences {
            let prompt = [one.prompt.as_slice(), &one.tokens].concat();
            let request = Completion::new(self.model, &prompt, 1, &Sampling::GREEDY);
            let bytes = self.send(&Completion { prompt_logprobs: Some(0), ..request }).await?;
            let found = read::of_prompt(&bytes, self.check.query(&prompt, 1), one.prompt.len())?.value;
            pairs.extend(likeness.pairs(&found, &one.values));
        }
        likeness.judge(&pairs)
    }
}

/// Whether two replicas serve the model under the same name.
pub(crate) fn same_name(expected: &str, found: &str) -> Result<(), Fault> {
    if found == expected {
        return Ok(());
    }
    Err(Fault::Model { expected: quoted(expected), known: quoted(found) })
}

/// Whether a server cuts a text as the local tokenizer does.
pub(crate) async fn same_tokens(http: &Http, at: &Endpoint, model: &str, expected: &[Token]) -> Result<(), Fault> {
    let request = Tokenize { model, prompt: CANARY, add_special_tokens: false };
    let body = json(&request);
    let Tokenized { tokens } = unwrapped(http.json(at, Call::post("/tokenize", &body)).await)?;
    if tokens.iter().copied().eq(expected.iter().map(|token| i64::from(*token))) {
        return Ok(());
    }
    let shown = |tokens: &[i64]| quoted(&format!("{} tokens {:?}", tokens.len(), &tokens[..tokens.len().min(12)]));
    let expected: Vec<i64> = expected.iter().map(|token| i64::from(*token)).collect();
    Err(Fault::Tokenizer { found: shown(&tokens), expected: shown(&expected) })
}
