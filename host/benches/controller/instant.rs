//! Models that take no time: tokens and scores are numbers made of seeds. What is left of a request is the controller.

use inferenceguard_host::model::{
    Abilities, BackEnd, BeamId, Caller, Effort, Generator, GrowRow, Grown, GrownRow, Growth, LatentSelector, Likely,
    Message, ModelError, ModelInfo, Rows, SampleRequest, Sampled, ScoreBackEnd, ScoreId, ScoreInfo, ScoreModel,
    ScoreRow, Scored, Token, Tokenizer,
    toy::{ToyScript, ToyTokenizer},
};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// Words of the vocabulary.
const WORDS: usize = 64;

/// A vocabulary of words, and two score models of it.
pub(crate) fn script() -> ToyScript {
    let words: Vec<String> = (0..WORDS).map(|word| format!("w{word}")).collect();
    let text =
        format!("vocab: <eos>* {}\ncontext: 4096\nafter : w0 1\nscore cost: w0 1\nscore reward: w0 1", words.join(" "));
    ToyScript::parse(&text).expect("a script")
}

/// The language model.
pub(crate) struct InstantModel {
    info: ModelInfo,
    abilities: Abilities,
    tokenizer: Arc<ToyTokenizer>,
    /// Calls of `grow`: each brings one decision.
    chunks: Arc<AtomicU64>,
}

impl InstantModel {
    pub(crate) fn new(script: &ToyScript, chunks: Arc<AtomicU64>) -> Self {
        use inferenceguard_host::model::Model as _;
        let abilities = Abilities {
            engine: "instant".into(),
            penalties: true,
            logits: false,
            likeliest: 0,
            latents: false,
            layers: false,
            token_latents: false,
            steering: false,
            forced: false,
            repeats: true,
        };
        Self { info: script.model().info().clone(), abilities, tokenizer: script.tokenizer(), chunks }
    }
}

impl BackEnd for InstantModel {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn abilities(&self) -> &Abilities {
        &self.abilities
    }

    fn handle(&self, _caller: &Caller) -> Box<dyn Generator> {
        let (info, abilities) = (self.info.clone(), self.abilities.clone());
        Box::new(Handle {
            info,
            abilities,
            tokenizer: Arc::clone(&self.tokenizer),
            chunks: Arc::clone(&self.chunks),
            next: 0,
        })
    }

    fn live_beams(&self) -> usize {
        0
    }

    fn broken(&self) -> Option<String> {
        None
    }

    fn rounding(&self) -> f64 {
        0.0
    }
}

struct Handle {
    info: ModelInfo,
    abilities: Abilities,
    tokenizer: Arc<ToyTokenizer>,
    chunks: Arc<AtomicU64>,
    next: u64,
}

impl Handle {
    fn beam(&mut self) -> BeamId {
        self.next += 1;
        BeamId(self.next)
    }

    /// Words by the row's seed; never the end.
    fn grown(&mut self, seed: u64, length: u32) -> (BeamId, Grown) {
        let word = |offset: u32| 1 + (spread(seed ^ u64::from(offset) << 48) % WORDS as u64) as Token;
        let tokens = (0..length).map(word).collect();
        (self.beam(), Grown { tokens, logprobs: vec![-4.0; length as usize] })
    }
}

/// Mixes the bits of a number.
fn spread(number: u64) -> u64 {
    let mixed = (number ^ number >> 31).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ mixed >> 29
}

fn unsupported<T>() -> Result<T, ModelError> {
    Err(ModelError::Unsupported("do more than grow".into()))
}

impl Generator for Handle {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn abilities(&self) -> &Abilities {
        &self.abilities
    }

    fn tokenizer(&self) -> Arc<dyn Tokenizer> {
        Arc::clone(&self.tokenizer) as Arc<dyn Tokenizer>
    }

    fn encode_chat(&self, messages: &[Message]) -> Result<Vec<Token>, ModelError> {
        let text: Vec<&str> = messages.iter().map(|message| message.content.as_str()).collect();
        Ok(self.tokenizer.encode(&text.join(" "))?)
    }

    fn open(&mut self, _prompt: &[Token]) -> Result<BeamId, ModelError> {
        Ok(self.beam())
    }

    fn fork(&mut self, parents: &[BeamId]) -> Result<Vec<BeamId>, ModelError> {
        Ok(parents.iter().map(|_| self.beam()).collect())
    }

    fn append(&mut self, _rows: &[(BeamId, Token)]) -> Result<(), ModelError> {
        Ok(())
    }

    fn grow(&mut self, growth: &Growth, rows: Vec<GrowRow>) -> Result<Vec<GrownRow>, ModelError> {
        self.chunks.fetch_add(1, Ordering::Relaxed);
        Ok(rows.into_iter().map(|row| Ok(self.grown(row.seed, growth.max_tokens))).collect())
    }

    fn sample(&mut self, _requests: &[(BeamId, SampleRequest)]) -> Result<Vec<Sampled>, ModelError> {
        unsupported()
    }

    fn steer(&mut self, _beams: &[BeamId], _latents: Rows) -> Result<(), ModelError> {
        unsupported()
    }

    fn latents(&mut self, _beams: &[BeamId], _selector: LatentSelector) -> Result<Vec<Arc<[f32]>>, ModelError> {
        unsupported()
    }

    fn logits(&mut self, _beams: &[BeamId]) -> Result<Vec<Arc<[f32]>>, ModelError> {
        unsupported()
    }

    fn likeliest(&mut self, _beams: &[BeamId], _k: u32) -> Result<Vec<Vec<Likely>>, ModelError> {
        unsupported()
    }

    fn logprobs(&mut self, _rows: &[(BeamId, Token)]) -> Result<Vec<f32>, ModelError> {
        unsupported()
    }

    fn release(&mut self, _beams: &[BeamId]) {}

    fn take_effort(&mut self) -> Effort {
        Effort::default()
    }
}

/// A score model: each token has a small score of its own.
pub(crate) struct InstantScores(ScoreInfo);

impl InstantScores {
    pub(crate) fn new(script: &ToyScript, name: &str) -> Self {
        Self(script.score(name).expect("in the script").info().clone())
    }
}

impl ScoreBackEnd for InstantScores {
    fn info(&self) -> &ScoreInfo {
        &self.0
    }

    fn handle(&self, _caller: &Caller) -> Box<dyn ScoreModel> {
        Box::new(ScoreHandle { info: self.0.clone(), next: 0 })
    }

    fn live_rows(&self) -> usize {
        0
    }

    fn broken(&self) -> Option<String> {
        None
    }

    fn positions(&self) -> u64 {
        0
    }

    fn repeats(&self) -> bool {
        true
    }
}

struct ScoreHandle {
    info: ScoreInfo,
    next: u64,
}

impl ScoreHandle {
    fn row(&mut self) -> ScoreId {
        self.next += 1;
        ScoreId(self.next)
    }
}

fn score(token: Token) -> f32 {
    token as f32 / 4096.0
}

impl ScoreModel for ScoreHandle {
    fn info(&self) -> &ScoreInfo {
        &self.info
    }

    fn open(&mut self, _prompt: &str, _language: Arc<dyn Tokenizer>) -> Result<ScoreId, ModelError> {
        Ok(self.row())
    }

    fn fork(&mut self, parents: &[ScoreId]) -> Result<Vec<ScoreId>, ModelError> {
        Ok(parents.iter().map(|_| self.row()).collect())
    }

    fn extend(&mut self, rows: &[ScoreRow]) -> Result<Vec<Scored>, ModelError> {
        let scored = |row: &ScoreRow| {
            let tokens: Vec<f32> = row.tokens.iter().map(|token| score(*token)).collect();
            Scored { end: tokens.iter().sum(), tokens }
        };
        Ok(rows.iter().map(scored).collect())
    }

    fn release(&mut self, _rows: &[ScoreId]) {}

    fn live_rows(&self) -> usize {
        0
    }
}
