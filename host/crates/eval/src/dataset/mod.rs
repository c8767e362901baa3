//! Prompts: from files, from the demo world, and as attacks.

mod attacks;
mod read;

pub use attacks::{ATTACKS, Attack, PLAIN};

pub(crate) use read::text as read_text;

use crate::EvalError;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{collections::HashSet, path::Path};

/// What the user of a prompt wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Intent {
    /// A harmless answer.
    Benign,
    /// Harm.
    Harmful,
    /// Unknown. The label of a response does not describe the prompt.
    #[default]
    Unknown,
}

/// One prompt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prompt {
    /// Its place in the whole data set, before any limit: part of its seed.
    pub id: usize,
    /// What the user says.
    pub text: String,
    /// What the user wants.
    pub intent: Intent,
    /// Its topic, if the data set names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// The attack that it is wrapped in; each group is counted separately.
    #[serde(default, rename = "attack", skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
}

/// Prompts under a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dataset {
    /// For people: a file's name, or the demo world's split.
    pub name: String,
    /// The prompts, in order.
    pub prompts: Vec<Prompt>,
    /// Records that repeat an earlier prompt (PKU-SafeRLHF has several responses to one prompt).
    pub repeated: usize,
}

impl Dataset {
    /// A data set of these prompts. Their ids are assigned here.
    ///
    /// # Errors
    /// [`EvalError::NoPrompts`].
    pub fn new(name: &str, mut prompts: Vec<Prompt>) -> Result<Self, EvalError> {
        if prompts.is_empty() {
            return Err(EvalError::NoPrompts { name: name.to_owned() });
        }
        prompts.iter_mut().enumerate().for_each(|(id, prompt)| prompt.id = id);
        Ok(Self { name: name.to_owned(), prompts, repeated: 0 })
    }

    /// Reads a file, gzipped or not. `.jsonl` and `.json`: one object per line, either a PKU-SafeRLHF record (each prompt
    /// is taken once) or `text` (or `prompt`) with an optional `intent`, `topic` (or `category`) and `attack`: the name of the
    /// attack, under which such prompts are counted apart. Anything else: one prompt per line. Blank lines are skipped.
    ///
    /// # Errors
    /// [`EvalError::Read`], [`EvalError::Line`] with file and line, [`EvalError::NoPrompts`].
    pub fn read(path: &Path) -> Result<Self, EvalError> {
        read::dataset(path)
    }

    /// At most `limit` prompts, evenly spread, in order.
    ///
    /// # Errors
    /// [`EvalError::NoPrompts`] for a limit of 0.
    pub fn limited(mut self, limit: usize) -> Result<Self, EvalError> {
        let (total, limit) = (self.prompts.len(), limit.min(self.prompts.len()));
        if limit == 0 {
            return Err(EvalError::NoPrompts { name: format!("{}, limited to 0", self.name) });
        }
        let picked = |at: usize| at * limit / total != (at + 1) * limit / total;
        let mut at = 0..total;
        self.prompts.retain(|_| at.next().is_some_and(picked));
        Ok(self)
    }

    /// At most `limit` prompts, each once as it is and once in each of the [`ATTACKS`]. If some prompts are known to ask
    /// for harm, the others are left out: a benign question is not an attack.
    ///
    /// # Errors
    /// [`EvalError::NoPrompts`] for a limit of 0.
    pub fn attacked(mut self, limit: usize) -> Result<Self, EvalError> {
        if self.prompts.iter().any(|prompt| prompt.intent == Intent::Harmful) {
            self.prompts.retain(|prompt| prompt.intent == Intent::Harmful);
        }
        Ok(attacks::attacked(&self.limited(limit)?))
    }

    /// At most `limit` prompts, and beside them at most `attacked` of their harmful ones in each of the [`ATTACKS`] and, as
    /// [`PLAIN`], unchanged.
    ///
    /// # Errors
    /// [`EvalError::NoPrompts`] for a limit of 0, or where no prompt is known to ask for harm.
    pub fn with_attacks(self, limit: usize, attacked: usize) -> Result<Self, EvalError> {
        let mut plain = self.limited(limit)?;
        let harmful = Self { prompts: plain.harmful(), ..plain.clone() };
        if harmful.prompts.is_empty() {
            return Err(EvalError::NoPrompts { name: format!("{}, of harmful intent", plain.name) });
        }
        let first = 1 + plain.prompts.iter().map(|prompt| prompt.id).max().unwrap_or_default();
        let attacks = attacks::attacked(&harmful.limited(attacked)?).prompts.into_iter();
        plain.prompts.extend(attacks.map(|prompt| Prompt { id: first + prompt.id, ..prompt }));
        plain.name = format!("{}, and attacks", plain.name);
        Ok(plain)
    }

    /// Prompts that are known to ask for harm, and are not attacks yet.
    fn harmful(&self) -> Vec<Prompt> {
        let asks = |prompt: &&Prompt| prompt.intent == Intent::Harmful && prompt.group.is_none();
        self.prompts.iter().filter(asks).cloned().collect()
    }

    /// A digest of everything in the prompts that a method or a judge reads.
    #[must_use]
    pub fn digest(&self) -> String {
        let mut hasher = Sha256::new();
        for prompt in &self.prompts {
            let fields =
                [prompt.text.as_str(), prompt.topic.as_deref().unwrap_or(""), prompt.group.as_deref().unwrap_or("")];
            hasher.update((prompt.id as u64).to_le_bytes());
            hasher.update([prompt.intent as u8]);
            fields.iter().for_each(|field| {
                hasher.update((field.len() as u64).to_le_bytes());
                hasher.update(field.as_bytes());
            });
        }
        format!("sha256:{}", hex::encode(hasher.finalize()))
    }

    /// Keeps each text once, and counts the repeated ones.
    fn unique(&mut self) {
        let mut seen = HashSet::new();
        let before = self.prompts.len();
        self.prompts.retain(|prompt| seen.insert(prompt.text.clone()));
        self.repeated = before - self.prompts.len();
        self.prompts.iter_mut().enumerate().for_each(|(id, prompt)| prompt.id = id);
    }
}
