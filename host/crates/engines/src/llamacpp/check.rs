//! Is it the server and the model that this side expects?

use super::{
    LIKELIEST, LIMIT, read,
    wire::{COMPLETION, Completion, File, Props, Tokenize, Tokenized},
};
use crate::{
    Endpoint, Fault, Local, Probe, Remote, Tolerance,
    checks::{Asked, CANARY, unwrapped},
    error::quoted,
    fleet::Check,
    http::{Call, Http},
};
use inferenceguard_model::Token;

/// The positions of each sequence of a probe that are compared: the server gives no log-probabilities of a prompt.
const POSITIONS: usize = 4;

/// What a check finds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Facts {
    pub(crate) build: String,
    pub(crate) context: usize,
    pub(crate) slots: usize,
    /// Whether slots can be saved.
    pub(crate) saves: bool,
}

/// What a server must be.
pub(crate) struct ServerCheck {
    canary: Vec<Token>,
    vocab: usize,
    end: Vec<Token>,
    probe: Option<(Probe, Tolerance)>,
}

impl ServerCheck {
    pub(crate) fn new(remote: &Remote, local: &Local) -> Result<Self, Fault> {
        let setup = |reason: String| Fault::Setup { reason };
        let canary = local.tokenizer.encode(CANARY).map_err(|error| setup(error.to_string()))?;
        let probe = remote.probe_for(1, local.info.vocab)?;
        Ok(Self { canary, vocab: local.info.vocab, end: local.info.eos.clone(), probe })
    }

    async fn tokenizer(&self, http: &Http, at: &Endpoint) -> Result<(), Fault> {
        let request = Tokenize { content: CANARY, add_special: false, parse_special: false };
        let body = serde_json::to_vec(&request).unwrap_or_default();
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
        let body = serde_json::to_vec(&File { filename: "ig-check.bin" }).unwrap_or_default();
        match unwrapped(http.bytes(at, Call { suffix: "/0?action=save", ..Call::post("/slots", &body) }).await) {
            Ok(_) => Ok(true),
            Err(Fault::Path { .. } | Fault::Status { .. }) => Ok(false),
            Err(fault) => Err(fault),
        }
    }

    async fn probe(&self, http: &Http, at: &Endpoint) -> Result<(), Fault> {
        let Some((probe, tolerance)) = &self.probe else { return Ok(()) };
        let mut pairs = Vec::new();
        for one in &probe.sequences {
            let step = one.tokens.len().div_ceil(POSITIONS);
            for position in (0..one.tokens.len()).step_by(step.max(1)) {
                let prompt = [one.prompt.as_slice(), &one.tokens[..position]].concat();
                let request = Completion::likeliest(&prompt, LIKELIEST, &self.end, 0);
                let body = request.to_json();
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
        tolerance.exceeded(&pairs).map_or(Ok(()), |difference| Err(Fault::Probe { difference }))
    }
}

impl Check for ServerCheck {
    type Facts = Facts;

    async fn check(&self, http: &Http, at: &Endpoint) -> Result<Facts, Fault> {
        let props: Props = unwrapped(http.json(at, Call::get("/props")).await)?;
        self.tokenizer(http, at).await?;
        let saves = self.saves(http, at).await?;
        self.probe(http, at).await?;
        let (context, slots) = (props.default_generation_settings.n_ctx, props.total_slots.max(1));
        Ok(Facts { build: quoted(&props.build_info.unwrap_or_default()), context, slots, saves })
    }

    /// Answers do not name their process.
    fn mark(_facts: &Facts) -> Option<&str> {
        None
    }
}
