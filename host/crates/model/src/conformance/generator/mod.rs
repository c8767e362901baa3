//! The checks of a back end that grows chunks: what they work with, and their list.

mod beams;
mod growing;
mod reading;
mod refusals;

use super::{ConformanceError, Ordinary, Outcome, ensure, ensure_close};
use crate::{
    Abilities, BackEnd, BeamId, Caller, Generator, GrowRow, GrowingText, Grown, Growth, Pick, SampleRequest, Token,
};
use std::sync::Arc;

/// How such a back end is checked.
#[derive(Debug, Clone, PartialEq)]
pub struct GeneratorOptions {
    /// How far two computations of the same number may differ, relative to it where it is above 1.
    pub tolerance: f32,
    /// Up to this context length a prompt of nearly full length is opened, to see that a row beyond it is refused.
    pub fill_context: usize,
}

impl Default for GeneratorOptions {
    fn default() -> Self {
        Self { tolerance: 1e-3, fill_context: 512 }
    }
}

/// What was checked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Conformity {
    /// The checks that ran; all promises were kept.
    pub checked: Vec<&'static str>,
    /// Those that did not run.
    pub skipped: Vec<Skipped>,
}

/// A check that needs what the back end says it cannot do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Skipped {
    /// The check.
    pub check: &'static str,
    /// The field of [`Abilities`] that is off.
    pub lacks: &'static str,
}

/// The shortest context that leaves room for the checks.
const CONTEXT: usize = 24;
/// Tokens of a chunk.
const CHUNK: u32 = 5;

struct Check {
    name: &'static str,
    needs: &'static [&'static str],
    run: fn(&mut Subject) -> Outcome,
}

const fn check(name: &'static str, needs: &'static [&'static str], run: fn(&mut Subject) -> Outcome) -> Check {
    Check { name, needs, run }
}

const CHECKS: [Check; 23] = [
    check("the description is consistent", &[], refusals::description),
    check("rows have tokens, each with a log-probability", &[], growing::shapes),
    check("log-probabilities are those of given tokens", &["forced"], growing::logprobs),
    check("a new beam holds all tokens but the last", &["forced"], growing::holds),
    check("the same rows give the same tokens", &["repeats"], growing::repeats),
    check("a row does not depend on the others", &["repeats"], growing::independent),
    check("every token is drawn by the reference sampler", &["logits"], growing::picks),
    check("repeated tokens are lowered along a row", &["logits"], growing::repetition),
    check("end tokens end a row and are part of it", &["repeats"], growing::ends),
    check("a stop text ends a row at the token that completes it", &["repeats"], growing::stops),
    check("penalties act at their offset only", &["penalties", "repeats"], growing::penalties),
    check("forks are equal and go their own ways", &["forced"], beams::forks),
    check("parents stay as they are", &["forced"], beams::parents),
    check("beams are freed by release, and by the end of their handle", &[], beams::release),
    check("handles do not see the beams of others", &[], beams::foreign),
    check("a cancelled caller gets no more", &[], beams::cancelled),
    check("unknown beams fail by row", &[], refusals::unknown),
    check("what does not fit the context or the vocabulary is refused", &[], refusals::context),
    check("what it cannot do is refused", &[], refusals::unsupported),
    check("the likeliest tokens come best first", &["likeliest", "forced"], reading::likeliest),
    check("logits and log-probabilities agree", &["logits", "forced"], reading::logits),
    check("kept latents are those of every token", &["token_latents", "latents"], reading::kept),
    check("steering changes draws and no reading", &["steering", "latents", "logits"], reading::steering),
];

/// Checks a back end. `make` gives a fresh one for each check, the same every time; at least three tokens of its vocabulary must
/// not be special, and its context must take 24 tokens. The result names the checks that were skipped, and the
/// ability that each lacks.
///
/// # Errors
/// The first promise that is not kept.
pub fn generator(
    mut make: impl FnMut() -> Arc<dyn BackEnd>,
    options: &GeneratorOptions,
) -> Result<Conformity, ConformanceError> {
    let mut result = Conformity::default();
    for Check { name, needs, run } in CHECKS {
        let mut subject = Subject::new(make(), options)?;
        let abilities = subject.back_end.abilities().clone();
        if let Some(lacks) = needs.iter().find(|need| !has(&abilities, need)) {
            result.skipped.push(Skipped { check: name, lacks });
            continue;
        }
        run(&mut subject).map_err(|failure| failure.named(name))?;
        result.checked.push(name);
    }
    Ok(result)
}

fn has(abilities: &Abilities, need: &str) -> bool {
    match need {
        "penalties" => abilities.penalties,
        "logits" => abilities.logits,
        "likeliest" => abilities.likeliest > 0,
        "latents" => abilities.latents,
        "token_latents" => abilities.token_latents,
        "steering" => abilities.steering,
        "forced" => abilities.forced,
        "repeats" => abilities.repeats,
        _ => false,
    }
}

/// A back end under check, and one handle of it.
struct Subject {
    back_end: Arc<dyn BackEnd>,
    caller: Caller,
    handle: Box<dyn Generator>,
    options: GeneratorOptions,
    ordinary: Ordinary,
}

impl Subject {
    fn new(back_end: Arc<dyn BackEnd>, options: &GeneratorOptions) -> Result<Self, ConformanceError> {
        let ordinary = Ordinary::of(back_end.info(), CONTEXT)?;
        let caller = Caller::default();
        let handle = back_end.handle(&caller);
        Ok(Self { back_end, caller, handle, options: options.clone(), ordinary })
    }

    /// `len` ordinary tokens, others for another `variant`.
    fn tokens(&self, variant: usize, len: usize) -> Vec<Token> {
        self.ordinary.some(variant, len)
    }

    fn growth(&self) -> Growth {
        let sampling = SampleRequest::plain(Pick::Rank(0));
        Growth { max_tokens: CHUNK, sampling, penalties: Vec::new(), end: Vec::new(), stop: Vec::new() }
    }

    /// A row with draws and a seed of its own.
    fn row(&self, parent: BeamId, variant: u64) -> GrowRow {
        let draw = |offset: u64| ((variant * 37 + offset * 61 + 17) % 101) as f64 / 101.0;
        let picks = (0..u64::from(CHUNK)).map(|offset| Pick::Draw(draw(offset))).collect();
        GrowRow { parent, picks, seed: 1000 + variant, repeated: Vec::new(), text: GrowingText::default() }
    }

    /// Rows that must all be grown.
    fn grow(&mut self, growth: &Growth, rows: Vec<GrowRow>) -> Outcome<Vec<(BeamId, Grown)>> {
        let due = rows.len();
        let grown = self.handle.grow(growth, rows)?;
        ensure(grown.len() == due, || format!("{due} rows gave the outcomes of {}", grown.len()))?;
        let grown = grown.into_iter().collect::<Result<Vec<_>, _>>()?;
        Ok(grown)
    }

    /// The tokens of one row.
    fn grow_one(&mut self, growth: &Growth, row: GrowRow) -> Outcome<Vec<Token>> {
        Ok(self.grow(growth, vec![row])?.remove(0).1.tokens)
    }

    /// The log-probabilities of some tokens as the next one of a beam.
    fn next(&mut self, beam: BeamId) -> Outcome<Vec<f32>> {
        let rows: Vec<(BeamId, Token)> = self.ordinary.0.iter().take(8).map(|token| (beam, *token)).collect();
        Ok(self.handle.logprobs(&rows)?)
    }

    /// The beam goes on like a beam opened with these tokens.
    fn ensure_holds(&mut self, what: &str, beam: BeamId, tokens: &[Token]) -> Outcome {
        let fresh = self.handle.open(tokens)?;
        let (expected, found) = (self.next(fresh)?, self.next(beam)?);
        self.handle.release(&[fresh]);
        ensure_close(what, &expected, &found, self.options.tolerance)
    }

    fn ensure_live(&self, what: &str, expected: usize) -> Outcome {
        let found = self.back_end.live_beams();
        ensure(found == expected, || format!("{what}: expected {expected} live beams, found {found}"))
    }
}
