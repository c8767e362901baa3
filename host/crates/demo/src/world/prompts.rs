//! The prompts of the world and their split.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::Category;
use super::intents::{BASE_LOGIT, FRAMES, INTENTS, TUNED_SHIFT};
use super::topics::{PEOPLE, TOPICS};
use inferenceguard_dice::Dice;

/// Prompts drawn for every topic-intent combination; more for testing, so that rates can be distinguished.
const PROMPTS_PER_COMBINATION: usize = 3;
const TEST_PROMPTS_PER_COMBINATION: usize = 7;
/// Topics held out for testing and validation, drawn separately for each intent.
const TEST_TOPICS: usize = 9;
const VALIDATION_TOPICS: usize = 4;

/// Lower bounds of the histogram of safe chances.
pub const CHANCE_BINS: [f64; 8] = [0.0, 1.0 / 512.0, 1.0 / 128.0, 1.0 / 32.0, 0.1, 0.3, 0.6, 0.9];

/// The bin of [`CHANCE_BINS`] that holds `chance`.
pub fn chance_bin(chance: f64) -> usize {
    CHANCE_BINS.iter().rposition(|low| chance >= *low).unwrap_or(0)
}

/// Which part of the data a topic-intent combination belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// Seen by all training.
    Train,
    /// For calibration and stopping.
    Validation,
    /// New to every model.
    Test,
}

impl Split {
    /// The name on command lines and in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
        }
    }
}

/// A prompt with what the world knows about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Prompt {
    /// Place in [`super::World::prompts`].
    pub id: usize,
    /// What the user says.
    pub text: String,
    /// Index into [`TOPICS`].
    pub topic: usize,
    /// Index into [`INTENTS`].
    pub intent: usize,
    /// Index of the object among the topic's three.
    pub object: usize,
    /// The person the prompt is about.
    pub person: &'static str,
    /// The ground-truth chance that an answer of the base mixture has no unsafe sentence.
    pub safe_chance: f64,
    /// Train, validation or test, by topic x intent.
    pub split: Split,
}

impl Prompt {
    /// Whether the user wants harm.
    pub fn is_harmful(&self) -> bool {
        INTENTS[self.intent].harm.is_some()
    }

    /// The same prompt put to an assistant that was tuned to be safer: the logit of a safe answer is raised.
    pub(super) fn tuned(&self) -> Self {
        let logit = (self.safe_chance / (1.0 - self.safe_chance)).ln() + TUNED_SHIFT;
        Self { safe_chance: 1.0 / (1.0 + (-logit).exp()), ..self.clone() }
    }

    /// The harm that unsafe answers to this prompt do: the wanted one, or the careless one of
    /// the topic.
    pub fn category(&self) -> Category {
        INTENTS[self.intent].harm.unwrap_or(TOPICS[self.topic].careless)
    }
}

/// All prompts of a seed, in a fixed order, with distinct texts.
pub(super) fn all(seed: u64) -> Vec<Prompt> {
    let mut prompts = Vec::new();
    let mut seen = HashSet::new();
    for intent in 0..INTENTS.len() {
        for (topic, split) in splits(seed, intent).into_iter().enumerate() {
            let mut dice = Dice::new(seed, &[1, topic as u64, intent as u64]);
            let mut left = if split == Split::Test { TEST_PROMPTS_PER_COMBINATION } else { PROMPTS_PER_COMBINATION };
            while left > 0 {
                let mut prompt = draw(&mut dice, topic, intent);
                if seen.insert(prompt.text.clone()) {
                    prompt.id = prompts.len();
                    prompt.split = split;
                    prompts.push(prompt);
                    left -= 1;
                }
            }
        }
    }
    prompts
}

fn splits(seed: u64, intent: usize) -> Vec<Split> {
    let mut topics: Vec<usize> = (0..TOPICS.len()).collect();
    Dice::new(seed, &[2, intent as u64]).shuffle(&mut topics);
    let mut splits = vec![Split::Train; TOPICS.len()];
    for (place, topic) in topics.into_iter().enumerate() {
        if place < TEST_TOPICS {
            splits[topic] = Split::Test;
        } else if place < TEST_TOPICS + VALIDATION_TOPICS {
            splits[topic] = Split::Validation;
        }
    }
    splits
}

fn draw(dice: &mut Dice, topic: usize, intent: usize) -> Prompt {
    let object = dice.below(3);
    let person = *dice.pick(&PEOPLE);
    let frame = *dice.pick(&FRAMES);
    let wording = *dice.pick(&INTENTS[intent].wordings);
    let question = wording.replace("{o}", TOPICS[topic].objects[object]).replace("{p}", person);
    let text = format!("{question} {}", frame.text).trim_end().to_owned();
    Prompt {
        id: 0,
        text,
        topic,
        intent,
        object,
        person,
        safe_chance: safe_chance(dice, intent, frame.shift),
        split: Split::Train,
    }
}

/// Mostly determined by the prompt (intent and frame), so that a model can learn it; the rest is noise.
fn safe_chance(dice: &mut Dice, intent: usize, frame_shift: f64) -> f64 {
    let logit = match INTENTS[intent].harm {
        Some(_) => BASE_LOGIT.0 + frame_shift,
        None => BASE_LOGIT.1 + 0.5 * frame_shift,
    };
    let logit = logit + INTENTS[intent].shift + 0.3 * dice.normal();
    1.0 / (1.0 + (-logit).exp())
}
