//! The texts of a model that an engine runs: its folder, as the engine's connections ask for it.

use inferenceguard_candle::{AnswerText, TextSide};
use inferenceguard_engines::{
    Local, Prompts,
    vllm::{Due, SameTokens, ScoreFormat, ScoredText},
};
use inferenceguard_model::{Message, ModelError, ScoreInfo, Scored, TemplateNames, Token, Tokenizer};
use std::sync::Arc;

/// What stays here of a language model.
pub(crate) fn local(texts: TextSide) -> Local {
    let (info, tokenizer) = (texts.info().clone(), texts.tokenizer());
    Local { info, tokenizer, prompts: Arc::new(Texts(Arc::new(texts))) }
}

/// What stays here of a score model.
pub(crate) fn score_info(texts: &TextSide, language: &dyn Tokenizer) -> ScoreInfo {
    let info = texts.info();
    ScoreInfo {
        name: info.name.clone(),
        fingerprint: String::new(),
        parts: info.parts.clone(),
        context: info.context,
        same_tokenizer: texts.tokenizer().fingerprint() == language.fingerprint(),
    }
}

/// A folder, as engines ask for it.
pub(crate) struct Texts(pub(crate) Arc<TextSide>);

impl Prompts for Texts {
    fn encode_chat(&self, messages: &[Message]) -> Result<Vec<Token>, ModelError> {
        self.0.encode_chat(messages)
    }

    fn templates(&self) -> TemplateNames {
        self.0.template().names()
    }
}

impl ScoreFormat for Texts {
    fn tokenizer(&self) -> Arc<dyn Tokenizer> {
        self.0.tokenizer()
    }

    fn open(&self, messages: &[Message], language: Arc<dyn Tokenizer>) -> Result<Box<dyn ScoredText>, ModelError> {
        if language.fingerprint() == self.0.tokenizer().fingerprint() {
            return Ok(Box::new(SameTokens::new(self.0.encode_chat(messages)?)?));
        }
        Ok(Box::new(Retokenized(AnswerText::new(Arc::clone(&self.0), messages, language)?)))
    }

    fn templates(&self) -> TemplateNames {
        self.0.template().names()
    }
}

/// An answer that is encoded again in the score model's tokens.
struct Retokenized(AnswerText);

impl ScoredText for Retokenized {
    fn copy(&self) -> Box<dyn ScoredText> {
        Box::new(Self(self.0.clone()))
    }

    fn extend(&mut self, tokens: &[Token], ended: bool) -> Result<Due, ModelError> {
        let (tokens, from) = self.0.extend(tokens, ended)?;
        Ok(Due { tokens, from })
    }

    fn take(&mut self, _due: &Due, scores: &[f32]) -> Scored {
        self.0.take(scores)
    }
}
