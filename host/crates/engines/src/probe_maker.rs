//! Makes probes: of a language model, of its latents, of a score model.

use crate::{Probe, Sequence, vllm::ScoreFormat};
use inferenceguard_model::{
    Generator, GrowRow, GrowingText, Growth, LatentSelector, Message, ModelError, ModelInfo, Pick, SampleRequest,
    ScoreInfo, ScoreModel, ScoreRow,
};
use std::sync::Arc;

/// The prompts whose continuations make a probe.
const PROMPTS: [&str; 6] = [
    "How do I clean a kitchen knife?",
    "Write three sentences about the sea in winter.",
    "What is the sum of 17 and 26? Explain each step.",
    "Name five animals that live in the desert, and what they eat.",
    "Translate into French: the train leaves at half past nine.",
    "Write a short function that reverses a list.",
];

/// The answer whose scores are compared.
const ANSWER: &str = "Wash it with warm water and soap, dry it at once, and put it away where no child can reach it.";

/// The tokens of each continuation.
const LENGTH: u32 = 32;

impl Probe {
    /// Makes a probe of a language model: what it writes itself at temperature 1, so that likely and less likely tokens are in it.
    ///
    /// # Errors
    /// A failure of the model.
    pub fn of(generator: &mut dyn Generator) -> Result<Self, ModelError> {
        let sequences =
            (0u64..).zip(PROMPTS).map(|(i, prompt)| sequence(generator, prompt, i)).collect::<Result<_, _>>()?;
        Ok(Self::about(generator.info(), sequences))
    }

    /// Makes a probe of latents after the final norm: those at the end of a few prompts.
    ///
    /// # Errors
    /// A failure of the model.
    pub fn of_latents(generator: &mut dyn Generator) -> Result<Self, ModelError> {
        let sequences = PROMPTS.iter().map(|prompt| latent(generator, prompt)).collect::<Result<_, _>>()?;
        Ok(Self::about(generator.info(), sequences))
    }

    /// Makes a probe of a score model that runs here: its scores of an answer to each of a few prompts.
    ///
    /// # Errors
    /// A failure of the model.
    pub fn of_scores(model: &mut dyn ScoreModel, texts: &dyn ScoreFormat) -> Result<Self, ModelError> {
        let sequences = PROMPTS.iter().map(|prompt| scored(model, texts, prompt)).collect::<Result<_, _>>()?;
        let ScoreInfo { name, parts, .. } = model.info();
        let (model, precision, base) = (name.clone(), parts.precision.clone(), parts.base.clone());
        Ok(Self { model, precision, base, tolerance: None, sequences })
    }

    fn about(info: &ModelInfo, sequences: Vec<Sequence>) -> Self {
        let (model, precision, base) = (info.name.clone(), info.parts.precision.clone(), info.parts.base.clone());
        Self { model, precision, base, tolerance: None, sequences }
    }
}

fn sequence(generator: &mut dyn Generator, prompt: &str, number: u64) -> Result<Sequence, ModelError> {
    let prompt = generator.encode_chat(&[Message::user(prompt)])?;
    let beam = generator.open(&prompt)?;
    let picks = (0..u64::from(LENGTH)).map(|i| Pick::Draw(spread(number * u64::from(LENGTH) + i))).collect();
    let sampling = SampleRequest::plain(Pick::Draw(0.0));
    let growth =
        Growth { max_tokens: LENGTH, sampling, penalties: vec![], end: generator.info().eos.clone(), stop: vec![] };
    let row = GrowRow { parent: beam, picks, seed: number + 1, repeated: vec![], text: GrowingText::default() };
    let grown = generator.grow(&growth, vec![row]);
    let result = grown.and_then(|mut rows| rows.pop().unwrap_or(Err(ModelError::UnknownBeam(beam))));
    generator.release(&[beam]);
    let (new, grown) = result?;
    generator.release(&[new]);
    Ok(Sequence { prompt, tokens: grown.tokens, values: grown.logprobs })
}

fn latent(generator: &mut dyn Generator, prompt: &str) -> Result<Sequence, ModelError> {
    let mut prompt = generator.encode_chat(&[Message::user(prompt)])?;
    let beam = generator.open(&prompt)?;
    let latents = generator.latents(&[beam], LatentSelector::FinalNorm);
    generator.release(&[beam]);
    let values = latents?.first().map(|latent| latent.to_vec()).unwrap_or_default();
    let last = prompt.pop().ok_or(ModelError::EmptyPrompt)?;
    Ok(Sequence { prompt, tokens: vec![last], values })
}

fn scored(model: &mut dyn ScoreModel, texts: &dyn ScoreFormat, prompt: &str) -> Result<Sequence, ModelError> {
    let (messages, own) = ([Message::user(prompt)], texts.tokenizer());
    let prompt = texts.open(&messages, Arc::clone(&own))?.extend(&[], false)?.tokens;
    let tokens = own.encode(ANSWER)?;
    let id = model.open_chat(&messages, own)?;
    let scored = model.extend(&[ScoreRow { id, tokens: tokens.clone(), ended: false }]);
    model.release(&[id]);
    let values = scored?.pop().map(|scored| scored.tokens).unwrap_or_default();
    Ok(Sequence { prompt, tokens, values })
}

/// Numbers of [0, 1) that are spread evenly.
fn spread(i: u64) -> f64 {
    (i as f64 * 0.618_033_988_749_895).fract()
}
