//! How a score model reads a prompt: by pieces, with the same numbers as at once.

use crate::{
    decoder::{Keep, Pass, Prompt},
    error::backend,
    kv::Key,
    marked::Marked,
    retokenized::{Retokenized, Update},
    score::{Answer, CandleScoreModel, Tokenization},
};
use candle_core::Tensor;
use inferenceguard_model::{ModelError, ScoreId, ScoreOpening, Token, Tokenizer};
use std::sync::Arc;

/// A prompt that is being read.
struct Begun {
    tokens: Vec<Token>,
    prompt: Prompt,
    /// Where its text is encoded again.
    retokenized: Option<(Box<Retokenized>, Update)>,
}

impl CandleScoreModel {
    /// As [`ScoreModel::open_part`](inferenceguard_model::ScoreModel::open_part).
    pub(crate) fn part(&mut self, opening: &mut ScoreOpening, most: usize) -> Result<Option<ScoreId>, ModelError> {
        let begun = opening.kept.take().and_then(|kept| kept.downcast::<Begun>().ok());
        let mut begun = match begun {
            Some(begun) => begun,
            None => Box::new(self.begin(opening)?),
        };
        opening.reused = begun.prompt.reused;
        match self.decoder.read(&mut begun.prompt, &begun.tokens, most)? {
            Some(pass) => self.opened(*begun, &pass).map(Some),
            None => {
                opening.kept = Some(begun);
                Ok(None)
            }
        }
    }

    fn begin(&mut self, opening: &ScoreOpening) -> Result<Begun, ModelError> {
        let ScoreOpening { messages, language, .. } = opening;
        if messages.last().is_none_or(|message| message.content.is_empty()) {
            return Err(ModelError::EmptyPrompt);
        }
        let rendered = self.template.render(messages)?;
        if language.fingerprint() != self.tokenizer.fingerprint() {
            return self.begin_retokenized(rendered.text, rendered.frame, opening);
        }
        let tokens = self.tokenizer.encode_marked(&rendered.text, rendered.frame)?;
        let prompt = self.decoder.begin(&tokens, Keep::Last, opening.tenant.as_deref())?;
        Ok(Begun { tokens, prompt, retokenized: None })
    }

    fn begin_retokenized(&mut self, text: Marked, frame: bool, opening: &ScoreOpening) -> Result<Begun, ModelError> {
        let language = Arc::clone(&opening.language);
        let (retokenized, update) = Retokenized::new(language, &self.tokenizer, text, frame)?;
        let tokens = retokenized.prefix().to_vec();
        let prompt = self.decoder.begin(&tokens, Keep::Last, opening.tenant.as_deref())?;
        Ok(Begun { tokens, prompt, retokenized: Some((Box::new(retokenized), update)) })
    }

    /// The scored beam of a prompt that is read.
    fn opened(&mut self, begun: Begun, pass: &Pass) -> Result<ScoreId, ModelError> {
        let Begun { prompt, retokenized, .. } = begun;
        let Some((retokenized, update)) = retokenized else {
            let end = self.scores(&pass.latents)?[0];
            let key = self.cache.insert(prompt.prefix).map_err(backend)?;
            return Ok(self.add(Answer { key, tokenization: Tokenization::Same { end } }));
        };
        let key = self.cache.insert(prompt.prefix).map_err(backend)?;
        self.caught_up(key, retokenized, &update, &pass.latents).inspect_err(|_| self.cache.release([key]))
    }

    fn caught_up(
        &mut self,
        key: Key,
        mut retokenized: Box<Retokenized>,
        update: &Update,
        latents: &Tensor,
    ) -> Result<ScoreId, ModelError> {
        let (opening, scores) = self.catch_up(key, update, latents)?;
        retokenized.open(opening);
        retokenized.take(update, &scores);
        Ok(self.add(Answer { key, tokenization: Tokenization::Retokenized(retokenized) }))
    }

    /// The score at the end of a prefix, and those of the prompt's tokens after it.
    fn catch_up(&mut self, key: Key, update: &Update, latents: &Tensor) -> Result<(f32, Vec<f32>), ModelError> {
        let opening = self.scores(latents)?[0];
        if update.tokens.is_empty() {
            return Ok((opening, Vec::new()));
        }
        let pass = self.decoder.extend(&mut self.cache, &[(key, &update.tokens)])?;
        Ok((opening, self.scores(&pass.latents)?))
    }
}
