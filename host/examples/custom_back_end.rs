//! A back end of one's own: a model that knows which word follows which, learnt from one sentence.
//!
//! It shows all that a back end must do: keep beams that fork, append a token and give a latent, turn latents into
//! logits. The roles are plain Rust here; a bundle would go in with `EngineBuilder::bundle`.
#![expect(clippy::print_stdout, reason = "an example talks to its reader")]

use inferenceguard_host::{
    EngineBuilder, Request, Roles,
    model::{
        BeamId, Model, ModelError, ModelInfo, ModelParts, Rows, SamplingSettings, SpellState, Token, Tokenizer,
        TokenizerError,
    },
    search::{
        Advanced, Batch, BudgetState, Constraint, Decision, Needs, Plan, Policy, RoleFailure, SearchConfig, Tracked,
        Tracker,
    },
};
use std::{
    collections::{BTreeMap, HashMap},
    error::Error,
    sync::Arc,
};

const TEXT: &str = "the cat saw the dog and the dog saw the cat and the cat ran .";

/// Words by number; the last one ends an answer.
struct Words(Vec<String>);

impl Tokenizer for Words {
    fn encode(&self, text: &str) -> Result<Vec<Token>, TokenizerError> {
        let id = |word: &str| self.0.iter().position(|known| known == word);
        let token = |word| {
            id(word).map(|i| i as Token).ok_or_else(|| TokenizerError::Refused(format!("unknown word `{word}`")))
        };
        text.split_whitespace().map(token).collect()
    }

    fn spell(&self, state: &mut SpellState, token: Token, bytes: &mut Vec<u8>) -> Result<(), TokenizerError> {
        let word = self.0.get(token as usize).ok_or_else(|| TokenizerError::Refused(format!("token {token}")))?;
        // One space between words: the state says whether one came already.
        let space = if *state == SpellState::default() { "" } else { " " };
        *state = SpellState(1);
        bytes.extend([space, word].concat().into_bytes());
        Ok(())
    }

    fn fingerprint(&self) -> String {
        self.0.join(" ")
    }
}

/// The latent of a beam is its newest word, one number per word of the vocabulary.
struct Bigrams {
    info: ModelInfo,
    words: Arc<Words>,
    counts: Vec<Vec<f32>>,
    beams: HashMap<BeamId, usize>,
    made: u64,
}

impl Bigrams {
    fn learn(text: &str) -> Result<Self, Box<dyn Error>> {
        let mut words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        words.sort();
        words.dedup();
        let words = Arc::new(Words(words));
        let (tokens, vocab) = (words.encode(text)?, words.0.len());
        let mut counts = vec![vec![0.01; vocab]; vocab];
        tokens.windows(2).for_each(|pair| counts[pair[0] as usize][pair[1] as usize] += 1.0);
        let end = words.encode(".")?;
        // All that it depends on is its text, and it says no more of its parts.
        let (name, fingerprint, parts) = ("bigrams".to_owned(), text.to_owned(), ModelParts::default());
        let (eos, special, sampling) = (end.clone(), end, SamplingSettings::default());
        let info = ModelInfo { name, vocab, hidden: vocab, context: 256, eos, special, sampling, fingerprint, parts };
        Ok(Self { info, words, counts, beams: HashMap::new(), made: 0 })
    }

    fn add(&mut self, length: usize) -> BeamId {
        self.made += 1;
        self.beams.insert(BeamId(self.made), length);
        BeamId(self.made)
    }

    fn latents(&self, newest: &[Token]) -> Result<Rows, ModelError> {
        let vocab = self.info.vocab;
        let mut data = vec![0.0; newest.len() * vocab];
        for (row, token) in newest.iter().enumerate() {
            if *token as usize >= vocab {
                return Err(ModelError::UnknownToken { token: *token, vocab });
            }
            data[row * vocab + *token as usize] = 1.0;
        }
        Rows::host(newest.len(), vocab, data)
    }
}

impl Model for Bigrams {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn tokenizer(&self) -> Arc<dyn Tokenizer> {
        self.words.clone()
    }

    fn encode_prompt(&self, prompt: &str) -> Result<Vec<Token>, ModelError> {
        Ok(self.words.encode(prompt)?)
    }

    fn prefill(&mut self, prompt: &[Token]) -> Result<(BeamId, Rows), ModelError> {
        let newest = prompt.last().ok_or(ModelError::EmptyPrompt)?;
        let latent = self.latents(&[*newest])?;
        Ok((self.add(prompt.len()), latent))
    }

    fn fork(&mut self, parents: &[BeamId]) -> Result<Vec<BeamId>, ModelError> {
        let length = |id: &BeamId| self.beams.get(id).copied().ok_or(ModelError::UnknownBeam(*id));
        let lengths = parents.iter().map(length).collect::<Result<Vec<_>, _>>()?;
        Ok(lengths.into_iter().map(|length| self.add(length)).collect())
    }

    fn step(&mut self, rows: &[(BeamId, Token)]) -> Result<Rows, ModelError> {
        let limit = self.info.context;
        for (id, _) in rows {
            let length = self.beams.get_mut(id).ok_or(ModelError::UnknownBeam(*id))?;
            *length += 1;
            if *length > limit {
                return Err(ModelError::ContextExceeded { found: *length, limit });
            }
        }
        self.latents(&rows.iter().map(|(_, token)| *token).collect::<Vec<_>>())
    }

    fn project(&mut self, latents: &Rows) -> Result<Rows, ModelError> {
        let vocab = self.info.vocab;
        let mut logits = Vec::with_capacity(latents.len() * vocab);
        for latent in latents.to_host()?.chunks(vocab) {
            let weight = |next: usize| latent.iter().zip(&self.counts).map(|(x, counts)| x * counts[next]).sum::<f32>();
            logits.extend((0..vocab).map(|next| weight(next).ln()));
        }
        Rows::host(latents.len(), vocab, logits)
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

/// One sample to its end.
#[derive(Default)]
struct OneSample(Needs);

impl Policy for OneSample {
    fn needs(&self) -> &Needs {
        &self.0
    }

    fn plan(&mut self, rows: &Batch) -> Result<Plan, RoleFailure> {
        Ok(Plan::new(vec![1; rows.rows.len()], rows.moment.max_depth))
    }

    fn select(&mut self, _: &Batch) -> Result<Decision, RoleFailure> {
        Ok(Decision::Answer(0))
    }
}

/// Without constraints there is nothing to track.
struct NoTracker;

impl Tracker for NoTracker {
    fn start(&mut self, constraint: &Constraint) -> Result<BudgetState, RoleFailure> {
        Ok(BudgetState { z: constraint.budget, memory: Vec::new() })
    }

    fn advance(&mut self, _: &Constraint, rows: &[Tracked]) -> Result<Vec<Advanced>, RoleFailure> {
        let same = |row: &Tracked| Advanced {
            state: row.state.clone(),
            safe: true,
            trace: vec![row.state.z; row.costs.len()],
        };
        Ok(rows.iter().map(same).collect())
    }
}

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let roles = || Roles {
        policy: Box::new(OneSample::default()),
        tracker: Box::new(NoTracker),
        critic: None,
        steering: None,
        costs: BTreeMap::new(),
    };
    let model = Box::new(Bigrams::learn(TEXT)?);
    let config = SearchConfig { max_tokens: 24, ..SearchConfig::default() };
    let engine = EngineBuilder::new().model(model).config(config).roles("base", roles).build()?;
    for seed in 0..3 {
        let output = engine.generate(Request { seed: Some(seed), ..Request::new("the") })?;
        println!("{seed}: {} ({:?})", output.text, output.finish);
    }
    Ok(())
}
