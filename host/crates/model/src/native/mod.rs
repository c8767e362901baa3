//! A [`Model`] as a [`Generator`]: its beams with their latents and logits, and growing row by row.
//!
//! [`Native::advance`] gives one token to each row of many calls, so that a scheduler can run the calls of many requests in
//! common. Alone, [`Native`] is a [`Generator`] of one caller.
//!
//! ```text
//! begin -> advance, advance, ... until Growing::live is 0 -> finish
//!
//! one turn:  step of all rows with an unread token, and of appends
//!            projection of their latents, and of those of parents without logits
//!            sampling of one token per row
//!            fork of parents for rows that got their first token
//! ```
//!
//! **Invariant**: a row's tokens follow from the model, its parent and its own request; other rows, other calls and the
//! number of rows per turn have no part in them.

mod advance;
mod beams;
mod growing;
mod kept;
mod table_rows;

use crate::{
    Abilities, BeamId, Effort, Generator, GrowRow, GrownRow, Growth, KeptTokens, LatentSelector, Likely, Message,
    Model, ModelError, ModelInfo, Reading, Rows, SampleRequest, Sampled, TemplateNames, Token, Tokenizer, log_softmax,
    top_k,
};
pub use advance::{Appending, Phase, Turn};
use beams::Beam;
pub use growing::Growing;
use std::{collections::HashMap, sync::Arc};
use table_rows::{TableRow, check_rows};

/// A model whose beams grow by chunks.
pub struct Native {
    model: Box<dyn Model>,
    info: ModelInfo,
    abilities: Abilities,
    beams: HashMap<BeamId, Beam>,
    effort: Effort,
}

impl std::fmt::Debug for Native {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Native")
            .field("name", &self.info.name)
            .field("beams", &self.beams.len())
            .finish_non_exhaustive()
    }
}

impl Native {
    /// Takes over a model.
    #[must_use]
    pub fn new(model: Box<dyn Model>) -> Self {
        let (info, abilities) = (model.info().clone(), Self::abilities_of(model.as_ref()));
        Self { model, info, abilities, beams: HashMap::new(), effort: Effort::default() }
    }

    /// What a model can do.
    #[must_use]
    pub fn abilities_of(model: &dyn Model) -> Abilities {
        Abilities {
            engine: model.engine(),
            penalties: true,
            logits: true,
            likeliest: u32::try_from(model.info().vocab).unwrap_or(u32::MAX),
            latents: true,
            layers: model.layers() > 0,
            token_latents: true,
            steering: true,
            forced: true,
            repeats: true,
        }
    }

    /// How many beams it holds.
    #[must_use]
    pub fn live_beams(&self) -> usize {
        self.model.live_beams()
    }

    /// Begins to read a prompt.
    ///
    /// # Errors
    /// [`ModelError::EmptyPrompt`], [`ModelError::ContextExceeded`], [`ModelError::UnknownToken`].
    pub fn begin_prompt(&self, prompt: &[Token]) -> Result<Reading, ModelError> {
        if prompt.is_empty() {
            return Err(ModelError::EmptyPrompt);
        }
        self.check_length(prompt.len())?;
        prompt.iter().try_for_each(|token| self.check_token(*token))?;
        Ok(Reading { prompt: prompt.to_vec(), ..Reading::default() })
    }

    /// As [`Generator::open`], for a tenant.
    ///
    /// # Errors
    /// As there.
    pub fn open_for(&mut self, tenant: Option<&str>, prompt: &[Token]) -> Result<BeamId, ModelError> {
        let mut reading = Reading { tenant: tenant.map(str::to_owned), ..self.begin_prompt(prompt)? };
        loop {
            if let Some(beam) = self.read_prompt(&mut reading, usize::MAX)? {
                return Ok(beam);
            }
        }
    }

    /// Reads about `most` tokens more of a prompt; the beam, once all are read.
    ///
    /// # Errors
    /// A failure of the model.
    pub fn read_prompt(&mut self, reading: &mut Reading, most: usize) -> Result<Option<BeamId>, ModelError> {
        let Some((beam, latents)) = self.model.prefill_part(reading, most)? else { return Ok(None) };
        if let Err(error) = check_rows("latents", &latents, 1, self.info.hidden) {
            self.model.release(&[beam]);
            return Err(error);
        }
        let latent = TableRow { table: Arc::new(latents), row: 0 };
        self.beams
            .insert(beam, Beam { tokens: reading.prompt.len(), latent, steered: None, logits: None, kept: Vec::new() });
        Ok(Some(beam))
    }

    /// Computes what [`Generator::sample`] draws from, as far as it is not there yet: callers that measure time call it before.
    ///
    /// # Errors
    /// [`ModelError::UnknownBeam`] or a failure below.
    pub fn project(&mut self, beams: &[BeamId]) -> Result<(), ModelError> {
        self.drawn_logits(beams).map(|_| ())
    }

    /// Begins a call that grows rows.
    ///
    /// # Errors
    /// [`ModelError::Unsupported`] or [`ModelError::Shape`] for a call that no back end could answer.
    pub fn begin(&self, growth: Growth, rows: Vec<GrowRow>) -> Result<Growing, ModelError> {
        Growing::new(growth, rows)
    }

    /// What became of the rows of a call. Beams of rows that failed or that still grow are freed.
    ///
    /// # Errors
    /// That of a step or projection of its rows, which fails the whole call; that of the first row, when no row could be grown.
    pub fn finish(&mut self, mut growing: Growing) -> Result<Vec<GrownRow>, ModelError> {
        let all_grown = growing.live() == 0 && growing.lost.is_none();
        let lost = growing.beams(all_grown);
        self.forget(&lost);
        growing.answer()
    }

    /// Begins a call that appends given tokens.
    ///
    /// # Errors
    /// As [`Generator::append`], before anything changes.
    pub fn begin_append(&self, rows: Vec<(BeamId, Token)>) -> Result<Appending, ModelError> {
        self.check_append(&rows)?;
        Ok(Appending { rows, outcome: None })
    }
}

impl Generator for Native {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn abilities(&self) -> &Abilities {
        &self.abilities
    }

    fn tokenizer(&self) -> Arc<dyn Tokenizer> {
        self.model.tokenizer()
    }

    fn encode_chat(&self, messages: &[Message]) -> Result<Vec<Token>, ModelError> {
        self.model.encode_chat(messages)
    }

    fn templates(&self) -> TemplateNames {
        self.model.templates()
    }

    fn open(&mut self, prompt: &[Token]) -> Result<BeamId, ModelError> {
        self.open_for(None, prompt)
    }

    fn fork(&mut self, parents: &[BeamId]) -> Result<Vec<BeamId>, ModelError> {
        self.fork_beams(parents)
    }

    fn append(&mut self, rows: &[(BeamId, Token)]) -> Result<(), ModelError> {
        self.check_append(rows)?;
        if rows.is_empty() {
            return Ok(());
        }
        self.effort.steps += 1;
        self.effort.positions += rows.len() as u64;
        self.step_beams(rows)
    }

    fn grow(&mut self, growth: &Growth, rows: Vec<GrowRow>) -> Result<Vec<GrownRow>, ModelError> {
        let mut growing = self.begin(growth.clone(), rows)?;
        while growing.live() > 0 {
            let turn = Turn { growing: &mut growing, most: usize::MAX };
            self.advance(&mut [turn], &mut [], &mut |_| {});
        }
        self.effort += growing.take_effort();
        self.finish(growing)
    }

    fn sample(&mut self, requests: &[(BeamId, SampleRequest)]) -> Result<Vec<Sampled>, ModelError> {
        let (beams, requests): (Vec<BeamId>, Vec<SampleRequest>) = requests.iter().cloned().unzip();
        let places = self.drawn_logits(&beams)?;
        self.draw_samples(&places, requests)
    }

    fn steer(&mut self, beams: &[BeamId], latents: Rows) -> Result<(), ModelError> {
        self.steer_beams(beams, latents)
    }

    fn latents(&mut self, beams: &[BeamId], selector: LatentSelector) -> Result<Vec<Arc<[f32]>>, ModelError> {
        self.host_latents(beams, selector)
    }

    fn keep_latents(&mut self, beams: &[BeamId], places: &[LatentSelector]) -> Result<(), ModelError> {
        self.keep(beams, places)
    }

    fn kept_latents(&mut self, rows: &[KeptTokens], places: &[LatentSelector]) -> Result<Vec<Arc<[f32]>>, ModelError> {
        self.kept(rows, places)
    }

    fn logits(&mut self, beams: &[BeamId]) -> Result<Vec<Arc<[f32]>>, ModelError> {
        self.host_logits(beams)
    }

    fn likeliest(&mut self, beams: &[BeamId], k: u32) -> Result<Vec<Vec<Likely>>, ModelError> {
        let most = self.abilities.likeliest;
        if k > most {
            return Err(ModelError::Unsupported(format!("give the {k} most likely tokens; {most} are the most")));
        }
        let best = |logits: &[f32]| {
            let logprobs = log_softmax(logits);
            let likely = |(token, logit)| Likely { token, logit, logprob: logprobs[token as usize] };
            top_k(logits, k as usize).into_iter().map(likely).collect()
        };
        Ok(self.host_logits(beams)?.iter().map(|row| best(row)).collect())
    }

    fn logprobs(&mut self, rows: &[(BeamId, Token)]) -> Result<Vec<f32>, ModelError> {
        rows.iter().try_for_each(|(_, token)| self.check_token(*token))?;
        let beams: Vec<BeamId> = rows.iter().map(|(beam, _)| *beam).collect();
        let logits = self.host_logits(&beams)?;
        Ok(logits.iter().zip(rows).map(|(row, (_, token))| log_softmax(row)[*token as usize]).collect())
    }

    fn release(&mut self, beams: &[BeamId]) {
        self.forget(beams);
    }

    fn take_effort(&mut self) -> Effort {
        std::mem::take(&mut self.effort)
    }
}
