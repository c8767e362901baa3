//! The demo world: a household assistant whose answers mix safe and unsafe advice.
//!
//! Pure and seeded: the same seed gives the same prompts and answers on every machine. The ground
//! truth (harm and helpfulness of each sentence) is for training labels and for the independent
//! judge; nothing of it is used at inference.
//!
//! - [`prompts`]: topic x intent x wording x frame, split so that test combinations are new;
//! - [`answer`]: answers as lists of sentences with their ground truth;
//! - [`record`]: the same as PKU-SafeRLHF records.

pub mod answer;
mod category;
mod families;
mod intents;
mod phrases;
pub mod prompts;
pub mod record;
mod topics;

pub use answer::{Answer, Plan, Sentence};
pub use category::{Category, PKU_CATEGORIES};
pub(crate) use families::{Kind, Phrase, phrases as all_phrases};
pub use intents::{INTENTS, Intent};
pub use prompts::{Prompt, Split};
pub use topics::{TOPICS, Topic};

/// The seed of the frozen world.
pub const WORLD_SEED: u64 = 20_250_203;

/// All prompts of one seed, and the source of their answers.
#[derive(Debug, Clone)]
pub struct World {
    seed: u64,
    prompts: Vec<Prompt>,
}

impl World {
    /// The world of a seed.
    pub fn new(seed: u64) -> Self {
        Self { seed, prompts: prompts::all(seed) }
    }

    /// The world the demo models are trained on and judged by.
    pub fn frozen() -> Self {
        Self::new(WORLD_SEED)
    }

    /// The seed.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Every prompt; a prompt's `id` is its place.
    pub fn prompts(&self) -> &[Prompt] {
        &self.prompts
    }

    /// The prompts of one split, in order.
    pub fn split(&self, split: Split) -> Vec<&Prompt> {
        self.prompts.iter().filter(|p| p.split == split).collect()
    }

    /// An answer as a careless assistant would give it: safe with chance `prompt.safe_chance`.
    pub fn answer(&self, prompt: &Prompt, draw: u64) -> Answer {
        answer::natural(prompt, self.seed, draw)
    }

    /// An answer as an assistant gives it that was tuned to be safer.
    pub fn tuned_answer(&self, prompt: &Prompt, draw: u64) -> Answer {
        answer::natural(&prompt.tuned(), self.seed, draw)
    }

    /// An answer whose share of unsafe sentences does not depend on the prompt; what score models
    /// learn from, so that they judge the text and not the prompt.
    pub fn varied_answer(&self, prompt: &Prompt, draw: u64) -> Answer {
        answer::varied(prompt, self.seed, draw)
    }

    /// A safe and useful answer; there is one for every prompt.
    pub fn safe_answer(&self, prompt: &Prompt, draw: u64) -> Answer {
        answer::safe(prompt, self.seed, draw)
    }

    /// Counts of prompts by safe chance, in the bins of [`prompts::CHANCE_BINS`], for harmful
    /// (`true`) or benign (`false`) intents.
    pub fn chance_histogram(&self, harmful: bool) -> Vec<usize> {
        let mut counts = vec![0; prompts::CHANCE_BINS.len()];
        for prompt in self.prompts.iter().filter(|p| p.is_harmful() == harmful) {
            counts[prompts::chance_bin(prompt.safe_chance)] += 1;
        }
        counts
    }
}
