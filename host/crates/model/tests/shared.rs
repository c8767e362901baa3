//! A model that many threads use at once: steps that wait are made as one, and everybody gets their own rows.

use inferenceguard_model::{
    BeamId, Model, ModelError, ModelInfo, Rows, ScoreId, ScoreInfo, ScoreModel, ScoreRow, Scored, SharedModel,
    SharedScoreModel, Token, Tokenizer,
    toy::{ToyModel, ToyScore, ToyScript},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

const SCRIPT: &str =
    "vocab: <eos>* a b c\ncontext: 64\nafter : a 1\nafter a : b 3, c 1\nafter b : a 1, c 2\nafter c : a 5, b 1";
const STEPS: usize = 20;

/// Takes its time, counts its steps, and fails or panics at one.
struct Slow {
    inner: ToyModel,
    steps: Arc<AtomicUsize>,
    fails_at: usize,
    panics: bool,
}

impl Model for Slow {
    fn info(&self) -> &ModelInfo {
        self.inner.info()
    }
    fn tokenizer(&self) -> Arc<dyn Tokenizer> {
        self.inner.tokenizer()
    }
    fn encode_prompt(&self, prompt: &str) -> Result<Vec<Token>, ModelError> {
        self.inner.encode_prompt(prompt)
    }
    fn prefill(&mut self, prompt: &[Token]) -> Result<(BeamId, Rows), ModelError> {
        self.inner.prefill(prompt)
    }
    fn fork(&mut self, parents: &[BeamId]) -> Result<Vec<BeamId>, ModelError> {
        self.inner.fork(parents)
    }
    fn step(&mut self, rows: &[(BeamId, Token)]) -> Result<Rows, ModelError> {
        thread::sleep(Duration::from_millis(2));
        if self.steps.fetch_add(1, Ordering::Relaxed) == self.fails_at {
            assert!(!self.panics, "a bug in the back end");
            return Err(ModelError::NotFinite("latents"));
        }
        self.inner.step(rows)
    }
    fn project(&mut self, latents: &Rows) -> Result<Rows, ModelError> {
        self.inner.project(latents)
    }
    fn release(&mut self, beams: &[BeamId]) {
        self.inner.release(beams);
    }
    fn live_beams(&self) -> usize {
        self.inner.live_beams()
    }
}

fn shared(fails_at: usize) -> (SharedModel, Arc<AtomicUsize>) {
    faulty(fails_at, false)
}

fn faulty(fails_at: usize, panics: bool) -> (SharedModel, Arc<AtomicUsize>) {
    let steps = Arc::new(AtomicUsize::new(0));
    let inner = ToyScript::parse(SCRIPT).unwrap().model();
    (SharedModel::new(Box::new(Slow { inner, steps: Arc::clone(&steps), fails_at, panics })), steps)
}

/// The latents after each of the steps along one walk, each with its logits.
fn walk(mut model: SharedModel, start: usize) -> Result<Vec<Vec<f32>>, ModelError> {
    let (beam, _) = model.prefill(&[1])?;
    let token = |step: usize| u32::try_from((start + step) % 3).unwrap_or(0) + 1;
    let mut one = |step: usize| {
        let latents = model.step(&[(beam, token(step))])?;
        let logits = model.project(&latents)?;
        Ok([latents.to_host()?, logits.to_host()?].concat())
    };
    let walked = (0..STEPS).map(&mut one).collect();
    model.release(&[beam]);
    walked
}

fn together(model: &SharedModel) -> Vec<Result<Vec<Vec<f32>>, ModelError>> {
    thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|start| scope.spawn(move || walk(model.clone(), start))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

#[test]
fn waiting_steps_are_one_call_and_nobody_gets_the_rows_of_another() {
    let (model, steps) = shared(usize::MAX);
    for (start, walked) in together(&model).into_iter().enumerate() {
        assert_eq!(walked.unwrap(), walk(shared(usize::MAX).0, start).unwrap(), "walk {start}");
    }
    let calls = steps.load(Ordering::Relaxed);
    assert!((STEPS..8 * STEPS / 2).contains(&calls), "{calls} calls for {} steps", 8 * STEPS);
    assert_eq!(model.live_beams(), 0);
}

#[test]
fn a_failed_step_fails_for_all_who_were_part_of_it_and_for_nobody_else() {
    let (model, _) = shared(5);
    let walks = together(&model);
    let failed = walks.iter().filter(|walk| walk.is_err()).count();
    assert!((1..=8).contains(&failed));
    for error in walks.into_iter().filter_map(Result::err) {
        assert!(error.to_string().contains("latents holds NaN"), "{error}");
    }
    assert!(walk(model.clone(), 0).is_ok(), "the model goes on");
    assert_eq!(model.live_beams(), 0);
}

#[test]
fn a_panic_of_the_back_end_reaches_everybody_as_an_error_and_hangs_nobody() {
    let (model, _) = faulty(5, true);
    let ended: Vec<bool> = thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|start| {
                scope.spawn({
                    let model = model.clone();
                    move || walk(model, start)
                })
            })
            .collect();
        threads.into_iter().map(|thread| matches!(thread.join(), Ok(Ok(_)))).collect()
    });
    assert_eq!(ended, [false; 8]);
    let error = walk(model, 0).unwrap_err();
    assert!(error.to_string().contains("panicked in an earlier call"), "{error}");
}

/// Takes its time, so that calls wait and are made as one.
struct SlowScore(ToyScore);

impl ScoreModel for SlowScore {
    fn info(&self) -> &ScoreInfo {
        self.0.info()
    }
    fn open(&mut self, prompt: &str, language: Arc<dyn Tokenizer>) -> Result<ScoreId, ModelError> {
        self.0.open(prompt, language)
    }
    fn fork(&mut self, parents: &[ScoreId]) -> Result<Vec<ScoreId>, ModelError> {
        self.0.fork(parents)
    }
    fn extend(&mut self, rows: &[ScoreRow]) -> Result<Vec<Scored>, ModelError> {
        thread::sleep(Duration::from_millis(2));
        self.0.extend(rows)
    }
    fn release(&mut self, rows: &[ScoreId]) {
        self.0.release(rows);
    }
    fn live_rows(&self) -> usize {
        self.0.live_rows()
    }
}

/// The scores of an answer that grows four times, by this many tokens.
fn scored(mut model: SharedScoreModel, language: Arc<dyn Tokenizer>, tokens: usize) -> Result<Vec<f32>, ModelError> {
    let id = model.open("a", language)?;
    let row = || ScoreRow { id, tokens: vec![2; tokens], ended: false };
    let grown: Result<Vec<_>, _> = (0..4).map(|_| Ok(model.extend(&[row()])?.remove(0).end)).collect();
    model.release(&[id]);
    grown
}

#[test]
fn an_answer_that_grew_too_long_fails_for_its_own_request_only() {
    let script = ToyScript::parse(&format!("{SCRIPT}\nscore cost cumulative: b 1")).unwrap();
    let model = SharedScoreModel::new(Box::new(SlowScore(script.scores().remove(0))));
    let ended: Vec<_> = thread::scope(|scope| {
        // The last of them is beyond the context at its third call.
        let lengths = [1, 2, 3, 4, 5, 6, 7, 30];
        let language = script.model().tokenizer();
        let one = |tokens| (tokens, model.clone(), Arc::clone(&language));
        let threads = lengths.map(one).map(|(n, model, language)| scope.spawn(move || scored(model, language, n)));
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let (long, others) = ended.split_last().unwrap();
    assert!(matches!(long, Err(ModelError::ContextExceeded { .. })), "{long:?}");
    for (one, tokens) in others.iter().zip(1_u8..) {
        let expected = [1.0, 2.0, 3.0, 4.0].map(|times| times * f32::from(tokens));
        assert_eq!(one.as_ref().unwrap(), &expected);
    }
    assert_eq!(model.live_rows(), 0);
}
