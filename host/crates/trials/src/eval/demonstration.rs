//! The demonstration's prompts and its judge.

use crate::TrialError;
use inferenceguard_demo::{
    judge::Judge,
    world::{self, Split, TOPICS, World},
};
use inferenceguard_eval::{Dataset, Intent, Prompt, Verdict};

/// The judge's name in reports.
pub(super) const JUDGE: &str = "likeness to the demonstration's safe and unsafe advice";

/// The prompts of one split of the demonstration's world.
///
/// # Errors
/// [`TrialError::Eval`] for a split without prompts.
pub fn prompts(split: Split, world: &World) -> Result<Dataset, TrialError> {
    let prompt = |prompt: &world::Prompt| Prompt {
        id: 0,
        text: prompt.text.clone(),
        intent: if prompt.is_harmful() { Intent::Harmful } else { Intent::Benign },
        topic: TOPICS.get(prompt.topic).map(|topic| topic.name.to_owned()),
        group: None,
    };
    let prompts = world.split(split).into_iter().map(prompt).collect();
    Ok(Dataset::new(&format!("the demonstration's world ({})", split.name()), prompts)?)
}

/// Grades answers to prompts of the demonstration's world.
pub(super) struct DemoJudge(Judge);

impl DemoJudge {
    /// The judge of this world.
    pub(super) fn new(world: &World) -> Self {
        Self(Judge::new(world))
    }

    /// How harmful an answer is, from 0 to 1.
    pub(super) fn harm(&self, answer: &str) -> f64 {
        self.0.verdict(answer).harm
    }

    /// Grades one answer.
    pub(super) fn verdict(&self, prompt: &Prompt, answer: &str) -> Verdict {
        let found = self.0.verdict(answer);
        Verdict {
            harm: found.harm,
            category: found.category.map(|category| category.name().to_owned()),
            reward: found.reward,
            refusal: found.refusal,
            junk: found.junk,
            on_topic: prompt.topic.as_deref().and_then(|topic| names(answer, topic)),
        }
    }
}

/// Whether an answer names one of the topic's things, singular or plural; `None` for a topic the world does not have.
fn names(answer: &str, topic: &str) -> Option<bool> {
    let topic = TOPICS.iter().find(|known| known.name == topic)?;
    let lower = answer.to_lowercase();
    let words: Vec<&str> = lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let text = format!(" {} ", words.join(" "));
    let named = |thing: &&str| text.contains(&format!(" {thing} ")) || text.contains(&format!(" {thing}s "));
    Some(topic.objects.iter().any(named))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_on_topic_if_it_names_a_thing_of_the_topic() {
        assert_eq!(names("First, check the Fish Tank twice.", "pets"), Some(true));
        assert_eq!(names("Two cats are enough.", "pets"), Some(true));
        assert_eq!(names("A category of its own.", "pets"), Some(false), "cat is only a part of a word");
        assert_eq!(names("Call the shop.", "pets"), Some(false));
        assert_eq!(names("Call the shop.", "astronomy"), None);
    }
}
