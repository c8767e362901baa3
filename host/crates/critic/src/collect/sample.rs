//! Samples answers from the frozen language model and reads its latents on the way. All answers to a batch of
//! prompts grow together, so that one pass computes many rows.

use super::options::CollectOptions;
use half::f16;
use inferenceguard_dice::Dice;
use inferenceguard_model::{BeamId, LatentSelector, Model, ModelError, Rows, SampleRequest, Token};
use std::{collections::BTreeSet, sync::Arc};

/// Beams, tables of logits, and the table of each beam.
type Planted = (Vec<Beam>, Vec<Rows>, Vec<usize>);

/// One sampled answer.
#[derive(Debug, Clone, Default)]
pub(super) struct Sampled {
    /// The prompt's place.
    pub(super) prompt: usize,
    /// End token included.
    pub(super) tokens: Vec<Token>,
    /// Answer tokens before each latent.
    pub(super) positions: Vec<usize>,
    /// Per selector, the latents of all positions, one after the other.
    pub(super) latents: Vec<Vec<f16>>,
}

/// Answers to a batch of prompts, in order, and the prompts that leave no room for one.
pub(super) fn sample(
    model: &mut dyn Model,
    prompts: &[(usize, &str)],
    options: &CollectOptions,
) -> Result<(Vec<Sampled>, Vec<usize>), ModelError> {
    let mut grower = Grower { model, options, held: Vec::new() };
    let (mut beams, tables, skipped) = grower.plant(prompts)?;
    if !beams.is_empty() {
        grower.grow(&mut beams, &tables)?;
    }
    Ok((beams.into_iter().map(|beam| beam.answer).collect(), skipped))
}

struct Beam {
    id: BeamId,
    /// The prompt's tokens in rising order, each once.
    prompt: Arc<[Token]>,
    dice: Dice,
    /// Its row in the newest latents.
    row: usize,
    answer: Sampled,
}

/// Frees its beams when it is dropped.
struct Grower<'m> {
    model: &'m mut dyn Model,
    options: &'m CollectOptions,
    held: Vec<BeamId>,
}

impl Drop for Grower<'_> {
    fn drop(&mut self) {
        self.model.release(&self.held);
    }
}

impl Grower<'_> {
    /// Runs the prompts: beams before their first token, the latents of each prompt's end, prompts without room.
    fn plant(&mut self, prompts: &[(usize, &str)]) -> Result<Planted, ModelError> {
        let (mut beams, mut tables, mut skipped) = (Vec::new(), Vec::new(), Vec::new());
        for &(prompt, text) in prompts {
            let tokens = self.model.encode_prompt(text)?;
            if tokens.len() + self.options.max_tokens > self.model.info().context {
                skipped.push(prompt);
                continue;
            }
            let (root, latent) = self.model.prefill(&tokens)?;
            self.held.push(root);
            let children = self.model.fork(&vec![root; self.options.answers])?;
            self.held.extend(&children);
            let tokens: Arc<[Token]> = tokens.into_iter().collect::<BTreeSet<Token>>().into_iter().collect();
            for (answer, id) in (0..).zip(children) {
                let dice = Dice::new(self.options.seed, &[60, prompt as u64, answer]);
                let latents = vec![Vec::new(); self.options.latents.len()];
                let answer = Sampled { prompt, latents, ..Sampled::default() };
                beams.push(Beam { id, prompt: Arc::clone(&tokens), dice, row: tables.len(), answer });
            }
            tables.push(latent);
        }
        Ok((beams, tables, skipped))
    }

    fn grow(&mut self, beams: &mut [Beam], tables: &[Rows]) -> Result<(), ModelError> {
        let picks: Vec<(usize, usize)> = (0..tables.len()).map(|table| (table, 0)).collect();
        let mut latents = self.model.gather(&tables.iter().collect::<Vec<_>>(), &picks)?;
        let mut live: Vec<usize> = (0..beams.len()).collect();
        self.keep(beams, &live, &latents)?;
        while !live.is_empty() {
            let stepped = self.step(beams, &live, &latents)?;
            live.iter().enumerate().for_each(|(row, at)| beams[*at].row = row);
            let due: Vec<usize> = live.iter().copied().filter(|at| self.is_due(&beams[*at])).collect();
            self.keep(beams, &due, &stepped)?;
            live.retain(|at| !self.has_ended(&beams[*at]));
            let picks: Vec<(usize, usize)> = live.iter().map(|at| (0, beams[*at].row)).collect();
            latents = if picks.len() == stepped.len() { stepped } else { self.model.gather(&[&stepped], &picks)? };
            live.iter().enumerate().for_each(|(row, at)| beams[*at].row = row);
        }
        Ok(())
    }

    /// One token more for each live beam, and their new latents.
    fn step(&mut self, beams: &mut [Beam], live: &[usize], latents: &Rows) -> Result<Rows, ModelError> {
        let logits = self.model.project(latents)?;
        let requests: Vec<_> = live.iter().map(|at| (beams[*at].row, self.request(&mut beams[*at]))).collect();
        let sampled = self.model.sample(&logits, &requests)?;
        let mut rows = Vec::with_capacity(live.len());
        for (at, sampled) in live.iter().zip(sampled) {
            beams[*at].answer.tokens.push(sampled.token);
            rows.push((beams[*at].id, sampled.token));
        }
        self.model.step(&rows)
    }

    fn request(&self, beam: &mut Beam) -> SampleRequest {
        let draw = beam.dice.unit();
        self.options.sampling.request(|| draw, 0, &beam.prompt, &beam.answer.tokens)
    }

    fn has_ended(&self, beam: &Beam) -> bool {
        let tokens = &beam.answer.tokens;
        tokens.len() >= self.options.max_tokens
            || tokens.last().is_some_and(|token| self.model.info().eos.contains(token))
    }

    fn is_due(&self, beam: &Beam) -> bool {
        beam.answer.tokens.len().is_multiple_of(self.options.spacing) || self.has_ended(beam)
    }

    /// Keeps the latents of these beams; `newest` holds their rows after the final norm.
    fn keep(&mut self, beams: &mut [Beam], due: &[usize], newest: &Rows) -> Result<(), ModelError> {
        if due.is_empty() {
            return Ok(());
        }
        for (at, selector) in self.options.latents.iter().enumerate() {
            let (width, data, rows): (usize, Vec<f32>, Vec<usize>) = match selector {
                LatentSelector::FinalNorm => {
                    let rows = due.iter().map(|at| beams[*at].row).collect();
                    (newest.width(), newest.to_host()?.into_owned(), rows)
                }
                LatentSelector::Layer(layer) => {
                    let ids: Vec<BeamId> = due.iter().map(|at| beams[*at].id).collect();
                    let latents = self.model.layer_latents(&ids, *layer)?;
                    (latents.width(), latents.to_host()?.into_owned(), (0..due.len()).collect())
                }
            };
            for (beam, row) in due.iter().zip(rows) {
                let latent = &data[row * width..(row + 1) * width];
                beams[*beam].answer.latents[at].extend(latent.iter().map(|value| f16::from_f32(*value)));
            }
        }
        for at in due {
            let position = beams[*at].answer.tokens.len();
            beams[*at].answer.positions.push(position);
        }
        Ok(())
    }
}
