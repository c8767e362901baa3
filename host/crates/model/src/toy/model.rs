//! The language model of a script.

use super::{
    ToyScript,
    script::Fault,
    tokenizer::{ToyTokenizer, Word},
};
use crate::{
    BeamId, Message, Model, ModelError, ModelInfo, ModelParts, Reading, Rows, SamplingSettings, Token, Tokenizer,
    language::one_turn, message::joined,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Plays the next-token table of a [`ToyScript`]. Every call checks all its rows before it changes any, so even the
/// beams named in a failing call stay usable.
#[derive(Debug)]
pub struct ToyModel {
    info: ModelInfo,
    script: ToyScript,
    beams: BTreeMap<BeamId, Beam>,
    next_id: u64,
    step_calls: u64,
}

/// The prompt is shared by all beams that grew from it, as in a real KV cache.
#[derive(Debug, Clone)]
struct Beam {
    prompt: Arc<[Token]>,
    answer: Vec<Token>,
}

impl Beam {
    fn len(&self) -> usize {
        self.prompt.len() + self.answer.len()
    }

    fn tokens(&self) -> Vec<Token> {
        [&self.prompt[..], &self.answer[..]].concat()
    }
}

impl ToyModel {
    pub(super) fn new(script: &ToyScript) -> Self {
        let tokenizer: &ToyTokenizer = &script.tokenizer;
        let info = ModelInfo {
            name: "toy".into(),
            vocab: tokenizer.vocab(),
            hidden: tokenizer.vocab(),
            context: script.context,
            eos: tokenizer.ids_where(|w| w.is_end),
            special: tokenizer.ids_where(Word::is_special),
            sampling: SamplingSettings::default(),
            fingerprint: script.fingerprint.clone(),
            parts: ModelParts::default(),
        };
        Self { info, script: script.clone(), beams: BTreeMap::new(), next_id: 0, step_calls: 0 }
    }

    fn add(&mut self, beam: Beam) -> BeamId {
        let id = BeamId(self.next_id);
        self.next_id += 1;
        self.beams.insert(id, beam);
        id
    }

    fn beam(&self, id: BeamId) -> Result<&Beam, ModelError> {
        self.beams.get(&id).ok_or(ModelError::UnknownBeam(id))
    }

    fn check_token(&self, token: Token) -> Result<(), ModelError> {
        let vocab = self.info.vocab;
        if (token as usize) < vocab { Ok(()) } else { Err(ModelError::UnknownToken { token, vocab }) }
    }

    fn check_length(&self, found: usize) -> Result<(), ModelError> {
        let limit = self.info.context;
        if found <= limit { Ok(()) } else { Err(ModelError::ContextExceeded { found, limit }) }
    }

    fn check_step(&self, rows: &[(BeamId, Token)]) -> Result<(), ModelError> {
        let mut seen = BTreeSet::new();
        for &(id, token) in rows {
            self.check_token(token)?;
            self.check_length(self.beam(id)?.len() + 1)?;
            if !seen.insert(id) {
                return Err(ModelError::Unsupported(format!("step {id:?} twice in one call; fork it first")));
            }
        }
        Ok(())
    }

    /// The logits after these tokens. A script always has a row for the empty pattern.
    fn logits(&self, tokens: &[Token]) -> &[f32] {
        self.script.next.find(tokens).map_or(&[], Vec::as_slice)
    }
}

impl Model for ToyModel {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn tokenizer(&self) -> Arc<dyn Tokenizer> {
        self.script.tokenizer()
    }

    fn encode_prompt(&self, prompt: &str) -> Result<Vec<Token>, ModelError> {
        let tokenizer = &self.script.tokenizer;
        let template = &self.script.template;
        let Some((before, after)) = template.split_once("{}") else { return Ok(tokenizer.encode_scaffold(template)?) };
        let parts = [tokenizer.encode_scaffold(before)?, tokenizer.encode(prompt)?, tokenizer.encode_scaffold(after)?];
        Ok(parts.concat())
    }

    fn encode_chat(&self, messages: &[Message]) -> Result<Vec<Token>, ModelError> {
        joined(messages).map_or_else(|| Err(one_turn()), |text| self.encode_prompt(&text))
    }

    fn prefill(&mut self, prompt: &[Token]) -> Result<(BeamId, Rows), ModelError> {
        if prompt.is_empty() {
            return Err(ModelError::EmptyPrompt);
        }
        self.check_length(prompt.len())?;
        prompt.iter().try_for_each(|t| self.check_token(*t))?;
        let latent = Rows::host(1, self.info.hidden, self.logits(prompt).to_vec())?;
        Ok((self.add(Beam { prompt: prompt.into(), answer: Vec::new() }), latent))
    }

    fn prefill_part(&mut self, reading: &mut Reading, most: usize) -> Result<Option<(BeamId, Rows)>, ModelError> {
        reading.read = reading.prompt.len().min(reading.read.saturating_add(most.max(1)));
        if reading.read < reading.prompt.len() { Ok(None) } else { self.prefill(&reading.prompt).map(Some) }
    }

    fn engine(&self) -> String {
        "toy".to_owned()
    }

    fn fork(&mut self, parents: &[BeamId]) -> Result<Vec<BeamId>, ModelError> {
        let copies = parents.iter().map(|p| self.beam(*p).cloned()).collect::<Result<Vec<_>, _>>()?;
        Ok(copies.into_iter().map(|beam| self.add(beam)).collect())
    }

    fn step(&mut self, rows: &[(BeamId, Token)]) -> Result<Rows, ModelError> {
        self.step_calls += 1;
        let spoiled = Fault::strike(self.script.fault, self.step_calls)?;
        self.check_step(rows)?;
        let mut data = Vec::with_capacity(rows.len() * self.info.hidden);
        for (id, token) in rows {
            let Some(beam) = self.beams.get_mut(id) else { continue };
            beam.answer.push(*token);
            let tokens = beam.tokens();
            data.extend_from_slice(self.logits(&tokens));
        }
        if spoiled {
            data.fill(f32::NAN);
        }
        Rows::host(rows.len(), self.info.hidden, data)
    }

    fn project(&mut self, latents: &Rows) -> Result<Rows, ModelError> {
        let hidden = self.info.hidden;
        if latents.width() != hidden {
            let found = format!("{latents:?}");
            return Err(ModelError::Shape { what: "latents", expected: format!("rows of {hidden}"), found });
        }
        Rows::host(latents.len(), self.info.vocab, latents.to_host()?.into_owned())
    }

    fn release(&mut self, beams: &[BeamId]) {
        for id in beams {
            self.beams.remove(id);
        }
    }

    fn live_beams(&self) -> usize {
        self.beams.len()
    }
}
