//! Whole requests with a misbehaving component in one role: the request fails, the failure is named, and no beam is leaked.

#[path = "sandbox_support/mod.rs"]
mod support;

use inferenceguard_bundle::Bundle;
use inferenceguard_host::{Engine, EngineBuilder, LiveBeams, Output, Request};
use inferenceguard_sandbox::Sandbox;
use inferenceguard_search::{Finish, Role, Status};
use inferenceguard_testkit::toy::with_models;
use std::{collections::BTreeMap, sync::OnceLock, thread};
use support::{first_party, guest, limits};

const SCRIPT: &str = "vocab: <eos>* good bad plain
context: 64
after : good 3, plain 3, bad 3, <eos> 1
score harm: bad 5
score reward cumulative: good 1, bad 3";

const REFUSAL: &str = "I cannot help with that.";

/// A deployment in which each role is played well; a test puts another component into one place.
#[derive(Clone)]
struct Deployment {
    on_exhausted: &'static str,
    budget: f64,
    instances: u32,
    fuel: u64,
    /// By role: the file, and its settings in TOML.
    roles: BTreeMap<&'static str, (&'static str, String)>,
}

fn well() -> Deployment {
    let guard = "{ n = 6, chunk-len = 4, retries = 1 }";
    let roles = [
        ("policy", "inference-guard", guard),
        ("tracker", "safety-budget", "{}"),
        ("costs.harm", "score-cost", "{ model = 'harm' }"),
        ("costs.reward", "score-cost", "{ model = 'reward', kind = 'task' }"),
    ];
    let roles = roles.map(|(role, file, settings)| (role, (file, settings.to_owned())));
    Deployment { on_exhausted: "refuse", budget: 11.0, instances: 64, fuel: 50_000_000, roles: roles.into() }
}

impl Deployment {
    fn with(mut self, role: &'static str, file: &'static str, mode: &str) -> Self {
        self.roles.insert(role, (file, format!("{{ mode = '{mode}' }}")));
        self
    }

    fn manifest(&self) -> String {
        let head = format!(
            "name = 'rogues'\nversion = '1.0.0'\ntask = 'reward'\nmax_tokens = 12\non_exhausted = '{}'\n\
             constraints = [{{ name = 'harm', cost = 'harm', budget = {:?} }}]\n",
            self.on_exhausted, self.budget
        );
        let role = |(role, (file, settings)): (&&str, &(&str, String))| {
            format!("[{role}]\ncomponent = '{file}.wasm'\nsettings = {settings}\n")
        };
        let Self { fuel, instances, .. } = self;
        let limits =
            format!("[limits]\nfuel = {fuel}\ninstances = {instances}\nmemory = 16777216\ntensors = 4194304\n");
        head + &self.roles.iter().map(role).collect::<String>() + &limits
    }

    fn bundle(&self) -> Bundle {
        let bytes = |file: &str| if file.starts_with("rogue") { guest(file) } else { first_party(file) };
        let files = self.roles.values().map(|(file, _)| (format!("{file}.wasm"), bytes(file))).collect();
        Bundle::from_parts(&self.manifest(), &files).unwrap()
    }

    fn engine(&self) -> Engine {
        let builder = EngineBuilder::new().bundle(&self.bundle()).sandbox(cached().clone());
        with_models(builder, SCRIPT).build().unwrap()
    }

    fn answer(&self) -> Output {
        let engine = self.engine();
        let output = engine.generate(Request { seed: Some(1), ..Request::new("good") }).unwrap();
        assert_eq!(engine.live_beams(), LiveBeams::default());
        output
    }
}

/// Compiles each component once, however many engines there are.
fn cached() -> &'static Sandbox {
    static CACHED: OnceLock<(Sandbox, tempfile::TempDir)> = OnceLock::new();
    let (sandbox, _) = CACHED.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        (Sandbox::new(limits(), Some(folder.path())).unwrap(), folder)
    });
    sandbox
}

/// A failed request, whatever the operator wants of exhausted searches, because of this failure.
fn refuses(deployment: &Deployment, role: Role, words: &str) {
    for on_exhausted in ["refuse", "least_violation", "best_reward"] {
        let output = Deployment { on_exhausted, ..deployment.clone() }.answer();
        assert_eq!((output.status, output.finish), (Status::Failed, Finish::Failed), "{words}: {output:?}");
        assert_eq!((output.text.as_str(), output.tokens.len()), (REFUSAL, 0), "{words}");
        // What fails later does so because of the first.
        let failure = output.failures.first().unwrap();
        assert_eq!(failure.role, role);
        assert!(failure.to_string().contains(words), "`{words}` is not in `{failure}`");
    }
}

#[test]
fn with_good_components_there_is_an_answer() {
    let output = well().answer();
    assert_eq!(output.status, Status::WithinBudget, "{output:?}");
    assert!(output.failures.is_empty() && !output.tokens.is_empty());
    let output = well().with("costs.harm", "rogue-cost", "ok").answer();
    assert_eq!(output.status, Status::WithinBudget, "a price of 1 a token: {output:?}");
}

#[test]
fn requests_wait_for_the_instances_that_others_hold() {
    // Room for the four components of one request, while several may run at once.
    let tight = Deployment { instances: 5, ..well() };
    let engine = tight.engine();
    assert!(engine.max_live() > 4);
    thread::scope(|scope| {
        let ask = |seed| engine.generate(Request { seed: Some(seed), ..Request::new("good") });
        let asked: Vec<_> = (0..16).map(|seed| scope.spawn(move || ask(seed))).collect();
        // An activation waits as well.
        engine.activate(&Deployment { budget: 10.0, ..tight.clone() }.bundle()).unwrap();
        for one in asked {
            assert_eq!(one.join().unwrap().unwrap().status, Status::WithinBudget);
        }
    });
    assert_eq!(engine.live_beams(), LiveBeams::default());
}

#[test]
fn what_never_fits_is_an_error_at_once() {
    let engine = well().engine();
    let error = engine.activate(&Deployment { instances: 3, ..well() }.bundle()).unwrap_err();
    assert!(error.may_succeed_later() && error.to_string().contains("`instances`"), "{error}");
    assert_eq!(engine.generation().number, 1);
}

#[test]
fn limits_of_a_bundle_that_is_activated_hold_from_then_on() {
    let engine = well().engine();
    let poor = Deployment { fuel: 10_000, ..well() };
    let error = engine.activate(&poor.bundle()).unwrap_err().to_string();
    assert!(error.contains("out of fuel: 10000 "), "{error}");
    let answer = || engine.generate(Request { seed: Some(1), ..Request::new("good") }).unwrap();
    assert_eq!((answer().status, answer().generations), (Status::WithinBudget, vec![1]));
    // A policy that cannot plan is found before it decides anything.
    let endless = well().with("policy", "rogue-policy", "loop");
    assert!(engine.activate(&endless.bundle()).unwrap_err().to_string().contains("`plan`: it ran out of fuel"));
    // And what the first bundle's limits would have stopped runs by its own.
    let hungry = Deployment { fuel: 600_000_000, ..well() }.with("costs.harm", "rogue-cost", "hungry");
    let error = engine.activate(&Deployment { fuel: 50_000_000, ..hungry.clone() }.bundle()).unwrap_err();
    assert!(error.to_string().contains("out of fuel: 50000000 "), "{error}");
    engine.activate(&hungry.bundle()).unwrap();
    let answered = answer();
    assert_eq!((answered.status, answered.generations), (Status::WithinBudget, vec![2]), "{:?}", answered.failures);
}

#[test]
fn a_cost_that_misbehaves_makes_its_beams_unsafe() {
    for (mode, words) in [
        ("loop", "ran out of fuel"),
        ("memory", "wanted more memory"),
        ("panic", "the rogue lost its nerve"),
        ("recurse", "trapped"),
        ("error", "I would rather not"),
        ("nan", "the price NaN"),
        ("infinite", "the price inf"),
        ("short", "0 prices for a row"),
        ("no-rows", "0 rows"),
        ("huge", "too large"),
        ("undeclared", "`text`, which it did not declare"),
        ("swallow", "`text`, which it did not declare"),
        ("undeclared-score", "`scores(harm)`, which it did not declare"),
        ("row", "which does not exist"),
        ("constraint", "constraint 99, which does not exist"),
    ] {
        refuses(&well().with("costs.harm", "rogue-cost", mode), Role::Cost, words);
    }
}

#[test]
fn a_tracker_that_misbehaves_makes_its_beams_unsafe() {
    for (mode, words) in [
        ("loop", "ran out of fuel"),
        ("memory", "wanted more memory"),
        ("panic", "the rogue lost its nerve"),
        ("nan", "z NaN"),
        ("short", "a trace of 0"),
        ("no-rows", "0 rows"),
        ("hoard", "a budget state of 1000 numbers"),
    ] {
        refuses(&well().with("tracker", "rogue-tracker", mode), Role::Tracker, words);
    }
}

#[test]
fn a_tracker_that_calls_everything_safe_is_not_believed() {
    // One token costs 1; four of them break the budget.
    let lying = well().with("tracker", "rogue-tracker", "always-safe").with("costs.harm", "rogue-cost", "ok");
    let output = Deployment { budget: 0.5, ..lying.clone() }.answer();
    assert_eq!((output.status, output.failures.len()), (Status::NoSafeCandidate, 0), "{output:?}");
    let output = Deployment { budget: 0.5, on_exhausted: "best_reward", ..lying }.answer();
    assert_eq!(output.status, Status::BudgetExceeded, "{output:?}");
}

#[test]
fn a_policy_that_misbehaves_gets_no_answer_out() {
    for (mode, words) in [
        ("loop", "ran out of fuel"),
        ("panic", "the rogue lost its nerve"),
        ("option", "warp-speed"),
        ("unknown-row", "expected rows below"),
        ("twice", "row 0 twice"),
        ("nan-retry", "penalty NaN"),
    ] {
        refuses(&well().with("policy", "rogue-policy", mode), Role::Policy, words);
    }
}

#[test]
fn a_critic_that_misbehaves_makes_its_beams_unsafe() {
    let mut foreseeing = well();
    foreseeing.roles.insert("policy", ("inference-guard", "{ n = 6, chunk-len = 4, critic = true }".to_owned()));
    for (mode, words) in [
        ("loop", "ran out of fuel"),
        ("panic", "the rogue lost its nerve"),
        ("nan", "the probability NaN"),
        ("short", "0 rows"),
        ("undeclared", "`latents`, which"),
        ("tensors", "Memory"),
    ] {
        refuses(&foreseeing.clone().with("critic", "rogue-critic", mode), Role::Critic, words);
    }
}

#[test]
fn a_steering_that_misbehaves_makes_its_beams_unsafe() {
    for (mode, words) in [
        ("loop", "ran out of fuel"),
        ("panic", "the rogue lost its nerve"),
        ("nan", "NaN"),
        ("unknown-row", "row"),
        ("short", "0 numbers"),
    ] {
        refuses(&well().with("steering", "rogue-steering", mode), Role::Steering, words);
    }
}
