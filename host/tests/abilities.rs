//! What an engine cannot do is refused with the name of the role that needs it, before any answer.

mod deployment;

use inferenceguard_host::{
    Abilities, BackEnd, EngineBuilder, EngineError, LiveBeams, RepeatsFrom, Request, Roles, Terms,
};
use inferenceguard_model::{LatentSelector, Message};
use inferenceguard_search::{
    Batch, Cost, Decision, Needs, Plan, Policy, Retry, RoleFailure, Source, Status, Steered, Steering,
};
use inferenceguard_testkit::{
    roles::{BestSafe, row_cost},
    toy::{SCRIPT, config, faked, roles},
};

fn reads(needs: Needs) -> Roles {
    Roles { policy: Box::new(BestSafe { needs, width: 4, chunk_len: 3, keep: 2 }), ..roles() }
}

fn priced_by(needs: Needs) -> Roles {
    let harm = row_cost(needs, |row| vec![0.0; row.tokens.len()]);
    let costs = roles().costs.into_iter().filter(|(name, _)| name != "harm");
    Roles { costs: costs.chain([("harm".to_owned(), harm as Box<dyn Cost>)]).collect(), ..roles() }
}

/// Edits nothing, and reads nothing.
struct Still(Needs);

impl Steering for Still {
    fn needs(&self) -> &Needs {
        &self.0
    }

    fn steer(&mut self, _: &Batch) -> Result<Steered, RoleFailure> {
        Ok(Steered::Unchanged)
    }
}

/// Plans and retries as a test wants, and otherwise as [`BestSafe`].
struct Odd {
    inner: BestSafe,
    source: Source,
    retry: fn(&Batch) -> Option<Retry>,
}

impl Policy for Odd {
    fn needs(&self) -> &Needs {
        &self.inner.needs
    }

    fn plan(&mut self, rows: &Batch) -> Result<Plan, RoleFailure> {
        Ok(Plan { source: self.source, ..self.inner.plan(rows)? })
    }

    fn select(&mut self, rows: &Batch) -> Result<Decision, RoleFailure> {
        match (self.retry)(rows).filter(|_| rows.moment.attempt < 2) {
            Some(retry) => Ok(Decision::Retry(retry)),
            None => Ok(match self.inner.select(rows)? {
                Decision::Retry(_) => Decision::Exhausted,
                other => other,
            }),
        }
    }
}

fn odd(source: Source, retry: fn(&Batch) -> Option<Retry>) -> Roles {
    let inner = BestSafe { needs: Needs::default(), width: 4, chunk_len: 3, keep: 2 };
    Roles { policy: Box::new(Odd { inner, source, retry }), ..roles() }
}

fn never(_: &Batch) -> Option<Retry> {
    None
}

fn unsafe_rows(rows: &Batch, penalty: f32) -> Option<Retry> {
    rows.rows.iter().all(|row| !row.safe).then_some(Retry { penalty, max_mass: 0.5 })
}

/// An engine with other abilities.
fn builder(script: &str, change: impl FnOnce(&mut Abilities)) -> EngineBuilder {
    faked(script, |fake| {
        let mut abilities = fake.abilities().clone();
        change(&mut abilities);
        fake.with_abilities(abilities)
    })
}

fn engine(change: impl FnOnce(&mut Abilities), roles: fn() -> Roles) -> EngineBuilder {
    builder(SCRIPT, change).config(config(11.0)).roles("native", roles)
}

type Change = fn(&mut Abilities);
type Case = (Change, fn() -> Roles, &'static str);

/// What the engine cannot do, roles that need it, and the words of the refusal.
const CASES: [Case; 11] = [
    (
        |can| can.logits = false,
        || reads(Needs { logits: true, ..Needs::default() }),
        "policy `policy` reads all logits",
    ),
    (
        |can| can.logits = false,
        || priced_by(Needs { logits: true, ..Needs::default() }),
        "cost `harm` reads all logits",
    ),
    (
        |can| can.likeliest = 2,
        || reads(Needs { top_k: 3, ..Needs::default() }),
        "policy `policy` reads the 3 most likely tokens where at most 2 are given",
    ),
    (
        |can| can.likeliest = 0,
        || priced_by(Needs { top_k: 1, ..Needs::default() }),
        "cost `harm` reads the 1 most likely tokens where at most 0 are given",
    ),
    (
        |can| can.latents = false,
        || reads(Needs { latents: Some(LatentSelector::FinalNorm), ..Needs::default() }),
        "policy `policy` reads latents",
    ),
    (
        |can| can.layers = false,
        || priced_by(Needs { latents: Some(LatentSelector::Layer(3)), ..Needs::default() }),
        "cost `harm` reads latents of layer 3",
    ),
    (
        |can| can.steering = false,
        || Roles { steering: Some(Box::new(Still(Needs::default()))), ..roles() },
        "steering `steering` edits latents",
    ),
    (|can| can.penalties = false, roles, "policy `policy` lowers tokens of failed candidates in a retry"),
    (
        |can| can.penalties = false,
        || odd(Source::Sample, |rows| unsafe_rows(rows, 1.0)),
        "policy `policy` lowers tokens of failed candidates in a retry",
    ),
    (
        |can| can.likeliest = 1,
        || odd(Source::Expand(2), never),
        "policy `policy` reads the 2 most likely tokens where at most 1 are given",
    ),
    (
        |can| (can.latents, can.steering) = (false, true),
        || {
            let needs = Needs { latents: Some(LatentSelector::FinalNorm), ..Needs::default() };
            Roles { steering: Some(Box::new(Still(needs))), ..roles() }
        },
        "steering `steering` reads latents",
    ),
];

#[test]
fn each_ability_that_a_role_needs_is_missed_by_name() {
    for (change, roles, words) in CASES {
        let named = |can: &mut Abilities| {
            change(can);
            can.engine = "fake 1.2\u{1b}[2J".to_owned();
        };
        let error = engine(named, roles).build().unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, EngineError::Unable { .. }) && !error.is_callers_fault(), "{words}: {text}");
        assert!(text.contains("in the method `native`") && text.contains(words), "{words}: {text}");
        assert!(text.contains("the engine `fake 1.2 [2J` cannot") && text.contains(": "), "{words}: {text}");
        // The toy has no inner layers, whatever it says of itself.
        if !words.contains("layer") {
            assert!(engine(|_| {}, roles).build().is_ok(), "{words}: an engine that can is taken");
        }
    }
}

#[test]
fn what_no_role_needs_may_be_missing() {
    let nothing = |can: &mut Abilities| {
        (can.logits, can.latents, can.layers, can.steering, can.forced) = (false, false, false, false, false);
        (can.likeliest, can.penalties) = (0, false);
    };
    let plain = || odd(Source::Sample, never);
    let engine = engine(nothing, plain).config(config(1000.0)).build().unwrap();
    let output = engine.generate(Request::new("good")).unwrap();
    assert_eq!((output.status, engine.live_beams()), (Status::WithinBudget, LiveBeams::default()));
}

#[test]
fn a_retry_without_a_penalty_needs_no_penalties() {
    let harsh = "vocab: <eos>* good bad\nafter : bad 1\nscore cost: bad 5\nscore reward: bad 1";
    let retries = || odd(Source::Sample, |rows| unsafe_rows(rows, 0.0));
    let engine = builder(harsh, |can| can.penalties = false).config(config(3.0)).roles("native", retries);
    let output = engine.build().unwrap().generate(Request::new("good")).unwrap();
    assert_eq!((output.status, output.usage.retries), (Status::NoSafeCandidate, 2));
}

#[test]
fn a_penalty_that_no_probe_foresaw_ends_the_request_and_is_not_left_out() {
    // On made-up rows, which have one token, it does not retry.
    let late = || odd(Source::Sample, |rows| unsafe_rows(rows, 4.0).filter(|_| rows.rows.iter().any(|r| r.length > 1)));
    let harsh = "vocab: <eos>* good bad\nafter : bad 1\nscore cost: bad 5\nscore reward: bad 1";
    let builder = builder(harsh, |can| can.penalties = false).config(config(3.0)).roles("native", late);
    let engine = builder.build().unwrap();
    let error = engine.generate(Request::new("good")).unwrap_err();
    assert!(matches!(error, EngineError::Unable { .. }) && error.to_string().contains("in a retry"), "{error}");
    assert_eq!(engine.live_beams(), LiveBeams::default());
}

#[test]
fn a_later_bundle_that_needs_more_never_becomes_active() {
    let cannot = |can: &mut Abilities| can.penalties = false;
    let manifest = |settings| deployment::MANIFEST.replace("chunk-len = 1", settings);
    let [plain, retried] = [manifest("chunk-len = 1, retries = 0"), manifest("chunk-len = 1, retries = 2")];
    let builder = builder(deployment::TEMPTING, cannot);
    let engine = builder.bundle(&deployment::bundle_with(&plain, &[])).build().unwrap();
    let before = engine.generation();
    let error = engine.activate(&deployment::bundle_with(&retried, &[])).unwrap_err();
    assert!(error.to_string().contains("in the method `bundle`, policy `policy` lowers tokens"), "{error}");
    assert_eq!(engine.generation(), before);
    assert!(engine.generate(Request::new("ask")).is_ok());
}

#[test]
fn requests_and_terms_that_need_more_are_refused() {
    let few = engine(|can| can.likeliest = 3, || odd(Source::Sample, never)).build().unwrap();
    for (asked, taken) in [(0, true), (3, true), (4, false), (u32::MAX, false)] {
        let answer = few.generate(Request { top_logprobs: asked, ..Request::new("good") });
        match answer {
            Ok(output) => assert!(taken && output.top_logprobs.iter().all(|place| place.len() <= 3), "{asked}"),
            Err(error) => {
                assert!(!taken && error.is_callers_fault(), "{asked}: {error}");
                assert!(error.to_string().contains("gives at most 3: ask for fewer"), "{error}");
            }
        }
    }
    let unforced = engine(|can| can.forced = false, || odd(Source::Sample, never)).build().unwrap();
    let turn = Message { role: "assistant".into(), content: "good".into() };
    let asked = Request { history: vec![Message::user("good"), turn], ..Request::new("good") };
    let terms = Terms { whole_conversation: true, ..Terms::default() };
    let error = unforced.under(&terms).generate(asked.clone()).unwrap_err();
    assert!(matches!(error, EngineError::Unpriceable { .. }) && !error.is_callers_fault(), "{error}");
    assert!(unforced.generate(asked).is_ok(), "budgets of one answer need no given tokens");
    assert!(unforced.under(&terms).check().is_err() && unforced.under(&Terms::default()).check().is_ok());
    assert_eq!(unforced.live_beams(), LiveBeams::default());
}

/// Whether the engine gives log-probabilities of given tokens, what the costs read, and whether an answer can be priced.
type Priced = (bool, fn() -> Roles, bool);

#[test]
fn an_answer_is_priced_without_log_probabilities_that_no_cost_reads() {
    let text = || priced_by(Needs { text: true, ..Needs::default() });
    let logprobs = || priced_by(Needs { logprobs: true, ..Needs::default() });
    let cases: [Priced; 3] = [(false, text, true), (false, logprobs, false), (true, logprobs, true)];
    for (forced, roles, priced) in cases {
        // Without the ability, this engine fails every call for log-probabilities of given tokens.
        let engine = engine(|can| can.forced = forced, roles).build().unwrap();
        let (judge, tokens) = (engine.prepared_in(None).unwrap(), engine.tokenizer().encode_continued("good").unwrap());
        match engine.judge_tokens(&judge, &Request::new("good"), &tokens) {
            Ok(judged) => assert!(priced && judged.failures.is_empty(), "{judged:?}"),
            Err(error) => assert!(!priced && matches!(error, EngineError::Unpriceable { .. }), "{error}"),
        }
        assert_eq!(engine.live_beams(), LiveBeams::default());
    }
}

#[test]
fn an_output_names_its_engine_and_what_repeats_it() {
    for (repeats, from, json) in [(true, RepeatsFrom::Seed, "seed"), (false, RepeatsFrom::Record, "record")] {
        let named = |can: &mut Abilities| (can.engine, can.repeats) = ("fake 1.2".to_owned(), repeats);
        let output = engine(named, roles).build().unwrap().generate(Request::new("good")).unwrap();
        assert_eq!((output.ran.engine.as_str(), output.ran.repeats_from), ("fake 1.2", from));
        let value = serde_json::to_value(&output).unwrap();
        assert_eq!((&value["engine"], &value["repeats_from"]), (&"fake 1.2".into(), &json.into()));
    }
}
