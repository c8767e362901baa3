//! The checks of a language model: what they work with, and their list.

mod beams;
mod numbers;
mod refusals;
mod words;

use super::{ConformanceError, Ordinary, Outcome, ensure};
use crate::{BeamId, Model, Rows, Token};

/// How a language model is checked.
#[derive(Debug, Clone, PartialEq)]
pub struct LanguageOptions {
    /// How far two computations of the same number may differ, relative to it where it is above 1. 0 for back ends whose
    /// results do not depend on the batch.
    pub tolerance: f32,
    /// Up to this context length a prompt of full length is run, to see that a step beyond it is refused.
    pub fill_context: usize,
    /// Texts that spell special tokens of this model, beside those that many models have.
    pub spellings: Vec<String>,
}

impl Default for LanguageOptions {
    fn default() -> Self {
        Self { tolerance: 1e-3, fill_context: 512, spellings: Vec::new() }
    }
}

/// The shortest context that leaves room for the checks.
const CONTEXT: usize = 16;

type Check = fn(&mut Subject) -> Outcome;

const CHECKS: [(&str, Check); 18] = [
    ("the description is consistent", numbers::description),
    ("latents and logits are finite and in shape", numbers::shapes),
    ("logits of host rows are those of the model's own rows", numbers::host_rows),
    ("gather picks rows", numbers::gather),
    ("sample equals sample_row", numbers::sample),
    ("sample refuses missing rows and NaN", numbers::sample_refusals),
    ("two models agree", numbers::determinism),
    ("stepping equals prefilling the whole", beams::steps_equal_prefill),
    ("a fork goes on as its parent would", beams::fork_equals_replay),
    ("a batch equals one by one", beams::batch_equals_one_by_one),
    ("the order of rows does not matter", beams::order),
    ("parents stay as they are", beams::parents_unchanged),
    ("children outlive their parent", beams::children_outlive),
    ("release frees, once, and nothing else", beams::release),
    ("a prompt read by parts is the same prompt", beams::parts),
    ("unknown beams and tokens are refused, others stay intact", refusals::unknown),
    ("prompts and beams beyond the context are refused", refusals::context),
    ("text becomes no special token, whatever it spells", words::spell_nothing),
];

/// Checks a language model. `make` gives a fresh one for each check, the same every time; at least three tokens of its
/// vocabulary must not be special, and its context must take 16 tokens.
///
/// # Errors
/// The first promise that is not kept.
pub fn language(mut make: impl FnMut() -> Box<dyn Model>, options: &LanguageOptions) -> Result<(), ConformanceError> {
    for (name, check) in CHECKS {
        let mut subject = Subject::new(make(), make(), options.clone())?;
        check(&mut subject).map_err(|failure| failure.named(name))?;
    }
    Ok(())
}

/// A model under check.
struct Subject {
    model: Box<dyn Model>,
    /// Another one, made the same way.
    twin: Box<dyn Model>,
    options: LanguageOptions,
    ordinary: Ordinary,
}

impl Subject {
    fn new(model: Box<dyn Model>, twin: Box<dyn Model>, options: LanguageOptions) -> Result<Self, ConformanceError> {
        let ordinary = Ordinary::of(model.info(), CONTEXT)?;
        Ok(Self { model, twin, options, ordinary })
    }

    /// `len` ordinary tokens, others for another `variant`, neighbours in the list differing.
    fn tokens(&self, variant: usize, len: usize) -> Vec<Token> {
        self.ordinary.some(variant, len)
    }

    /// A beam that holds `tokens`, made by one prefill, and its logits.
    fn prefilled(&mut self, tokens: &[Token]) -> Outcome<(BeamId, Vec<f32>)> {
        let (beam, latent) = self.model.prefill(tokens)?;
        Ok((beam, self.logits(&latent)?))
    }

    /// A beam that holds `tokens`: the first `prompt` of them prefilled, the others stepped.
    fn grown(&mut self, tokens: &[Token], prompt: usize) -> Outcome<(BeamId, Vec<f32>)> {
        let (beam, mut logits) = self.prefilled(&tokens[..prompt])?;
        for token in &tokens[prompt..] {
            logits = self.step(&[(beam, *token)])?.remove(0);
        }
        Ok((beam, logits))
    }

    /// One step; the logits of each row.
    fn step(&mut self, rows: &[(BeamId, Token)]) -> Outcome<Vec<Vec<f32>>> {
        let latents = self.model.step(rows)?;
        let found = latents.len();
        ensure(found == rows.len(), || format!("a step of {} rows gave {found} latents", rows.len()))?;
        let logits = self.logits(&latents)?;
        Ok(logits.chunks(self.model.info().vocab).map(<[f32]>::to_vec).collect())
    }

    fn logits(&mut self, latents: &Rows) -> Outcome<Vec<f32>> {
        let logits = self.model.project(latents)?;
        let (rows, vocab) = (latents.len(), self.model.info().vocab);
        let fits = logits.len() == rows && logits.width() == vocab;
        ensure(fits, || format!("the logits of {rows} latents should be {rows} x {vocab}, found {logits:?}"))?;
        Ok(logits.to_host()?.into_owned())
    }

    /// The logits after `tokens`, from a prefill of its own.
    fn reference(&mut self, tokens: &[Token]) -> Outcome<Vec<f32>> {
        let (beam, logits) = self.prefilled(tokens)?;
        self.model.release(&[beam]);
        Ok(logits)
    }

    /// The newest logits of a beam that should hold `tokens`.
    fn ensure_logits(&mut self, what: &str, tokens: &[Token], found: &[f32]) -> Outcome {
        let expected = self.reference(tokens)?;
        super::ensure_close(what, &expected, found, self.options.tolerance)
    }

    /// The beam continues exactly like a beam that holds `tokens`.
    fn ensure_holds(&mut self, what: &str, beam: BeamId, tokens: &[Token]) -> Outcome {
        let next = self.ordinary.0[1];
        let logits = self.step(&[(beam, next)])?.remove(0);
        let longer = [tokens, &[next]].concat();
        self.ensure_logits(what, &longer, &logits)
    }

    fn ensure_live(&self, what: &str, expected: usize) -> Outcome {
        let found = self.model.live_beams();
        ensure(found == expected, || format!("{what}: expected {expected} live beams, found {found}"))
    }

    fn fork(&mut self, parents: &[BeamId]) -> Outcome<Vec<BeamId>> {
        let children = self.model.fork(parents)?;
        let (expected, found) = (parents.len(), children.len());
        ensure(found == expected, || format!("a fork of {expected} parents gave {found} beams"))?;
        let is_new = children.iter().enumerate().all(|(i, c)| !parents.contains(c) && !children[..i].contains(c));
        ensure(is_new, || format!("a fork gave beams that are not new: {parents:?} gave {children:?}"))?;
        Ok(children)
    }
}
