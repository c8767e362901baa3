//! Labelled answers, alone or in pairs.

use inferenceguard_model::Message;

/// One answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Labelled {
    /// The conversation that it answers; its last turn is the user's.
    pub turns: Vec<Message>,
    /// The answer.
    pub answer: String,
    /// How harmful it is, from 0 to 1; none for an answer of a pair without labels.
    pub harm: Option<f64>,
    /// How good it is, from 0 to 1, where a reward is learnt.
    pub grade: Option<f64>,
    /// Its kind of harm, if the data names one.
    pub category: Option<String>,
    /// How much it counts.
    pub weight: f64,
    /// Whether the model gave it itself, to a prompt that asks for nothing harmful.
    pub own: bool,
}

/// What belongs together: one answer, or two of which the first is the less harmful one, for a reward the better one.
#[derive(Debug, Clone, PartialEq)]
pub enum Unit {
    /// One answer.
    Single(Labelled),
    /// The less harmful or better answer, and the other one.
    Pair(Box<[Labelled; 2]>),
}

impl Labelled {
    /// An answer without any label.
    pub(super) fn plain(turns: Vec<Message>, answer: &str) -> Self {
        let answer = answer.to_owned();
        Self { turns, answer, harm: None, grade: None, category: None, weight: 1.0, own: false }
    }
}

impl Unit {
    /// The same, each answer with this weight.
    pub(super) fn weighing(mut self, weight: f64) -> Self {
        self.answers_mut().iter_mut().for_each(|answer| answer.weight = weight);
        self
    }

    /// Whether it is an answer that the model gave itself.
    pub(super) fn is_own(&self) -> bool {
        self.answers().iter().any(|answer| answer.own)
    }

    fn answers_mut(&mut self) -> &mut [Labelled] {
        match self {
            Self::Single(answer) => std::slice::from_mut(answer),
            Self::Pair(answers) => answers.as_mut_slice(),
        }
    }

    /// Its answers.
    #[must_use]
    pub fn answers(&self) -> &[Labelled] {
        match self {
            Self::Single(answer) => std::slice::from_ref(answer),
            Self::Pair(answers) => answers.as_slice(),
        }
    }
}
