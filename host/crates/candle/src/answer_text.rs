//! An answer in the tokens of a score model that another program runs, and that has another tokenizer than the language model.

use crate::{
    TextSide,
    retokenized::{Retokenized, Update},
};
use inferenceguard_model::{Message, ModelError, Scored, Token, Tokenizer};
use std::sync::Arc;

/// One answer, encoded again as it grows. Each [`AnswerText::extend`] is followed by [`AnswerText::take`].
#[derive(Clone)]
pub struct AnswerText {
    texts: Arc<TextSide>,
    retokenized: Box<Retokenized>,
    due: Arc<Update>,
    /// Whether the score at the prefix's last token is known.
    opened: bool,
}

impl AnswerText {
    /// Begins an answer to a conversation. `language` decodes the tokens that follow.
    ///
    /// # Errors
    /// [`ModelError::EmptyPrompt`], [`ModelError::Conversation`], or a failure of template or tokenizer.
    pub fn new(texts: Arc<TextSide>, messages: &[Message], language: Arc<dyn Tokenizer>) -> Result<Self, ModelError> {
        let rendered = texts.template().render(messages)?;
        let (retokenized, due) = Retokenized::new(language, &texts.tokenizer(), rendered.text, rendered.frame)?;
        Ok(Self { texts, retokenized: Box::new(retokenized), due: Arc::new(due), opened: false })
    }

    /// Appends tokens of the language model. Gives the whole text in the score model's tokens, and the first position whose score
    /// is due. The first call must bring no tokens: then the prompt's scores are due.
    ///
    /// # Errors
    /// A failure of a tokenizer.
    pub fn extend(&mut self, tokens: &[Token], ended: bool) -> Result<(Vec<Token>, usize), ModelError> {
        let mut whole = self.retokenized.prefix().to_vec();
        if !self.opened {
            whole.extend(&self.due.tokens);
            return Ok((whole, self.retokenized.prefix().len().saturating_sub(1)));
        }
        let eos = self.texts.info().eos.first().copied();
        self.due = Arc::new(self.retokenized.extend(&self.texts.tokenizer(), tokens, ended, eos)?);
        whole.extend(self.retokenized.scored_tokens().take(self.due.keep));
        let from = whole.len();
        whole.extend(&self.due.tokens);
        Ok((whole, from))
    }

    /// Takes the scores that were due, and gives those of the answer's tokens.
    pub fn take(&mut self, scores: &[f32]) -> Scored {
        let mut scores = scores;
        if let (false, Some((first, rest))) = (self.opened, scores.split_first()) {
            self.retokenized.open(*first);
            (self.opened, scores) = (true, rest);
        }
        self.retokenized.take(&self.due, scores);
        Scored { tokens: self.retokenized.report(), end: self.retokenized.end() }
    }
}
