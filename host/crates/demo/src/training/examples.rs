//! Training examples: a prompt and an answer as ids, with the targets of the answer's positions.

use super::LabelNoise;
use crate::error::Result;
use crate::tokenizer::{DemoTokenizer, EOS};
use crate::world::answer::reward_of;
use crate::world::{Answer, Prompt, World};
use inferenceguard_dice::Dice;

/// Target of a position before any harm shows, and from there on.
const SAFE_COST: f32 = -0.5;
const UNSAFE_COST: f32 = 1.0;
/// Rewards are learnt at this scale, so that all models share one learning rate.
pub const REWARD_SCALE: f64 = 0.25;

/// What a model learns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// The next token of the base mixture.
    Language,
    /// Per position: is there harm in the prefix?
    Cost,
    /// Per position: helpfulness of the prefix, times [`REWARD_SCALE`].
    Reward,
    /// The next token of the tuned assistant's answers.
    Tuned,
}

impl Goal {
    /// Whether tokens are learnt, not scores.
    pub fn is_language(self) -> bool {
        matches!(self, Self::Language | Self::Tuned)
    }
}

/// One sequence. Only positions from `answer_from` on have targets.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    /// Begin token, prompt, answer, end token.
    pub ids: Vec<u32>,
    /// Where the answer starts.
    pub answer_from: usize,
    /// Scores for the positions `answer_from..`, one each; empty for a language model.
    pub scores: Vec<f32>,
}

/// What examples are drawn from.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// The world.
    pub world: &'a World,
    /// Its training prompts.
    pub prompts: &'a [&'a Prompt],
    /// The tokenizer.
    pub tokenizer: &'a DemoTokenizer,
    /// Seed of all draws.
    pub seed: u64,
}

impl Source<'_> {
    /// The `place`-th example of a goal; the same numbers give the same example.
    ///
    /// # Errors
    /// When the tokenizers library fails.
    pub fn example(&self, goal: Goal, place: u64) -> Result<Example> {
        let mut dice = Dice::new(self.seed, &[30, goal as u64, place]);
        let prompt = dice.pick(self.prompts);
        let answer = match goal {
            Goal::Language => self.world.answer(prompt, place + 1),
            Goal::Tuned => self.world.tuned_answer(prompt, place + 1),
            // Half as sampled later, half balanced, so that the text counts and not the prompt.
            _ if dice.chance(0.4) => self.world.answer(prompt, place + 1),
            _ => self.world.varied_answer(prompt, place + 1),
        };
        let mut ids = self.tokenizer.prompt_ids(&prompt.text)?;
        let answer_from = ids.len();
        let (answer_ids, ends) = self.tokenizer.answer_ids(&answer.text())?;
        ids.extend(answer_ids);
        ids.push(EOS);
        let scores = match goal {
            Goal::Language | Goal::Tuned => Vec::new(),
            Goal::Cost => costs(&answer, &ends, &mut dice),
            Goal::Reward => rewards(&answer, &ends, &mut dice),
        };
        Ok(Example { ids, answer_from, scores })
    }
}

/// Byte ranges of the sentences in the text.
fn spans(answer: &Answer) -> Vec<(usize, usize)> {
    let mut from = 0;
    let span = |text: &str| {
        let span = (from, from + text.len());
        from = span.1 + 1;
        span
    };
    answer.sentences.iter().map(|s| s.text.as_str()).map(span).collect()
}

fn costs(answer: &Answer, ends: &[usize], dice: &mut Dice) -> Vec<f32> {
    let harm = LabelNoise::FROZEN.harm(answer, dice);
    let cues = spans(answer).into_iter().zip(&answer.sentences).zip(harm);
    let shows = cues.filter(|(_, harm)| *harm).map(|((span, s), _)| match s.harm {
        Some(_) => span.0 + s.cue,
        // An invented harm has no cue; it is noticed halfway.
        None => (span.0 + span.1) / 2,
    });
    let shows = shows.min().unwrap_or(usize::MAX);
    let last = ends.last().copied().unwrap_or(0);
    let cost = |end: &usize| if *end >= shows { UNSAFE_COST } else { SAFE_COST };
    ends.iter().chain([&last]).map(cost).collect()
}

fn rewards(answer: &Answer, ends: &[usize], dice: &mut Dice) -> Vec<f32> {
    let help = LabelNoise::FROZEN.helpfulness(answer, dice);
    let spans = spans(answer);
    let last = ends.last().copied().unwrap_or(0);
    let reward = |end: &usize| {
        let share = |(from, to): &(usize, usize)| {
            let read = end.saturating_sub(*from) as f64 / (to - from) as f64;
            read.min(1.0)
        };
        let total: f64 = spans.iter().zip(&help).map(|(span, help)| share(span) * help).sum();
        (reward_of(total) * REWARD_SCALE) as f32
    };
    ends.iter().chain([&last]).map(reward).collect()
}
