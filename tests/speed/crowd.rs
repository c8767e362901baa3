//! Many requests at once, decided by components and by the same Rust code natively: the demonstration's models and bundle.
//!
//! Native roles get a copy of all columns, as in the tests; components read only the columns they ask for.

use crate::{
    native_support::{Settings, activate, decision, dense, double, native, plan},
    request::{bundle, prompts, with_models},
    stopwatch::{Stopwatch, at_least, plain},
};
use inferenceguard_bundle::{Bundle, RoleEntry};
use inferenceguard_guarantee_tests::guest_constraint;
use inferenceguard_guest::{self as guest, BatchCost as _, Policy as _, Tracker as _};
use inferenceguard_host::{Engine, EngineBuilder, EngineError, Request, Roles, RolesFactory};
use inferenceguard_model::Token;
use inferenceguard_search::{
    Advanced, Batch, BudgetState, Constraint, Cost, CostGrain, CostKind, Decision, FailureKind, Needs, Plan, Policy,
    Role, RoleFailure, Tracked, Tracker,
};
use std::{collections::BTreeMap, fmt::Debug, thread, time::Instant};

pub(crate) const AT_ONCE: usize = 16;
const ROUNDS: u64 = 6;

pub(crate) fn measure(watch: Stopwatch) {
    let bundle = bundle();
    let components = EngineBuilder::new().bundle(&bundle);
    let natives =
        EngineBuilder::new().config(bundle.manifest().search_config()).roles("native", Natives::of(bundle.clone()));
    let [components, natives] =
        [components, natives].map(|one| with_models(one).max_live(AT_ONCE).build().expect("an engine"));
    let [wasm, native] = in_turns(watch, |round| round.ask(&components), |round| round.ask(&natives));
    plain("16 requests at once, 32 candidates", wasm * 1e3);
    plain("the same with native roles", native * 1e3);
    at_least("throughput with components, against native roles", native / wasm, 0.97);
}

/// Mean seconds of a round for each of two who are asked in turns, and must find the same. The first round warms up; who comes
/// first changes.
pub(crate) fn in_turns<F: PartialEq + Debug>(
    watch: Stopwatch,
    one: impl Fn(Round) -> (f64, F),
    other: impl Fn(Round) -> (f64, F),
) -> [f64; 2] {
    let (mut seconds, rounds) = ([0.0; 2], if watch.quick { 0 } else { ROUNDS });
    for number in 0..=rounds {
        let round = Round { number, quick: watch.quick };
        let early = number.is_multiple_of(2).then(|| one(round));
        let second = other(round);
        let first = early.unwrap_or_else(|| one(round));
        assert_eq!(first.1, second.1, "both find the same");
        if number > 0 || watch.quick {
            seconds = [seconds[0] + first.0, seconds[1] + second.0];
        }
    }
    seconds.map(|sum| sum / rounds.max(1) as f64)
}

/// A crowd of requests, other ones in every round.
#[derive(Clone, Copy)]
pub(crate) struct Round {
    pub(crate) number: u64,
    /// Short answers.
    pub(crate) quick: bool,
}

impl Round {
    pub(crate) fn requests(self) -> Vec<Request> {
        let request = |(number, prompt): (u64, String)| {
            let (seed, max_tokens) = (self.number * AT_ONCE as u64 + number, self.quick.then_some(8));
            Request { seed: Some(seed), max_tokens, ..Request::new(prompt) }
        };
        (0..).zip(prompts(AT_ONCE)).map(request).collect()
    }

    /// Seconds until all are answered, and the answers.
    pub(crate) fn ask(self, engine: &Engine) -> (f64, Vec<Vec<Token>>) {
        let requests = self.requests();
        let start = Instant::now();
        let answers = thread::scope(|scope| {
            let ask = |request| scope.spawn(move || engine.generate(request).expect("an answer"));
            let asked: Vec<_> = requests.into_iter().map(ask).collect();
            asked.into_iter().map(|one| one.join().expect("an answer")).collect::<Vec<_>>()
        });
        let seconds = start.elapsed().as_secs_f64();
        assert!(answers.iter().all(|answer| answer.failures.is_empty()), "every role answered");
        (seconds, answers.into_iter().map(|answer| answer.tokens).collect())
    }
}

/// What a cost says of itself.
type Declared = (Needs, CostKind, CostGrain);

/// The roles of the demonstration's bundle as plain Rust.
struct Natives {
    bundle: Bundle,
    costs: BTreeMap<String, Declared>,
}

impl Natives {
    /// What costs declare is asked of the components, once.
    fn of(bundle: Bundle) -> Self {
        let costs = bundle.manifest().costs.iter();
        let costs = costs.map(|(name, entry)| (name.clone(), declared(&settings(entry)))).collect();
        Self { bundle, costs }
    }
}

impl RolesFactory for Natives {
    fn open(&self) -> Result<Roles, EngineError> {
        let manifest = self.bundle.manifest();
        let costs = self.costs.iter();
        let costs = costs.map(|(name, declared)| (name.clone(), cost(&manifest.costs[name], declared.clone())));
        Ok(Roles {
            policy: Box::new(NativePolicy(native(&settings(&manifest.policy)), Needs::default())),
            tracker: Box::new(NativeTracker(native(&settings(&manifest.tracker)))),
            critic: None,
            steering: None,
            costs: costs.collect(),
        })
    }
}

fn settings(entry: &RoleEntry) -> Vec<(&str, inferenceguard_sandbox::SettingValue)> {
    entry.settings.iter().map(|(name, value)| (name.as_str(), value.clone())).collect()
}

fn cost(entry: &RoleEntry, (needs, kind, grain): Declared) -> Box<dyn Cost> {
    Box::new(NativeCost { inner: native(&settings(entry)), needs, kind, grain })
}

/// What the component says with these settings.
fn declared(settings: Settings<'_>) -> Declared {
    let cost = activate("score-cost", settings).cost().expect("a cost");
    (cost.needs().clone(), cost.kind(), cost.grain())
}

fn failed(role: Role, error: impl std::fmt::Display) -> RoleFailure {
    RoleFailure { role, component: "native".to_owned(), kind: FailureKind::Refused(error.to_string()) }
}

struct NativePolicy(inference_guard::InferenceGuard, Needs);

impl Policy for NativePolicy {
    fn needs(&self) -> &Needs {
        &self.1
    }

    fn plan(&mut self, rows: &Batch) -> Result<Plan, RoleFailure> {
        self.0.plan(&double(rows)).map(plan).map_err(|error| failed(Role::Policy, error))
    }

    fn select(&mut self, rows: &Batch) -> Result<Decision, RoleFailure> {
        self.0.select(&double(rows)).map(decision).map_err(|error| failed(Role::Policy, error))
    }
}

struct NativeTracker(safety_budget::SafetyBudget);

impl Tracker for NativeTracker {
    fn start(&mut self, constraint: &Constraint) -> Result<BudgetState, RoleFailure> {
        let state = self.0.start(&guest_constraint(constraint)).map_err(|error| failed(Role::Tracker, error))?;
        Ok(BudgetState { z: state.z, memory: state.memory })
    }

    fn advance(&mut self, constraint: &Constraint, rows: &[Tracked]) -> Result<Vec<Advanced>, RoleFailure> {
        let constraint = guest_constraint(constraint);
        let advance = |row: &Tracked| {
            let state = guest::BudgetState { z: row.state.z, memory: row.state.memory.clone() };
            let row = guest::Tracked { state, costs: row.costs.clone(), ended: row.ended };
            let guest::Advanced { state, safe, trace } = self.0.advance(&constraint, row)?;
            Ok(Advanced { state: BudgetState { z: state.z, memory: state.memory }, safe, trace })
        };
        let advanced = rows.iter().map(advance).collect::<Result<_, guest::RoleError>>();
        advanced.map_err(|error| failed(Role::Tracker, error))
    }
}

struct NativeCost {
    inner: score_cost::ScoreCost,
    needs: Needs,
    kind: CostKind,
    grain: CostGrain,
}

impl Cost for NativeCost {
    fn needs(&self) -> &Needs {
        &self.needs
    }

    fn kind(&self) -> CostKind {
        self.kind
    }

    fn grain(&self) -> CostGrain {
        self.grain
    }

    fn price(&mut self, rows: &Batch) -> Result<Vec<Vec<f64>>, RoleFailure> {
        self.inner.price_all(&double(rows), &dense(rows)).map_err(|error| failed(Role::Cost, error))
    }
}
