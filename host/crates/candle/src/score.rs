//! A score model of a folder: rewards and costs, position by position, along beams.

use crate::{
    CandleError, Facts, LoadOptions, ModelFiles, Template,
    decoder::Decoder,
    error::backend,
    head::ScoreHead,
    kv::{Cache, Key},
    load::Folder,
    retokenized::{Retokenized, Update},
    tokenizer::HfTokenizer,
};
use candle_core::Tensor;
use inferenceguard_model::{
    BeamId, Message, ModelError, ScoreId, ScoreInfo, ScoreModel, ScoreOpening, ScoreRow, Scored, TemplateNames, Token,
    Tokenizer,
};
use std::{collections::HashMap, path::Path, sync::Arc};

/// A score model that runs on candle: `LlamaForScore` or a sequence classifier with one label.
pub struct CandleScoreModel {
    pub(crate) decoder: Decoder,
    pub(crate) cache: Cache,
    head: ScoreHead,
    pub(crate) tokenizer: Arc<HfTokenizer>,
    pub(crate) template: Template,
    eos: Option<Token>,
    info: ScoreInfo,
    facts: Facts,
    answers: HashMap<ScoreId, Answer>,
    next: u64,
}

/// One scored beam.
#[derive(Clone)]
pub(crate) struct Answer {
    pub(crate) key: Key,
    pub(crate) tokenization: Tokenization,
}

#[derive(Clone)]
pub(crate) enum Tokenization {
    /// The language model's tokens are ours.
    Same {
        /// The score at the newest position.
        end: f32,
    },
    /// The text is encoded again.
    Retokenized(Box<Retokenized>),
}

/// New tokens of one row, in our vocabulary.
enum Work<'a> {
    Same(&'a [Token]),
    Retokenized(Box<Retokenized>, Update),
}

impl Work<'_> {
    fn tokens(&self) -> &[Token] {
        match self {
            Self::Same(tokens) => tokens,
            Self::Retokenized(_, update) => &update.tokens,
        }
    }
}

impl CandleScoreModel {
    /// Loads a folder to score answers of a language model with the tokenizer `language`.
    ///
    /// # Errors
    /// When a file is missing or damaged, the architecture is not supported, it is a language model, or the device
    /// cannot be used.
    pub fn load(folder: &Path, options: &LoadOptions, language: &dyn Tokenizer) -> Result<Self, CandleError> {
        Self::load_files(&ModelFiles::folder(folder), options, language)
    }

    /// As [`CandleScoreModel::load`], from files that may lie in memory.
    ///
    /// # Errors
    /// As [`CandleScoreModel::load`].
    pub fn load_files(
        files: &ModelFiles,
        options: &LoadOptions,
        language: &dyn Tokenizer,
    ) -> Result<Self, CandleError> {
        let mut folder = Folder::open(files, options)?;
        let config = &mut folder.decoder.config;
        // Beyond this length a score would depend on where the prompt ended, so no audit could repeat it.
        config.context = config.context.min(config.rope.fixed_up_to());
        let Some(head) = ScoreHead::load(&folder.decoder, &folder.weights)? else {
            return Err(CandleError::Kind {
                folder: files.path().to_owned(),
                found: folder.decoder.config.architecture.clone(),
                is: "a language model",
                expected: "a score model (LlamaForScore or …ForSequenceClassification)",
            });
        };
        let info = ScoreInfo {
            name: folder.name.clone(),
            fingerprint: folder.fingerprint.clone(),
            parts: folder.parts.clone(),
            context: folder.decoder.config.context,
            same_tokenizer: folder.tokenizer.fingerprint() == language.fingerprint(),
        };
        let cache = folder.decoder.cache();
        let eos = folder.eos.first().copied();
        let Folder { decoder, tokenizer, template, facts, .. } = folder;
        let (tokenizer, answers) = (Arc::new(tokenizer), HashMap::new());
        Ok(Self { decoder, cache, head, tokenizer, template, eos, info, facts, answers, next: 0 })
    }

    /// How a conversation becomes its prompt.
    #[must_use]
    pub fn template(&self) -> &Template {
        &self.template
    }

    /// What was taken from which file.
    #[must_use]
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    pub(crate) fn add(&mut self, answer: Answer) -> ScoreId {
        self.next += 1;
        self.answers.insert(ScoreId(self.next), answer);
        ScoreId(self.next)
    }

    fn answer(&self, id: ScoreId) -> Result<&Answer, ModelError> {
        self.answers.get(&id).ok_or(ModelError::UnknownBeam(BeamId(id.0)))
    }

    pub(crate) fn scores(&self, latents: &Tensor) -> Result<Vec<f32>, ModelError> {
        let scores = self.head.forward(latents).map_err(backend)?;
        if scores.iter().all(|score| score.is_finite()) { Ok(scores) } else { Err(ModelError::NotFinite("scores")) }
    }

    /// What each row brings to the cache. Nothing changes before all of them fit.
    fn prepare<'a>(&mut self, rows: &'a [ScoreRow]) -> Result<Vec<(Key, Work<'a>)>, ModelError> {
        let work = rows.iter().map(|row| self.work(row)).collect::<Result<Vec<_>, _>>()?;
        for (key, new) in &work {
            if let Work::Retokenized(_, update) = new {
                self.cache.truncate(*key, update.keep);
            }
        }
        Ok(work)
    }

    fn work<'a>(&self, row: &'a ScoreRow) -> Result<(Key, Work<'a>), ModelError> {
        let answer = self.answer(row.id)?;
        let place = self.cache.place(answer.key)?;
        let (new, kept) = match &answer.tokenization {
            Tokenization::Same { .. } => (Work::Same(&row.tokens), place.len),
            Tokenization::Retokenized(retokenized) => {
                let mut next = retokenized.clone();
                let update = next.extend(&self.tokenizer, &row.tokens, row.ended, self.eos)?;
                let kept = place.len.min(update.keep);
                (Work::Retokenized(next, update), kept)
            }
        };
        self.decoder.check(new.tokens(), place.prefix.len + kept + new.tokens().len())?;
        Ok((answer.key, new))
    }

    /// Hands a row its scores.
    fn settle(&mut self, id: ScoreId, work: Work<'_>, scores: &[f32]) -> Option<Scored> {
        let answer = self.answers.get_mut(&id)?;
        match (&mut answer.tokenization, work) {
            (Tokenization::Same { end }, _) => {
                *end = scores.last().copied().unwrap_or(*end);
                Some(Scored { tokens: scores.to_vec(), end: *end })
            }
            (Tokenization::Retokenized(retokenized), Work::Retokenized(next, update)) => {
                *retokenized = next;
                retokenized.take(&update, scores);
                Some(Scored { tokens: retokenized.report(), end: retokenized.end() })
            }
            (Tokenization::Retokenized(_), Work::Same(_)) => None,
        }
    }
}

impl ScoreModel for CandleScoreModel {
    fn info(&self) -> &ScoreInfo {
        &self.info
    }

    fn open(&mut self, prompt: &str, language: Arc<dyn Tokenizer>) -> Result<ScoreId, ModelError> {
        self.open_chat(&[Message::user(prompt)], language)
    }

    fn open_chat(&mut self, messages: &[Message], language: Arc<dyn Tokenizer>) -> Result<ScoreId, ModelError> {
        let mut opening = ScoreOpening::new(messages.to_vec(), language);
        loop {
            if let Some(id) = self.part(&mut opening, usize::MAX)? {
                return Ok(id);
            }
        }
    }

    fn open_part(&mut self, opening: &mut ScoreOpening, most: usize) -> Result<Option<ScoreId>, ModelError> {
        self.part(opening, most)
    }

    fn templates(&self) -> TemplateNames {
        self.template.names()
    }

    fn fork(&mut self, parents: &[ScoreId]) -> Result<Vec<ScoreId>, ModelError> {
        let parents = parents.iter().map(|id| self.answer(*id).cloned()).collect::<Result<Vec<_>, _>>()?;
        let keys = self.cache.fork(&parents.iter().map(|parent| parent.key).collect::<Vec<_>>())?;
        Ok(parents.into_iter().zip(keys).map(|(parent, key)| self.add(Answer { key, ..parent })).collect())
    }

    fn extend(&mut self, rows: &[ScoreRow]) -> Result<Vec<Scored>, ModelError> {
        let work = self.prepare(rows)?;
        let batch: Vec<(Key, &[Token])> =
            work.iter().map(|(key, new)| (*key, new.tokens())).filter(|(_, tokens)| !tokens.is_empty()).collect();
        let scores = if batch.is_empty() {
            Vec::new()
        } else {
            let pass = self.decoder.extend(&mut self.cache, &batch)?;
            self.scores(&pass.latents)?
        };
        let mut rest = scores.as_slice();
        let mut scored = Vec::with_capacity(rows.len());
        for (row, (_, new)) in rows.iter().zip(work) {
            let (own, after) = rest.split_at(new.tokens().len());
            rest = after;
            scored.push(self.settle(row.id, new, own).ok_or(ModelError::UnknownBeam(BeamId(row.id.0)))?);
        }
        Ok(scored)
    }

    fn release(&mut self, rows: &[ScoreId]) {
        let keys: Vec<Key> = rows.iter().filter_map(|id| self.answers.remove(id)).map(|answer| answer.key).collect();
        self.cache.release(keys);
    }

    fn live_rows(&self) -> usize {
        self.answers.len()
    }

    fn rounding(&self) -> f64 {
        self.decoder.format.rounding()
    }
}
