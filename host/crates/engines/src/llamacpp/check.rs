//! Is it the server and the model that this side expects?

use super::{
    CHECKS, LIKELIEST, LIMIT, read,
    wire::{COMPLETION, Completion, File, Props, Tokenize, Tokenized},
};
use crate::{
    Endpoint, Fault, Local, Remote, Sequence,
    checks::{Asked, CANARY, unwrapped},
    error::quoted,
    fleet::Check,
    http::{Call, Http, json},
    measure::Measure,
    open::Likeness,
};
use inferenceguard_model::Token;
use std::sync::OnceLock;

/// The positions of each sequence of a probe that are compared: the server gives no log-probabilities of a prompt.
const POSITIONS: usize = 4;

/// The oldest build that was tested. llama.cpp has several builds a day, so that later ones are taken as well: what this side uses
/// of them is checked in every answer.
const OLDEST: u32 = 11434;

/// [`OLDEST`], in an error for people.
const EXPECTED: &str = "llama.cpp b11434 or later";

/// What a check finds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Facts {
    pub(crate) build: String,
    /// The file with its weights.
    pub(crate) model: String,
    pub(crate) context: usize,
    pub(crate) slots: usize,
    /// Whether slots can be saved.
    pub(crate) saves: bool,
}

/// What a server must be.
pub(crate) struct ServerCheck {
    canary: Vec<Token>,
    vocab: usize,
    probe: Option<Likeness>,
    end: Vec<Token>,
    any_version: bool,
    /// What the server was at the start: later it must be able to do the same.
    expected: OnceLock<Facts>,
}

impl ServerCheck {
    pub(crate) fn new(remote: &Remote, local: &Local) -> Result<Self, Fault> {
        let setup = |reason: String| Fault::Setup { reason };
        let canary = local.tokenizer.encode(CANARY).map_err(|error| setup(error.to_string()))?;
        let probe = remote.probe_for(Measure::Logprobs, local.info.vocab)?;
        let (vocab, end, any_version) = (local.info.vocab, local.info.eos.clone(), remote.any_version);
        Ok(Self { canary, vocab, probe, end, any_version, expected: OnceLock::new() })
    }

    async fn tokenizer(&self, http: &Http, at: &Endpoint) -> Result<(), Fault> {
        let request = Tokenize { content: CANARY, add_special: false, parse_special: false };
        let body = json(&request);
        let Tokenized { tokens } = unwrapped(http.json(at, Call::post("/tokenize", &body)).await)?;
        if tokens.iter().copied().eq(self.canary.iter().map(|token| i64::from(*token))) {
            return Ok(());
        }
        let shown =
            |tokens: Vec<i64>| quoted(&format!("{} tokens {:?}", tokens.len(), &tokens[..tokens.len().min(12)]));
        let expected = self.canary.iter().map(|token| i64::from(*token)).collect();
        Err(Fault::Tokenizer { found: shown(tokens), expected: shown(expected) })
    }

    /// Whether the server was started with a folder for the states of slots.
    async fn saves(&self, http: &Http, at: &Endpoint) -> Result<bool, Fault> {
        let body = json(&File { filename: "ig-check.bin" });
        let suffix = format!("/{CHECKS}?action=save");
        match unwrapped(http.bytes(at, Call { suffix: &suffix, ..Call::post("/slots", &body) }).await) {
            Ok(_) => Ok(true),
            Err(Fault::Path { .. } | Fault::Status { .. }) => Ok(false),
            Err(fault) => Err(fault),
        }
    }

    async fn probe(&self, http: &Http, at: &Endpoint, likeness: &Likeness, some: &[Sequence]) -> Result<(), Fault> {
        let mut pairs = Vec::new();
        for one in some {
            let step = one.tokens.len().div_ceil(POSITIONS);
            for position in (0..one.tokens.len()).step_by(step.max(1)) {
                let prompt = [one.prompt.as_slice(), &one.tokens[..position]].concat();
                let request = Completion::likeliest(&prompt, LIKELIEST, &self.end, CHECKS);
                let body = json(&request);
                let call = Call { limit: LIMIT, ..Call::post(COMPLETION, &body) };
                let bytes = unwrapped(http.bytes(at, call).await)?;
                let asked = Asked { prompt: &prompt, max: 1, end: &[], vocab: self.vocab };
                let likely = read::likely(&bytes, asked)?.0;
                let expected = one.values[position];
                match likely.iter().find(|likely| likely.token == one.tokens[position]) {
                    Some(found) => pairs.push((found.logprob, expected)),
                    // It is none of the likeliest, so it must not be more likely than the last of them.
                    None => pairs.extend(likely.last().filter(|l| l.logprob < expected).map(|l| (l.logprob, expected))),
                }
            }
        }
        likeness.judge(&pairs)
    }

    /// What the server is at the start, kept for later checks.
    pub(crate) fn agree(&self, found: Vec<Facts>) -> Result<Facts, Fault> {
        let facts = found.into_iter().next().ok_or(Fault::Cancelled)?;
        // Set once: at the start.
        drop(self.expected.set(facts.clone()));
        Ok(facts)
    }

    fn same(&self, found: &Facts) -> Result<(), Fault> {
        // One for checks and one for rows.
        let slots = self.expected.get().map_or(CHECKS + 2, |expected| expected.slots);
        if found.slots < slots {
            return Err(Fault::Slots { found: found.slots, expected: slots });
        }
        match self.expected.get() {
            Some(Facts { context, .. }) if found.context < *context => {
                Err(Fault::Context { found: found.context, expected: *context })
            }
            _ => Ok(()),
        }
    }
}

/// The name of a build, such as `b11434-0b5f9d6`, if it is a supported one. A build from source without its history calls itself
/// `b0-unknown`, so that nobody knows what it is.
fn build(found: Option<String>, any: bool) -> Result<String, Fault> {
    let found = found.unwrap_or_default();
    let number = found.strip_prefix('b').and_then(|rest| rest.split('-').next()).and_then(|digits| digits.parse().ok());
    if any || number.is_some_and(|number: u32| number >= OLDEST) {
        return Ok(quoted(&found));
    }
    Err(Fault::Version { found: quoted(if found.is_empty() { "not named" } else { &found }), expected: EXPECTED })
}

async fn props(http: &Http, at: &Endpoint) -> Result<Props, Fault> {
    unwrapped(http.json(at, Call::get("/props")).await)
}

impl Check for ServerCheck {
    type Facts = Facts;

    async fn check(&self, http: &Http, at: &Endpoint) -> Result<Facts, Fault> {
        let props = props(http, at).await?;
        let build = build(props.build_info, self.any_version)?;
        let (context, slots) = (props.default_generation_settings.n_ctx, props.total_slots);
        let model = quoted(&props.model_path.unwrap_or_default());
        let found = Facts { build, model, context, slots, saves: false };
        self.same(&found)?;
        self.tokenizer(http, at).await?;
        let saves = self.saves(http, at).await?;
        if let Some(likeness) = &self.probe {
            self.probe(http, at, likeness, &likeness.probe.sequences).await?;
        }
        Ok(Facts { saves, ..found })
    }

    async fn look(&self, http: &Http, at: &Endpoint, facts: &Facts) -> Result<bool, Fault> {
        let props = props(http, at).await?;
        let (context, slots) = (props.default_generation_settings.n_ctx, props.total_slots);
        let (build, model) = (props.build_info.unwrap_or_default(), props.model_path.unwrap_or_default());
        let same = quoted(&build) == facts.build && quoted(&model) == facts.model;
        let same = same && context == facts.context && slots == facts.slots;
        let (true, Some(likeness)) = (same, &self.probe) else { return Ok(same) };
        match self.probe(http, at, likeness, likeness.first()).await {
            Err(Fault::Probe { .. }) => Ok(false),
            other => other.map(|()| true),
        }
    }

    /// Answers do not name their process.
    fn mark(_facts: &Facts) -> Option<&str> {
        None
    }
}
