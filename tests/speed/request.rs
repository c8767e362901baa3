//! How much of a request is the work of components: the demonstration's models and bundle, 32 candidates a chunk.

use crate::{
    sandbox_support::first_party,
    stopwatch::{Stopwatch, plain, ratio},
};
use inferenceguard_bundle::{Bundle, Manifest};
use inferenceguard_candle::{CandleModel, CandleScoreModel, LoadOptions};
use inferenceguard_host::{EngineBuilder, EngineError, Request, Roles, RolesFactory};
use inferenceguard_model::Model;
use inferenceguard_sandbox::{Activation, Sandbox};
use inferenceguard_search::{
    Advanced, Batch, BudgetState, Constraint, Cost, Decision, Needs, Plan, Policy, RoleFailure, Tracked, Tracker,
};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

const PROMPTS: usize = 8;

pub(crate) fn measure(watch: Stopwatch) {
    let spent = Spent::default();
    let bundle = bundle();
    let builder = EngineBuilder::new().config(bundle.manifest().search_config());
    let engine = with_models(builder.roles("timed", Deployment::new(&bundle, &spent))).build().expect("an engine");
    let (mut wasm, mut whole) = (0.0, 0.0);
    for (seed, prompt) in (0..).zip(prompts(if watch.quick { 1 } else { PROMPTS })) {
        let max_tokens = watch.quick.then_some(32);
        let request = Request { seed: Some(seed), max_tokens, ..Request::new(prompt) };
        whole += engine.generate(request).expect("an answer").seconds;
        wasm += spent.take();
    }
    plain("requests of the demonstration, 32 candidates", whole * 1e3);
    plain("of which components, crossings and instances", wasm * 1e3);
    ratio("share of components in a request", wasm / whole, 0.05);
}

fn demo(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../host/demo").join(name)
}

pub(crate) fn prompts(most: usize) -> Vec<String> {
    let lines = std::fs::read_to_string(demo("prompts.jsonl")).expect("prompts");
    let text = |line: &str| {
        let prompt: serde_json::Value = serde_json::from_str(line).expect("a prompt");
        prompt["text"].as_str().expect("a text").to_owned()
    };
    // Spread over the file, whose topics and intents come in order.
    let every = lines.lines().count() / most;
    lines.lines().step_by(every).take(most).map(text).collect()
}

/// The demonstration's bundle.
pub(crate) fn bundle() -> Bundle {
    let text = std::fs::read_to_string(demo("bundle/bundle.toml")).expect("a manifest");
    let manifest = Manifest::parse(&text).expect("a manifest");
    let files = manifest.roles().into_iter().map(|(_, entry)| {
        let name = entry.component.strip_suffix(".wasm").expect("a component's file");
        (entry.component.clone(), first_party(name))
    });
    Bundle::from_parts(&text, &files.collect()).expect("a bundle")
}

/// With the demonstration's models.
pub(crate) fn with_models(builder: EngineBuilder) -> EngineBuilder {
    let model = CandleModel::load(&demo("weak"), &LoadOptions::default()).expect("the model");
    let scores = ["cost", "reward"].map(|name| {
        CandleScoreModel::load(&demo(name), &LoadOptions::default(), &*model.tokenizer()).expect("a score model")
    });
    let builder = builder.model(Box::new(model));
    scores.into_iter().fold(builder, |builder, score| builder.score_model(Box::new(score)))
}

/// Seconds spent in components.
#[derive(Clone, Default)]
struct Spent(Arc<AtomicU64>);

impl Spent {
    fn on<T>(&self, work: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let result = work();
        self.0.fetch_add(u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
        result
    }

    fn take(&self) -> f64 {
        self.0.swap(0, Ordering::Relaxed) as f64 / 1e9
    }
}

/// The components of a bundle, each call timed.
struct Deployment {
    policy: Activation,
    tracker: Activation,
    costs: BTreeMap<String, Activation>,
    spent: Spent,
}

impl Deployment {
    fn new(bundle: &Bundle, spent: &Spent) -> Self {
        let manifest = bundle.manifest();
        let sandbox = Sandbox::new(manifest.limits.clone(), None).expect("a sandbox");
        let activate = |name: &str, entry: &inferenceguard_bundle::RoleEntry| {
            let bytes = bundle.file(&entry.component).expect("a file");
            sandbox.load(name, bytes).expect("a component").activate(&entry.settings).expect("an activation")
        };
        let costs = manifest.costs.iter().map(|(name, entry)| (name.clone(), activate(name, entry)));
        let costs = costs.collect();
        let (policy, tracker) = (activate("policy", &manifest.policy), activate("tracker", &manifest.tracker));
        Self { policy, tracker, costs, spent: spent.clone() }
    }
}

impl RolesFactory for Deployment {
    fn open(&self) -> Result<Roles, EngineError> {
        let timed = |inner: Box<dyn Cost>| Box::new(Timed { inner, spent: self.spent.clone() }) as Box<dyn Cost>;
        self.spent.on(|| {
            let costs = self.costs.iter().map(|(name, cost)| Ok((name.clone(), timed(cost.cost()?))));
            Ok(Roles {
                policy: Box::new(Timed { inner: self.policy.policy()?, spent: self.spent.clone() }),
                tracker: Box::new(Timed { inner: self.tracker.tracker()?, spent: self.spent.clone() }),
                critic: None,
                steering: None,
                costs: costs.collect::<Result<_, EngineError>>()?,
            })
        })
    }
}

struct Timed<R: ?Sized> {
    spent: Spent,
    inner: Box<R>,
}

impl Policy for Timed<dyn Policy> {
    fn needs(&self) -> &Needs {
        self.inner.needs()
    }

    fn plan(&mut self, rows: &Batch) -> Result<Plan, RoleFailure> {
        self.spent.on(|| self.inner.plan(rows))
    }

    fn select(&mut self, rows: &Batch) -> Result<Decision, RoleFailure> {
        self.spent.on(|| self.inner.select(rows))
    }
}

impl Tracker for Timed<dyn Tracker> {
    fn start(&mut self, constraint: &Constraint) -> Result<BudgetState, RoleFailure> {
        self.spent.on(|| self.inner.start(constraint))
    }

    fn advance(&mut self, constraint: &Constraint, rows: &[Tracked]) -> Result<Vec<Advanced>, RoleFailure> {
        self.spent.on(|| self.inner.advance(constraint, rows))
    }
}

impl Cost for Timed<dyn Cost> {
    inferenceguard_testkit::described_by!(inner);

    fn price(&mut self, rows: &Batch) -> Result<Vec<Vec<f64>>, RoleFailure> {
        self.spent.on(|| self.inner.price(rows))
    }
}
