//! Models whose beams grow by chunks: alone, in common turns, with faults.

use inferenceguard_model::{
    BackEnd, BeamId, Caller, Generator, GrowRow, GrowingText, GrownRow, Growth, LockedBackEnd, Model, ModelError,
    Native, Pick, Rows, SampleRequest, Sampled, Token, Turn,
    conformance::{ConformanceError, GeneratorOptions, Skipped, generator},
    fake::FakeEngine,
    toy::{ToyModel, ToyScript},
};
use inferenceguard_testkit::hooked::{Hooked, Hooks};
use std::sync::{Arc, Mutex};

const SCRIPT: &str = "
vocab: <eos>* <user> good bad neutral ba +d +ge badger
context: 40
after : good 3, bad 2, neutral 1, <eos> 1
after bad : bad 1, <eos> 1, ba 2
after good bad : neutral 1, good 1
after bad good : good 1, badger 1
after neutral ba : +d 2, +ge 1
";

fn script() -> ToyScript {
    ToyScript::parse(SCRIPT).expect("the script is fine")
}

fn exact() -> GeneratorOptions {
    GeneratorOptions { tolerance: 0.0, ..GeneratorOptions::default() }
}

fn locked(script: &ToyScript) -> Arc<dyn BackEnd> {
    Arc::new(LockedBackEnd::new(Box::new(script.model())))
}

fn growth(max_tokens: u32) -> Growth {
    let sampling = SampleRequest::plain(Pick::Rank(0));
    Growth { max_tokens, sampling, penalties: Vec::new(), end: vec![0], stop: Vec::new() }
}

fn row(parent: BeamId, variant: u32, tokens: u32) -> GrowRow {
    let draw = |offset: u32| f64::from((variant * 37 + offset * 61 + 17) % 101) / 101.0;
    let picks = (0..tokens).map(|offset| Pick::Draw(draw(offset))).collect();
    GrowRow { parent, picks, seed: u64::from(variant), repeated: Vec::new(), text: GrowingText::default() }
}

#[test]
fn the_toy_grows_as_promised() {
    let result = generator(|| locked(&script()), &exact()).expect("every promise is kept");
    assert_eq!((result.checked.len(), result.skipped), (23, Vec::new()));
}

#[test]
fn what_an_engine_cannot_do_is_skipped_by_name() {
    let make = || -> Arc<dyn BackEnd> {
        let fake = FakeEngine::new(locked(&script()), "").expect("an empty script");
        let mut abilities = fake.abilities().clone();
        (abilities.logits, abilities.steering, abilities.latents, abilities.penalties) = (false, false, false, false);
        Arc::new(fake.with_abilities(abilities))
    };
    let result = generator(make, &exact()).expect("every promise is kept");
    let lacks = |check, lacks| Skipped { check, lacks };
    let expected = [
        lacks("every token is drawn by the reference sampler", "logits"),
        lacks("repeated tokens are lowered along a row", "logits"),
        lacks("penalties act at their offset only", "penalties"),
        lacks("logits and log-probabilities agree", "logits"),
        lacks("kept latents are those of every token", "latents"),
        lacks("steering changes draws and no reading", "steering"),
    ];
    assert_eq!((result.checked.len(), result.skipped), (17, expected.to_vec()));
}

#[test]
fn faults_of_an_engine_are_found_by_the_suite() {
    // By row: the suite's first call of `grow` is that of its check of shapes.
    let faults = [
        "row-error 1",
        "too-many 0",
        "clipped 2",
        "nan 1",
        "outside 0",
        "missing 1",
        "wrong-beam 2",
        "error",
        "restart",
    ];
    for fault in faults {
        let script_of_faults = format!("grow 1: {fault}");
        let make =
            || -> Arc<dyn BackEnd> { Arc::new(FakeEngine::new(locked(&script()), &script_of_faults).expect("known")) };
        let found = generator(make, &exact());
        assert!(matches!(found, Err(ConformanceError::Broken { .. } | ConformanceError::Call { .. })), "{fault}");
    }
}

#[test]
fn a_fake_engine_loses_beams_and_reads_by_its_script() {
    let script = script();
    let faults = "open 2: time-out\nappend 1: restart # all are lost\nlogprobs 1: nan 1\nlatents 1: nan 0";
    let engine = FakeEngine::new(locked(&script), faults).expect("known faults");
    let (mut one, mut other) = (engine.handle(&Caller::default()), engine.handle(&Caller::default()));
    let (a, b) = (one.open(&[2]).expect("the first"), other.open(&[2]).expect_err("the second").to_string());
    assert!(b.contains("no answer in time"), "{b}");
    let read = one.logprobs(&[(a, 2), (a, 3)]).expect("two numbers");
    assert!(read[0].is_finite() && read[1].is_nan());
    let latent = one.latents(&[a], Default::default()).expect("a latent").remove(0);
    assert!(latent[0].is_nan() && latent[1].is_finite());
    let c = other.open(&[3]).expect("the third");
    assert!(one.append(&[(a, 2)]).expect_err("a restart").to_string().contains("closed"));
    assert!(matches!(one.fork(&[a]), Err(ModelError::UnknownBeam(_))));
    assert!(matches!(other.fork(&[c]), Err(ModelError::UnknownBeam(_))), "restarts take the beams of all");
    drop((one, other));
    assert_eq!(engine.live_beams(), 0);
    for wrong in ["grow: nan 1", "grow 1: nan", "fork 1: nan 0", "grow 1: explode", "grow x: error"] {
        let error = FakeEngine::new(locked(&script), wrong).expect_err(wrong).to_string();
        assert!(error.contains("line 1") && error.contains(wrong), "{error}");
    }
}

/// The row of a step that becomes NaN.
type Spoils = fn(&[(BeamId, Token)]) -> Option<usize>;

const NONE: Spoils = |_| None;

/// Writes down the calls of a model, and fails where asked.
struct Logged {
    log: Arc<Mutex<Vec<String>>>,
    spoils: Spoils,
    /// Gives latents of an inner layer that it does not name.
    layered: bool,
}

impl Logged {
    fn add(&self, call: &str, rows: usize) {
        self.log.lock().expect("no panic").push(format!("{call} {rows}"));
    }
}

impl Hooks for Logged {
    fn fork(&mut self, model: &mut ToyModel, parents: &[BeamId]) -> Result<Vec<BeamId>, ModelError> {
        self.add("fork", parents.len());
        model.fork(parents)
    }
    fn step(&mut self, model: &mut ToyModel, rows: &[(BeamId, Token)]) -> Result<Rows, ModelError> {
        self.add("step", rows.len());
        let latents = model.step(rows)?;
        let Some(row) = (self.spoils)(rows) else { return Ok(latents) };
        let (len, width) = (latents.len(), latents.width());
        let mut data = latents.to_host()?.into_owned();
        data[row * width..(row + 1) * width].fill(f32::NAN);
        Rows::host(len, width, data)
    }
    fn project(&mut self, model: &mut ToyModel, latents: &Rows) -> Result<Rows, ModelError> {
        self.add("project", latents.len());
        model.project(latents)
    }
    fn layer_latents(&mut self, model: &mut ToyModel, beams: &[BeamId], layer: u32) -> Result<Rows, ModelError> {
        if self.layered {
            Rows::host(beams.len(), 1, vec![0.0; beams.len()])
        } else {
            model.layer_latents(beams, layer)
        }
    }
    fn sample(
        &mut self,
        model: &mut ToyModel,
        logits: &Rows,
        requests: &[(usize, SampleRequest)],
    ) -> Result<Vec<Sampled>, ModelError> {
        self.add("sample", requests.len());
        model.sample(logits, requests)
    }
}

fn logged(script: &str, spoils: Spoils) -> (Native, Arc<Mutex<Vec<String>>>) {
    let (toy, log) = (ToyScript::parse(script).expect("a script").model(), Arc::default());
    let hooks = Logged { log: Arc::clone(&log), spoils, layered: false };
    (Native::new(Box::new(Hooked::new(toy, hooks))), log)
}

#[test]
fn inner_layers_that_a_model_gives_and_does_not_name_are_found() {
    let make = || -> Arc<dyn BackEnd> {
        let hooks = Logged { log: Arc::default(), spoils: NONE, layered: true };
        Arc::new(LockedBackEnd::new(Box::new(Hooked::new(script().model(), hooks))))
    };
    let error = generator(make, &exact()).expect_err("`layers` is 0").to_string();
    assert!(error.contains("latents of a layer"), "{error}");
}

#[test]
fn alone_a_call_makes_the_calls_of_a_search_that_asks_token_by_token() {
    let (mut native, log) = logged(SCRIPT, NONE);
    let parents = [native.open(&[2, 4]).expect("a prompt"), native.open(&[4]).expect("a prompt")];
    let rows = || vec![row(parents[0], 1, 3), row(parents[0], 2, 3), row(parents[1], 3, 3)];
    let endless = Growth { end: Vec::new(), ..growth(3) };
    native.grow(&endless, rows()).expect("rows");
    let first = ["project 2", "sample 3", "fork 3", "step 3", "project 3", "sample 3"];
    let then = ["step 3", "project 3", "sample 3"];
    assert_eq!(*log.lock().expect("no panic"), [&first[..], &then].concat());
    log.lock().expect("no panic").clear();
    native.grow(&endless, rows()).expect("a retry");
    assert_eq!(*log.lock().expect("no panic"), [&first[1..], &then].concat(), "parents are projected once");
    let effort = native.take_effort();
    assert_eq!((effort.steps, effort.positions), (4, 12));
}

#[test]
fn calls_in_common_turns_share_steps_and_get_what_they_get_alone() {
    let (mut native, log) = logged(SCRIPT, NONE);
    let parents = [native.open(&[2, 4]).expect("a prompt"), native.open(&[4]).expect("a prompt")];
    let rows = |i: usize| vec![row(parents[i], 1, 6), row(parents[i], 2, 6), row(parents[i], 7, 6)];
    let alone: Vec<_> = (0..2).map(|i| tokens(native.grow(&growth(6), rows(i)).expect("rows"))).collect();
    for most in [usize::MAX, 3, 2, 1] {
        log.lock().expect("no panic").clear();
        let [mut one, mut other] = [0, 1].map(|i| native.begin(growth(6), rows(i)).expect("a call"));
        native.advance(&mut [Turn { growing: &mut one, most }], &mut [], &mut |_| {});
        while one.live() + other.live() > 0 {
            let turns = &mut [Turn { growing: &mut one, most }, Turn { growing: &mut other, most: usize::MAX }];
            native.advance(turns, &mut [], &mut |_| {});
        }
        let found = [one, other].map(|call| tokens(native.finish(call).expect("rows")));
        assert_eq!(found.as_slice(), alone, "at most {most} rows of the first call");
        let steps = log.lock().expect("no panic").iter().filter(|call| call.starts_with("step")).count();
        assert!(most < 3 || steps <= 6, "{steps} steps for two calls of five");
    }
}

fn tokens(rows: Vec<GrownRow>) -> Vec<Vec<Token>> {
    rows.into_iter().map(|row| row.expect("a row").1.tokens).collect()
}

#[test]
fn a_row_with_nan_fails_for_itself_alone() {
    let (mut native, _) = logged(SCRIPT, |rows| (rows.len() == 3).then_some(1));
    let parent = native.open(&[2, 4]).expect("a prompt");
    let endless = Growth { end: Vec::new(), ..growth(3) };
    let rows = (0..3).map(|variant| row(parent, variant, 3)).collect();
    let grown = native.grow(&endless, rows).expect("two rows are right");
    assert!(matches!(grown[1], Err(ModelError::NotFinite("logits"))), "{grown:?}");
    assert!(grown[0].is_ok() && grown[2].is_ok());
    assert_eq!(native.live_beams(), 3, "the beam of the failed row is free");
}

#[test]
fn a_step_that_fails_fails_for_its_rows_and_frees_them() {
    let (mut native, _) = logged(&format!("{SCRIPT}\nfault step 2: error"), NONE);
    let parent = native.open(&[2, 4]).expect("a prompt");
    let endless = Growth { end: Vec::new(), ..growth(4) };
    let rows = |native: &mut Native| native.grow(&endless, vec![row(parent, 1, 4), row(parent, 2, 4)]);
    let error = rows(&mut native).expect_err("all rows fail").to_string();
    assert!(error.contains("makes call 2 fail"), "{error}");
    assert_eq!(native.live_beams(), 1);
    assert!(rows(&mut native).is_ok(), "the model goes on");
}

/// Grows rows with turns of at most `most` of them.
fn in_turns(native: &mut Native, growth: Growth, rows: Vec<GrowRow>, most: usize) -> Result<Vec<GrownRow>, ModelError> {
    let mut growing = native.begin(growth, rows)?;
    while growing.live() > 0 {
        native.advance(&mut [Turn { growing: &mut growing, most }], &mut [], &mut |_| {});
    }
    native.finish(growing)
}

#[test]
fn the_last_row_that_still_grows_fails_for_itself_alone() {
    for (most, last) in [(usize::MAX, 7), (usize::MAX, 0), (1, 7), (1, 0)] {
        // The row after `bad` is NaN. All other rows are `good`, and end with it.
        let (mut native, _) = logged(SCRIPT, |rows| rows.iter().position(|(_, token)| *token == 3));
        let parent = native.open(&[2, 4]).expect("a prompt");
        let ranked = |at: usize| {
            let picks = vec![Pick::Rank(u32::from(at == last)); 3];
            GrowRow { picks, ..row(parent, 0, 3) }
        };
        let growth = Growth { end: vec![2], ..growth(3) };
        let grown = in_turns(&mut native, growth, (0..8).map(ranked).collect(), most).expect("seven rows are right");
        for (at, row) in grown.iter().enumerate() {
            assert_eq!(row.is_ok(), at != last, "at most {most}, row {at}: {row:?}");
        }
        assert!(matches!(grown[last], Err(ModelError::NotFinite("logits"))), "{grown:?}");
        assert_eq!(native.live_beams(), 8, "the parent and seven rows");
    }
}

#[test]
fn a_step_that_fails_fails_the_call_whatever_the_turns() {
    let grown = |native: &mut Native, end: Vec<Token>, most: usize| {
        let parent = native.open(&[2, 4]).expect("a prompt");
        let rows = (0..8).map(|variant| row(parent, variant, 4)).collect();
        in_turns(native, Growth { end, ..growth(4) }, rows, most)
    };
    let rows = tokens(grown(&mut logged(SCRIPT, NONE).0, Vec::new(), usize::MAX).expect("rows"));
    let parts =
        |end: &Token| rows.iter().any(|row| row[..2].contains(end)) && rows.iter().any(|row| !row.contains(end));
    let end = (0..9).find(parts).expect("a token of some rows");
    for most in [usize::MAX, 3, 1] {
        let (mut native, _) = logged(&format!("{SCRIPT}\nfault step 2: error"), NONE);
        let error = grown(&mut native, vec![end], most).expect_err("some rows had ended, the others fail").to_string();
        assert!(error.contains("makes call 2 fail"), "at most {most}: {error}");
        assert_eq!(native.live_beams(), 1, "beams of rows that had ended are free too");
    }
}

#[test]
fn calls_that_no_back_end_could_answer_are_refused() {
    let (mut native, _) = logged(SCRIPT, NONE);
    let parent = native.open(&[2]).expect("a prompt");
    let hot = SampleRequest { top_p: 2.0, ..SampleRequest::plain(Pick::Rank(0)) };
    let cases = [
        (growth(0), 1, "grow rows by 0 tokens"),
        (growth(3), 2, "picks: expected 3 per row, found 2"),
        (Growth { stop: vec![String::new()], ..growth(1) }, 1, "stop at an empty text"),
        (Growth { sampling: hot, ..growth(1) }, 1, "top_p 2"),
    ];
    for (growth, picks, words) in cases {
        let error = native.grow(&growth, vec![row(parent, 0, picks)]).expect_err(words).to_string();
        assert!(error.contains(words), "{error}");
    }
    let twice = native.append(&[(parent, 2), (parent, 3)]).expect_err("one beam twice").to_string();
    assert!(twice.contains("twice"), "{twice}");
    assert!(native.grow(&growth(1), Vec::new()).expect("nothing").is_empty());
}
