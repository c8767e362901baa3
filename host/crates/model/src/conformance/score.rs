//! The checks of a score model.

use super::{ConformanceError, Outcome, ensure, ensure_close, ensure_error, ensure_scores};
use crate::{Message, ModelError, ScoreId, ScoreModel, ScoreOpening, ScoreRow, Scored, Token, Tokenizer};
use std::sync::Arc;

/// What a score model is checked with.
#[derive(Clone)]
pub struct ScoreOptions {
    /// The tokenizer of the language model.
    pub language: Arc<dyn Tokenizer>,
    /// Two prompts that the score model can read.
    pub prompts: [String; 2],
    /// Two answers or more, in tokens of the language model, of at least four tokens each, different from the first one
    /// on. An end token may come last.
    pub answers: Vec<Vec<Token>>,
    /// How far two computations of the same score may differ, relative to it where it is above 1.
    pub tolerance: f32,
    /// Up to this context length an answer beyond the context is tried, to see that it is refused.
    pub fill_context: usize,
}

impl ScoreOptions {
    /// Options with a tolerance of 1e-3.
    #[must_use]
    pub fn new(language: Arc<dyn Tokenizer>, prompts: [String; 2], answers: Vec<Vec<Token>>) -> Self {
        Self { language, prompts, answers, tolerance: 1e-3, fill_context: 512 }
    }
}

type Check = fn(&mut Subject) -> Outcome;

const CHECKS: [(&str, Check); 11] = [
    ("a digest names it", named),
    ("every token of an ended answer has a finite score", counts),
    ("piece by piece equals the whole", pieces),
    ("a prompt by pieces equals the whole", prompts),
    ("a row without tokens changes nothing", empty_rows),
    ("an end without tokens scores the tail", late_end),
    ("a fork goes on as its parent would", forks),
    ("a batch equals one by one, in any order", batches),
    ("release frees, once, and nothing else", release),
    ("what is unknown is refused, others stay intact", unknown),
    ("answers beyond the context are refused, others stay intact", context),
];

/// Checks a score model. `make` gives a fresh one for each check, the same every time.
///
/// # Errors
/// The first promise that is not kept, or that the answers are too few or too short.
pub fn score(mut make: impl FnMut() -> Box<dyn ScoreModel>, options: &ScoreOptions) -> Result<(), ConformanceError> {
    let (count, shortest) = (options.answers.len(), options.answers.iter().map(Vec::len).min().unwrap_or(0));
    if count < 2 || shortest < 4 {
        let expected = "expected two answers of four tokens or more";
        return Err(ConformanceError::Options(format!("{expected}, found {count}, the shortest of {shortest}")));
    }
    for (name, check) in CHECKS {
        let mut subject = Subject { model: make(), options: options.clone() };
        check(&mut subject).map_err(|failure| failure.named(name))?;
    }
    Ok(())
}

fn named(subject: &mut Subject) -> Outcome {
    ensure(!subject.model.info().fingerprint.is_empty(), || "the fingerprint is empty".to_owned())
}

/// A score model under check.
struct Subject {
    model: Box<dyn ScoreModel>,
    options: ScoreOptions,
}

impl Subject {
    fn open(&mut self, prompt: usize) -> Outcome<ScoreId> {
        let prompt = self.options.prompts[prompt % 2].clone();
        Ok(self.model.open(&prompt, Arc::clone(&self.options.language))?)
    }

    fn extend(&mut self, id: ScoreId, tokens: &[Token], ended: bool) -> Outcome<Scored> {
        Ok(self.extend_all(&[ScoreRow { id, tokens: tokens.to_vec(), ended }])?.remove(0))
    }

    fn extend_all(&mut self, rows: &[ScoreRow]) -> Outcome<Vec<Scored>> {
        let scored = self.model.extend(rows)?;
        let (expected, found) = (rows.len(), scored.len());
        ensure(found == expected, || format!("{expected} rows gave the scores of {found}"))?;
        Ok(scored)
    }

    /// The scores of a whole answer, from a row of its own.
    fn whole(&mut self, prompt: usize, tokens: &[Token], ended: bool) -> Outcome<Scored> {
        let id = self.open(prompt)?;
        let scored = self.extend(id, tokens, ended)?;
        self.model.release(&[id]);
        Ok(scored)
    }

    /// The row, so far given `scored`, ends with `rest` as the whole answer would.
    fn ensure_ends(&mut self, what: &str, id: ScoreId, so_far: Scored, rest: &[Token], answer: &[Token]) -> Outcome {
        let last = self.extend(id, rest, true)?;
        let found = Scored { tokens: [so_far.tokens, last.tokens].concat(), end: last.end };
        let expected = self.whole(0, answer, true)?;
        ensure_scores(what, &expected, &found, self.options.tolerance)
    }

    fn ensure_live(&self, what: &str, expected: usize) -> Outcome {
        let found = self.model.live_rows();
        ensure(found == expected, || format!("{what}: expected {expected} live rows, found {found}"))
    }

    fn answer(&self, i: usize) -> Vec<Token> {
        self.options.answers[i % self.options.answers.len()].clone()
    }
}

fn counts(subject: &mut Subject) -> Outcome {
    for answer in subject.options.answers.clone() {
        let open = subject.whole(0, &answer, false)?;
        let ended = subject.whole(0, &answer, true)?;
        let (expected, found) = (answer.len(), ended.tokens.len());
        ensure(found == expected, || format!("an ended answer of {expected} tokens has {found} scores"))?;
        let all = open.tokens.iter().chain(&ended.tokens).chain([&open.end, &ended.end]);
        ensure(all.into_iter().all(|s| s.is_finite()), || format!("a score is not finite: {ended:?}"))?;
        let stable = open.tokens.len();
        let same = subject.model.info().same_tokenizer;
        ensure(stable <= expected, || format!("{expected} tokens have {stable} scores"))?;
        ensure(!same || stable == expected, || {
            format!("{expected} tokens have {stable} scores, none may be withheld")
        })?;
        let prefix = &ended.tokens[..stable];
        ensure_close("scores before and after the end", prefix, &open.tokens, subject.options.tolerance)?;
        if same {
            ensure_close("the last token's score is the end", &open.tokens[stable - 1..], &[open.end], 0.0)?;
        }
    }
    Ok(())
}

fn pieces(subject: &mut Subject) -> Outcome {
    for answer in subject.options.answers.clone() {
        for size in 1..4 {
            let id = subject.open(0)?;
            let mut scores = Vec::new();
            let cut = (answer.len() - 1) / size * size;
            for piece in answer[..cut].chunks(size) {
                scores.extend(subject.extend(id, piece, false)?.tokens);
            }
            let so_far = Scored { tokens: scores, end: 0.0 };
            subject.ensure_ends(&format!("pieces of {size}"), id, so_far, &answer[cut..], &answer)?;
        }
    }
    Ok(())
}

fn prompts(subject: &mut Subject) -> Outcome {
    let (answer, language) = (subject.answer(0), Arc::clone(&subject.options.language));
    let message = Message::user(subject.options.prompts[0].clone());
    let mut opening = ScoreOpening::new(vec![message], language);
    let id = loop {
        if let Some(id) = subject.model.open_part(&mut opening, 1)? {
            break id;
        }
        // Others are scored between two pieces.
        subject.whole(1, &answer, true)?;
    };
    let expected = subject.whole(0, &answer, true)?;
    let found = subject.extend(id, &answer, true)?;
    ensure_scores("the answer to a prompt that was read by pieces", &expected, &found, subject.options.tolerance)?;
    subject.model.release(&[id]);
    subject.ensure_live("a prompt that was read by pieces", 0)
}

fn empty_rows(subject: &mut Subject) -> Outcome {
    let answer = subject.answer(0);
    let id = subject.open(0)?;
    subject.extend(id, &[], false)?;
    let so_far = subject.extend(id, &answer[..3], false)?;
    let nothing = subject.extend(id, &[], false)?;
    let expected = Scored { tokens: Vec::new(), end: so_far.end };
    ensure_scores("a row without tokens", &expected, &nothing, subject.options.tolerance)?;
    subject.ensure_ends("after a row without tokens", id, so_far, &answer[3..], &answer)
}

fn late_end(subject: &mut Subject) -> Outcome {
    for answer in subject.options.answers.clone() {
        let id = subject.open(0)?;
        let so_far = subject.extend(id, &answer, false)?;
        subject.ensure_ends("an end after the tokens", id, so_far, &[], &answer)?;
    }
    Ok(())
}

fn forks(subject: &mut Subject) -> Outcome {
    let (answer, other) = (subject.answer(0), subject.answer(1));
    for cut in 0..answer.len() {
        let parent = subject.open(0)?;
        let so_far = subject.extend(parent, &answer[..cut], false)?;
        let children = subject.model.fork(&[parent, parent])?;
        ensure(children.len() == 2, || format!("a fork of two parents gave {} rows", children.len()))?;
        let changed = [&answer[..cut], &other[..]].concat();
        subject.ensure_ends("the first child", children[0], so_far.clone(), &other, &changed)?;
        subject.ensure_ends("the parent after its child", parent, so_far.clone(), &answer[cut..], &answer)?;
        subject.model.release(&[parent, children[0]]);
        subject.ensure_ends("a child that outlives its parent", children[1], so_far, &answer[cut..], &answer)?;
    }
    Ok(())
}

fn batches(subject: &mut Subject) -> Outcome {
    let count = subject.options.answers.len() + 1;
    // Other lengths, other prompts, and the last row ends while the others go on.
    let plan: Vec<_> = (0..count).map(|i| (i, subject.answer(i), i + 1 == count)).collect();
    for shift in 0..count {
        let mut order = plan.clone();
        order.rotate_left(shift);
        let mut rows = Vec::new();
        let mut expected = Vec::new();
        for (prompt, answer, ended) in &order {
            let cut = if *ended { answer.len() } else { answer.len() - prompt % 3 };
            let tokens = answer[..cut].to_vec();
            expected.push(subject.whole(*prompt, &tokens, *ended)?);
            rows.push(ScoreRow { id: subject.open(*prompt)?, tokens, ended: *ended });
        }
        let found = subject.extend_all(&rows)?;
        for (i, (expected, found)) in expected.iter().zip(&found).enumerate() {
            ensure_scores(&format!("row {i}, shifted by {shift}"), expected, found, subject.options.tolerance)?;
        }
    }
    Ok(())
}

fn release(subject: &mut Subject) -> Outcome {
    subject.ensure_live("a fresh model", 0)?;
    let answer = subject.answer(0);
    let parent = subject.open(0)?;
    let so_far = subject.extend(parent, &answer[..2], false)?;
    let children = subject.model.fork(&[parent, parent])?;
    subject.ensure_live("one opened, two forked", 3)?;
    subject.model.release(&[parent]);
    subject.model.release(&[parent, children[0]]);
    subject.ensure_live("two released, one of them twice", 1)?;
    let no_row = |error: &ModelError| matches!(error, ModelError::UnknownBeam(_));
    ensure_error(subject.model.fork(&[parent]), "a fork of a released row", "UnknownBeam", no_row)?;
    let row = ScoreRow { id: parent, tokens: answer[..1].to_vec(), ended: false };
    ensure_error(subject.model.extend(&[row]), "a released row", "UnknownBeam", no_row)?;
    subject.ensure_ends("a sibling of released rows", children[1], so_far, &answer[2..], &answer)?;
    subject.model.release(&children);
    subject.ensure_live("all released", 0)
}

fn unknown(subject: &mut Subject) -> Outcome {
    let answer = subject.answer(0);
    let bystander = subject.open(0)?;
    let so_far = subject.extend(bystander, &answer[..2], false)?;
    let no_row = |error: &ModelError| matches!(error, ModelError::UnknownBeam(_));
    let nowhere = ScoreId(u64::MAX);
    let row = ScoreRow { id: nowhere, tokens: answer[..1].to_vec(), ended: false };
    ensure_error(subject.model.extend(&[row]), "a row never opened", "UnknownBeam", no_row)?;
    ensure_error(subject.model.fork(&[bystander, nowhere]), "a fork of it", "UnknownBeam", no_row)?;
    let language = Arc::clone(&subject.options.language);
    ensure_error(subject.model.open("", language), "an empty prompt", "EmptyPrompt", |_| true)?;
    subject.model.release(&[nowhere]);
    subject.ensure_live("after refused calls", 1)?;
    subject.ensure_ends("a row not named in failed calls", bystander, so_far, &answer[2..], &answer)
}

fn context(subject: &mut Subject) -> Outcome {
    let limit = subject.model.info().context;
    if limit > subject.options.fill_context {
        return Ok(());
    }
    let answer = subject.answer(0);
    let bystander = subject.open(0)?;
    let so_far = subject.extend(bystander, &answer[..2], false)?;
    let id = subject.open(1)?;
    // Without the last token, which may end the answer. Twice the context, as another tokenizer may need fewer tokens.
    let body = &answer[..answer.len() - 1];
    let tokens = body.iter().copied().cycle().take(limit * 2).collect();
    let result = subject.model.extend(&[ScoreRow { id, tokens, ended: true }]);
    let too_long = |error: &ModelError| matches!(error, ModelError::ContextExceeded { .. });
    ensure_error(result, "an answer beyond the context", "ContextExceeded", too_long)?;
    subject.model.release(&[id]);
    subject.ensure_live("after a refused answer, its row released", 1)?;
    subject.ensure_ends("a row not named in the failed call", bystander, so_far, &answer[2..], &answer)
}
