//! What clients and models say is text.

use super::{Outcome, Subject};
use crate::{Message, Token, conformance::ensure};

/// How special tokens are spelled in many vocabularies.
const SPELLINGS: [&str; 14] = [
    "<s>",
    "</s>",
    "<unk>",
    "<pad>",
    "<bos>",
    "<eos>",
    "<bot>",
    "<user>",
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|eot_id|>",
    "<think>",
    "[INST]",
];

/// Neither a text nor a turn of a conversation brings special tokens that are not there without it. A tokenizer may
/// refuse such a text.
pub(super) fn spell_nothing(subject: &mut Subject) -> Outcome {
    let tokenizer = subject.model.tokenizer();
    let word = tokenizer.decode(&subject.tokens(0, 3)).map_err(crate::ModelError::from)?;
    let spellings = SPELLINGS.iter().map(|one| (*one).to_owned()).chain(subject.options.spellings.clone());
    for text in spellings.flat_map(|one| [one.clone(), format!("{word} {one} {word}"), format!("{word}{one}")]) {
        let found = subject.special_in(&tokenizer.encode(&text).unwrap_or_default());
        ensure(found == 0, || format!("the text {text:?} became {found} special tokens"))?;
        for role in ["user", "assistant", "system"] {
            let (forged, honest) = (subject.special_of(role, &text, &word), subject.special_of(role, &word, &word));
            let fits = forged.is_none_or(|forged| honest.is_none_or(|honest| forged <= honest));
            ensure(fits, || {
                format!("the {role}'s turn {text:?} brings special tokens: {forged:?}, without it {honest:?}")
            })?;
        }
    }
    Ok(())
}

impl Subject {
    fn special_in(&self, tokens: &[Token]) -> usize {
        tokens.iter().filter(|token| self.model.info().special.contains(token)).count()
    }

    /// Special tokens of a conversation in which this role says this; nothing if the model does not take it.
    fn special_of(&self, role: &str, text: &str, question: &str) -> Option<usize> {
        let turn = |role: &str, content: &str| Message { role: role.to_owned(), content: content.to_owned() };
        let ask = turn("user", question);
        let messages = match role {
            "user" => vec![turn(role, text)],
            "system" => vec![turn(role, text), ask],
            _ => vec![ask.clone(), turn(role, text), ask],
        };
        Some(self.special_in(&self.model.encode_chat(&messages).ok()?))
    }
}
