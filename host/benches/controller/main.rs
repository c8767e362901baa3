//! How many decisions about chunks the controller makes in a second: whole searches, many at once, on models that take no time.
//!
//! An answer has 4 chunks of 32 tokens; two costs read scores. The language model is a fake engine without faults. Beside the wall
//! clock stands the time of the processor, because the machine may be busy.
//! `cargo bench --workspace --bench controller` measures; `-- --test` asks each case once.
#![expect(clippy::print_stdout, reason = "a bench prints what it measured")]

mod instant;

use inferenceguard_host::{Bundle, Engine, EngineBuilder, Profile, Request, Roles, model::fake::FakeEngine};
use inferenceguard_search::{Cost, CostKind, Needs};
use inferenceguard_testkit::{
    components,
    roles::{BestSafe, ScoreCost},
    toy,
};
use instant::{InstantModel, InstantScores, script};
use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// Requests at once.
const AT_ONCE: usize = 16;
const SECONDS: f64 = 3.0;
/// Decisions a second on two cores.
const GOAL: f64 = 2000.0;
const TOKENS: u32 = 128;
const CHUNK: u32 = 32;

fn main() {
    let quick = std::env::args().any(|argument| argument == "--test");
    for n in [8, 32, 128] {
        let bundle = bundle(n);
        let components = EngineBuilder::new().bundle(&bundle);
        let natives = EngineBuilder::new().config(bundle.manifest().search_config());
        let natives = natives.roles("native", move || roles(n));
        for (roles, builder) in [("components", components), ("roles in plain Rust", natives)] {
            Case::new(builder).run(quick).show(&format!("N = {n}, {roles}"));
        }
    }
}

/// A bundle with this number of candidates.
fn bundle(n: u32) -> Bundle {
    let manifest = format!(
        "name = \"controller\"\nversion = \"0.1.0\"\ntask = \"task\"\nmax_tokens = {TOKENS}\nrefusal = \"No.\"\n\
         [policy]\ncomponent = \"inference-guard.wasm\"\nsettings = {{ n = {n}, chunk-len = {CHUNK}, retries = 2 }}\n\
         [tracker]\ncomponent = \"safety-budget.wasm\"\n\
         [costs.safety]\ncomponent = \"score-cost.wasm\"\nsettings = {{ model = \"cost\" }}\n\
         [costs.task]\ncomponent = \"score-cost.wasm\"\nsettings = {{ model = \"reward\", kind = \"task\" }}\n\
         [[constraints]]\nname = \"safety\"\ncost = \"safety\"\nbudget = 10.0\ngamma = 0.999\n"
    );
    Bundle::from_parts(&manifest, components::files()).expect("a bundle")
}

/// A search of the same shape without a sandbox.
fn roles(n: u32) -> Roles {
    let costs: [(&str, Box<dyn Cost>); 2] =
        [("safety", ScoreCost::new("cost", CostKind::Safety)), ("task", ScoreCost::new("reward", CostKind::Task))];
    toy::roles_of(BestSafe { needs: Needs::default(), width: n, chunk_len: CHUNK, keep: 4 }, costs)
}

/// An engine, and the chunks that its model grew.
struct Case {
    engine: Engine,
    chunks: Arc<AtomicU64>,
}

/// What was measured.
struct Found {
    chunks: u64,
    seconds: f64,
    /// Of the processor, all threads.
    processor: f64,
    profile: Profile,
}

impl Case {
    fn new(builder: EngineBuilder) -> Self {
        let (script, chunks) = (script(), Arc::new(AtomicU64::new(0)));
        let model = FakeEngine::new(Arc::new(InstantModel::new(&script, Arc::clone(&chunks))), "").expect("no faults");
        let builder = builder.back_end(Arc::new(model)).max_live(AT_ONCE);
        let scores = ["cost", "reward"].map(|name| Arc::new(InstantScores::new(&script, name)));
        let builder = scores.into_iter().fold(builder, |builder, score| builder.score_back_end(score));
        Self { engine: builder.build().expect("an engine"), chunks }
    }

    fn run(&self, quick: bool) -> Found {
        let (processor, begin) = (processor(), Instant::now());
        let until = begin + Duration::from_secs_f64(if quick { 0.0 } else { SECONDS });
        let profile = thread::scope(|scope| {
            let asked: Vec<_> =
                (0..AT_ONCE).map(|caller| scope.spawn(move || self.ask(caller as u64, until))).collect();
            let each = asked.into_iter().map(|one| one.join().expect("no panic"));
            each.fold(Profile::default(), sum)
        });
        let (seconds, chunks) = (begin.elapsed().as_secs_f64(), self.chunks.swap(0, Ordering::Relaxed));
        Found { chunks, seconds, processor: self::processor() - processor, profile }
    }

    /// One request after the other until the time is over; at least one.
    fn ask(&self, caller: u64, until: Instant) -> Profile {
        let mut profile = Profile::default();
        for turn in 0.. {
            let request = Request { seed: Some(caller << 32 | turn), ..Request::new("w1 w2 w3 w4") };
            let answer = self.engine.generate(request).expect("an answer");
            assert!(answer.failures.is_empty() && answer.tokens.len() == TOKENS as usize, "{:?}", answer.status);
            profile = sum(profile, answer.profile);
            if Instant::now() >= until {
                break;
            }
        }
        profile
    }
}

fn sum(mut all: Profile, one: Profile) -> Profile {
    all.queue += one.queue;
    all.model += one.model;
    all.scoring += one.scoring;
    all.components += one.components;
    all.other += one.other;
    all
}

impl Found {
    fn show(&self, what: &str) {
        let Self { chunks, seconds, processor, profile } = self;
        let (count, cores) = (*chunks as f64, thread::available_parallelism().map_or(1, usize::from) as f64);
        let (found, able) = (count / seconds, cores * count / processor);
        println!("{what}: {found:.0} decisions a second, goal {GOAL}: {:.2} of it", found / GOAL);
        println!(
            "  {:.3} ms of the processor for each; {able:.0} a second if {cores} cores did nothing else",
            1e3 * processor / count
        );
        let Profile { queue, model, scoring, components, other, .. } = profile;
        let share = 100.0 / (queue + model + scoring + components + other);
        println!(
            "  waiting {:.0} %, model {:.0} %, scores {:.0} %, roles {:.0} %, session {:.0} %",
            share * queue,
            share * model,
            share * scoring,
            share * components,
            share * other
        );
    }
}

/// Seconds of the processor that this process has used; 0 where the system does not say.
fn processor() -> f64 {
    const TICKS: f64 = 100.0;
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit_once(')').map(|(_, rest)| rest.split_whitespace()).into_iter().flatten();
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / TICKS
}
