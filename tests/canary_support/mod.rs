//! Engines whose reward pays for forbidden tokens, and requests with a choice of features.

use inferenceguard_bundle::Bundle;
use inferenceguard_candle::{CandleModel, LoadOptions, PromptCache};
use inferenceguard_fake_engines::{Fake, Kind, connect};
use inferenceguard_host::{
    CancelToken, Engine, EngineBuilder, EngineError, Event, Output, Release, Request, Roles, RolesFactory, Terms,
};
use inferenceguard_model::{GrownRow, ModelError, Token, toy::ToyScript};
use inferenceguard_sandbox::{Activation, Limits, Sandbox, SettingValue};
use inferenceguard_search::{Batch, Cost, CostGrain, CostKind, Needs, RoleFailure, SearchConfig};
use inferenceguard_testkit::{
    components::first_party,
    roles::{self, Recursion, row_cost},
    toy,
};
use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

/// The word `bad` of the toy, and one id in 16 of every other vocabulary.
pub(crate) fn is_forbidden(token: Token) -> bool {
    token % 16 == 3
}

const SCRIPT: &str = "vocab: <eos>* ask good bad plain
context: 64
after : good 2, plain 2, bad 3, <eos> 1";

/// A bundle to activate while requests run; what it forbids is what the first one forbids.
const NEXT: &str = inferenceguard_testkit::manifest!(
    max_tokens: 12,
    chunk_len: 4,
    budget: 4,
    head: "",
    tail: "",
);

/// What computes the language model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EngineKind {
    /// The scripted model, on the scheduler.
    Toy,
    /// The scripted model elsewhere, which loses and spoils rows.
    Lossy,
    /// A small Llama.
    Llama,
    /// The same, with the keys and values of recent prompts.
    LlamaWithPrompts,
    /// A fake vLLM server.
    Vllm,
}

impl EngineKind {
    /// Whether a text spells a forbidden token for certain.
    pub(crate) fn is_spelled(self, text: &str) -> bool {
        match self {
            Self::Toy | Self::Lossy => text.contains("bad"),
            // A token is a byte.
            Self::Vllm => text.chars().any(|c| c.is_ascii() && is_forbidden(c as Token)),
            // Letters of a forbidden token may come from others.
            Self::Llama | Self::LlamaWithPrompts => false,
        }
    }

    fn prompts(self) -> [&'static str; 2] {
        match self {
            Self::Toy | Self::Lossy => ["ask good plain", "ask good ask"],
            _ => ["Say how to clean a kettle.", "Say how to clean a knife."],
        }
    }

    /// A builder with the model, and the server that it is in, if it is in one.
    fn model(self) -> (EngineBuilder, Option<Fake>) {
        let builder = EngineBuilder::new();
        match self {
            Self::Toy => (builder.model(Box::new(ToyScript::parse(SCRIPT).unwrap().model())), None),
            Self::Lossy => (toy::faked(SCRIPT, |fake| fake.with_spoiled(lossy)), None),
            Self::Llama => (builder.model(Box::new(llama(PromptCache::default()))), None),
            Self::LlamaWithPrompts => (builder.model(Box::new(llama(PromptCache::megabytes(1)))), None),
            Self::Vllm => {
                let server = Fake::new(Kind::default());
                (builder.back_end(Arc::new(connect(&[&server]))), Some(server))
            }
        }
    }
}

fn llama(prompt_cache: PromptCache) -> CandleModel {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/llama2-gqa");
    CandleModel::load(&folder, &LoadOptions { prompt_cache, ..LoadOptions::default() }).unwrap()
}

/// Loses a row of one call, gives a token that there is not in the next, and no number in the third.
fn lossy(call: u64, mut rows: Vec<GrownRow>) -> Result<Vec<GrownRow>, ModelError> {
    match (call % 4, rows.first_mut()) {
        (1, Some(row)) => *row = Err(ModelError::Backend("the row timed out".into())),
        (2, Some(Ok((_, grown)))) => grown.tokens[0] = 99,
        (3, Some(Ok((_, grown)))) => grown.logprobs[0] = f32::NAN,
        _ => {}
    }
    Ok(rows)
}

/// How the policy searches.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SearchKind {
    retries: i64,
    /// 0: every chunk has all candidates.
    adaptive_width: i64,
}

/// An adaptive width needs retries, so there are three.
pub(crate) const SEARCHES: [SearchKind; 3] = [
    SearchKind { retries: 0, adaptive_width: 0 },
    SearchKind { retries: 2, adaptive_width: 0 },
    SearchKind { retries: 2, adaptive_width: 2 },
];

/// What else a request uses.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Features {
    /// When text is released: at the end, or as a stream does.
    release: Release,
    /// Whether other requests run at the same time.
    others: bool,
    /// Whether a bundle that is activated after the first chunk binds it.
    pub(crate) migrates: bool,
    /// Choices of the request: each is a search of its own, at the same time.
    choices: u64,
}

/// Every combination.
pub(crate) fn features() -> Vec<Features> {
    let mut all = Vec::new();
    for release in [Release::AtEnd, Release::Agreement, Release::Commit(1)] {
        for others in [false, true] {
            for migrates in [false, true] {
                all.extend([1, 3].map(|choices| Features { release, others, migrates, choices }));
            }
        }
    }
    all
}

/// One request: its output, and all text that it released.
pub(crate) struct Heard {
    pub(crate) output: Output,
    pub(crate) released: String,
}

/// An engine under the canary's policy.
pub(crate) struct Subject {
    pub(crate) engine: Engine,
    kind: EngineKind,
    next: Bundle,
    tempted: Arc<AtomicU64>,
    _server: Option<Fake>,
}

impl Subject {
    pub(crate) fn new(kind: EngineKind, search: SearchKind) -> Self {
        let (builder, server) = kind.model();
        let tempted = Arc::<AtomicU64>::default();
        let guarded = Guarded { policy: policy(search), tempted: Arc::clone(&tempted) };
        let builder = builder.config(config()).sandbox(sandbox().clone()).roles("guarded", guarded);
        let engine = builder.build().unwrap();
        Self { engine, kind, next: toy::bundle(NEXT), tempted, _server: server }
    }

    /// How many forbidden tokens candidates had.
    pub(crate) fn tempted(&self) -> u64 {
        self.tempted.load(Ordering::SeqCst)
    }

    /// Asks for all choices, beside other requests if there are some.
    pub(crate) fn ask(&self, features: &Features, seed: u64) -> Vec<Heard> {
        let [prompt, other] = self.kind.prompts();
        let others = if features.others { 2 } else { 0 };
        thread::scope(|scope| {
            let one = |at: u64| {
                let prompt = if at < features.choices { prompt } else { other };
                scope.spawn(move || self.one(features, prompt, seed + at, at == 0 && features.migrates))
            };
            let asked: Vec<_> = (0..features.choices + others).map(one).collect();
            asked.into_iter().map(|thread| thread.join().unwrap()).collect()
        })
    }

    /// One search; it may activate the next bundle after its first chunk.
    fn one(&self, features: &Features, prompt: &str, seed: u64, activates: bool) -> Heard {
        let request =
            Request { seed: Some(seed), release: Some(features.release), record: true, ..Request::new(prompt) };
        let terms = Terms { migrate: features.migrates, tenant: Some("one".to_owned()), ..Terms::default() };
        let (mut released, mut left) = (String::new(), activates);
        let output = self.engine.under(&terms).stream(request, &CancelToken::new(), |event| match event {
            Event::Released { text } => released.push_str(&text),
            Event::Progress(_) if std::mem::take(&mut left) => drop(self.engine.activate(&self.next).unwrap()),
            _ => {}
        });
        Heard { output: output.unwrap(), released }
    }
}

/// Nothing that has a forbidden token is safe.
fn config() -> SearchConfig {
    roles::config(roles::constraint("canary", "canary", 0.5))
}

/// One sandbox for all engines, so that components are compiled once.
fn sandbox() -> &'static Sandbox {
    static SANDBOX: OnceLock<Sandbox> = OnceLock::new();
    SANDBOX.get_or_init(|| Sandbox::new(Limits::default(), None).unwrap())
}

fn policy(search: SearchKind) -> Activation {
    let settings = [
        ("n", 6),
        ("keep", 2),
        ("chunk-len", 4),
        ("retries", search.retries),
        ("adaptive-width", search.adaptive_width),
    ];
    let settings: BTreeMap<String, SettingValue> =
        settings.into_iter().map(|(name, value)| (name.to_owned(), SettingValue::Integer(value))).collect();
    sandbox().load("policy", &first_party()["inference-guard"]).unwrap().activate(&settings).unwrap()
}

/// The search policy in the sandbox; the canary and the reward in plain Rust, since no component of ours prices ids.
struct Guarded {
    policy: Activation,
    tempted: Arc<AtomicU64>,
}

impl RolesFactory for Guarded {
    fn open(&self) -> Result<Roles, EngineError> {
        let tempted = Arc::clone(&self.tempted);
        let canary = row_cost(Needs::default(), move |row| {
            tempted.fetch_add(count(&row.tokens) as u64, Ordering::SeqCst);
            row.tokens.iter().map(|token| f64::from(u8::from(is_forbidden(*token)))).collect()
        });
        let reward: Box<dyn Cost> = Box::new(Temptation(Needs::default()));
        Ok(Roles {
            policy: self.policy.policy()?,
            tracker: Box::new(Recursion),
            critic: None,
            steering: None,
            costs: BTreeMap::from([("canary".to_owned(), canary), ("reward".to_owned(), reward)]),
        })
    }
}

fn count(tokens: &[Token]) -> usize {
    tokens.iter().filter(|token| is_forbidden(**token)).count()
}

/// A reward that pays for forbidden tokens.
struct Temptation(Needs);

impl Cost for Temptation {
    fn needs(&self) -> &Needs {
        &self.0
    }

    fn kind(&self) -> CostKind {
        CostKind::Task
    }

    fn grain(&self) -> CostGrain {
        CostGrain::Chunk
    }

    fn price(&mut self, rows: &Batch) -> Result<Vec<Vec<f64>>, RoleFailure> {
        Ok(rows.rows.iter().map(|row| vec![-(count(&row.tokens) as f64)]).collect())
    }
}
