//! How many decisions about chunks the controller makes in a second: whole searches, many at once, on models that take no time.
//!
//! The bundle is the demonstration's: 4 chunks of 32 tokens, two costs that read scores. The language model is a fake engine
//! without faults. Beside the wall clock stands the time of the processor, because the machine may be busy.

use crate::{
    crowd::Natives,
    instant::{Instant as Model, InstantScores, script},
    request,
    stopwatch::{Stopwatch, at_least, plain},
};
use inferenceguard_host::{Engine, EngineBuilder, Profile, Request, model::fake::FakeEngine};
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

pub(crate) fn measure(watch: Stopwatch) {
    for n in [8, 32, 128] {
        let bundle = request::bundle_of(n);
        let components = EngineBuilder::new().bundle(&bundle);
        let natives =
            EngineBuilder::new().config(bundle.manifest().search_config()).roles("native", Natives::of(bundle.clone()));
        for (roles, builder) in [("components", components), ("native roles", natives)] {
            Case::new(builder).run(watch).show(&format!("N = {n}, {roles}"));
        }
    }
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
        let model = FakeEngine::new(Arc::new(Model::new(&script, Arc::clone(&chunks))), "").expect("no faults");
        let builder = builder.back_end(Arc::new(model)).max_live(AT_ONCE);
        let scores = ["cost", "reward"].map(|name| Arc::new(InstantScores::new(&script, name)));
        let builder = scores.into_iter().fold(builder, |builder, score| builder.score_back_end(score));
        Self { engine: builder.build().expect("an engine"), chunks }
    }

    fn run(&self, watch: Stopwatch) -> Found {
        let (processor, begin) = (processor(), Instant::now());
        let until = begin + Duration::from_secs_f64(if watch.quick { 0.0 } else { SECONDS });
        let profile = thread::scope(|scope| {
            let asked: Vec<_> = (0..AT_ONCE).map(|caller| scope.spawn(move || self.ask(caller as u64, until))).collect();
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
            assert!(answer.failures.is_empty() && answer.tokens.len() == 128, "{:?}", answer.status);
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
        at_least(&format!("decisions a second, {what}"), *chunks as f64 / seconds, GOAL);
        plain("  processor time of a decision", 1e3 * processor / *chunks as f64);
        let Profile { queue, model, scoring, components, other, .. } = profile;
        let all = queue + model + scoring + components + other;
        for (part, seconds) in
            [("waiting for instances", queue), ("model", model), ("scores", scoring), ("components", components), ("session", other)]
        {
            plain(&format!("  of which {part}, share"), seconds / all);
        }
    }
}

/// Seconds of the processor that this process has used; 0 where the system does not say.
fn processor() -> f64 {
    const TICKS: f64 = 100.0;
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit_once(')').map(|(_, rest)| rest.split_whitespace()).into_iter().flatten();
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / TICKS
}
