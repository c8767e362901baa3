//! The score models of a script.

use super::{
    ToyScript,
    script::Fault,
    suffix::SuffixTable,
    tokenizer::{ToyTokenizer, digest},
};
use crate::{
    GrowingText, Message, ModelError, ModelParts, ScoreId, ScoreInfo, ScoreModel, ScoreRow, Scored, Token, Tokenizer,
    language::{BeamId, one_turn},
    message::joined,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// One `score` line.
#[derive(Debug, Clone)]
pub(super) struct ToyScoreScript {
    pub(super) name: String,
    pub(super) values: SuffixTable<f32>,
    /// Adds up along the answer, instead of judging the newest token alone.
    pub(super) cumulative: bool,
    /// Re-tokenises the text of the language model's tokens.
    pub(super) withheld: bool,
    pub(super) fault: Option<Fault>,
}

/// Plays one `score` line of a [`ToyScript`]. An answer without tokens scores 0.
///
/// With `withheld` it works as a model with another tokenizer must: it decodes the answer, encodes the text again, and
/// gives each language-model token the score at the own token in which its text ends. The last word may still grow and
/// then split otherwise, so tokens that end in it are withheld until another word follows or the answer ends.
#[derive(Debug)]
pub struct ToyScore {
    info: ScoreInfo,
    tokenizer: Arc<ToyTokenizer>,
    script: ToyScoreScript,
    rows: BTreeMap<ScoreId, Answer>,
    next_id: u64,
    extend_calls: u64,
}

#[derive(Clone)]
struct Answer {
    language: Arc<dyn Tokenizer>,
    prompt_len: usize,
    tokens: Vec<Token>,
    /// How many tokens have their score.
    scored: usize,
    /// The score at the last scored token.
    end: f32,
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Answer({:?}, {} scored)", self.tokens, self.scored)
    }
}

impl ToyScore {
    pub(super) fn new(script: &ToyScript, score: &ToyScoreScript) -> Self {
        let info = ScoreInfo {
            name: score.name.clone(),
            // Of its own line and the words: another language model in the script leaves it as it is.
            fingerprint: digest(&format!("{} {score:?}", script.tokenizer().fingerprint())),
            parts: ModelParts::default(),
            context: script.context,
            same_tokenizer: !score.withheld,
        };
        let (tokenizer, script) = (script.tokenizer(), score.clone());
        Self { info, tokenizer, script, rows: BTreeMap::new(), next_id: 0, extend_calls: 0 }
    }

    fn add(&mut self, answer: Answer) -> ScoreId {
        let id = ScoreId(self.next_id);
        self.next_id += 1;
        self.rows.insert(id, answer);
        id
    }

    fn answer(&self, id: ScoreId) -> Result<&Answer, ModelError> {
        self.rows.get(&id).ok_or(ModelError::UnknownBeam(BeamId(id.0)))
    }

    fn check_length(&self, found: usize) -> Result<(), ModelError> {
        let limit = self.info.context;
        if found <= limit { Ok(()) } else { Err(ModelError::ContextExceeded { found, limit }) }
    }

    /// The answer after one row, and what the row's scores are; nothing is stored yet.
    fn extended(&self, row: &ScoreRow) -> Result<(Answer, Scored), ModelError> {
        let mut answer = self.answer(row.id)?.clone();
        answer.tokens.extend_from_slice(&row.tokens);
        let scores = self.scorable(&answer, row.ended)?;
        let new = scores.get(answer.scored..).unwrap_or_default().to_vec();
        answer.scored += new.len();
        answer.end = new.last().copied().unwrap_or(answer.end);
        let end = answer.end;
        Ok((answer, Scored { tokens: new, end }))
    }

    /// The score at every answer token that can be judged.
    fn scorable(&self, answer: &Answer, ended: bool) -> Result<Vec<f32>, ModelError> {
        if self.script.withheld {
            return self.retokenised(answer, ended);
        }
        self.check_length(answer.prompt_len + answer.tokens.len())?;
        let vocab = self.tokenizer.vocab();
        if let Some(&token) = answer.tokens.iter().find(|t| **t as usize >= vocab) {
            return Err(ModelError::UnknownToken { token, vocab });
        }
        Ok(self.judge(&answer.tokens))
    }

    fn retokenised(&self, answer: &Answer, ended: bool) -> Result<Vec<f32>, ModelError> {
        let text = GrowingText::default().with(answer.language.as_ref(), &answer.tokens)?;
        let own = self.tokenizer.encode(text.text())?;
        self.check_length(answer.prompt_len + own.len())?;
        let own_text = GrowingText::default().with(self.tokenizer.as_ref(), &own)?;
        let own_scores = self.judge(&own);
        let stable = if ended { own.len() } else { self.tokenizer.last_word(&own) };
        let mut scores = Vec::new();
        for end in (1..=answer.tokens.len()).map(|tokens| text.end(tokens)) {
            let at = (0..own.len()).find(|at| own_text.end(at + 1) >= end);
            match at {
                _ if end == 0 => scores.push(0.0),
                Some(i) if i < stable => scores.push(own_scores[i]),
                _ => break,
            }
        }
        Ok(scores)
    }

    fn judge(&self, tokens: &[Token]) -> Vec<f32> {
        let mut sum = 0.0;
        let value = |i: usize| self.script.values.find(&tokens[..=i]).copied().unwrap_or(0.0);
        (0..tokens.len())
            .map(|i| {
                sum += value(i);
                if self.script.cumulative { sum } else { value(i) }
            })
            .collect()
    }

    fn check_rows(rows: &[ScoreRow]) -> Result<(), ModelError> {
        let mut seen = BTreeSet::new();
        match rows.iter().find(|row| !seen.insert(row.id)) {
            Some(row) => Err(ModelError::Unsupported(format!("extend {:?} twice in one call; fork it first", row.id))),
            None => Ok(()),
        }
    }
}

impl ScoreModel for ToyScore {
    fn info(&self) -> &ScoreInfo {
        &self.info
    }

    fn open(&mut self, prompt: &str, language: Arc<dyn Tokenizer>) -> Result<ScoreId, ModelError> {
        let prompt_len = self.tokenizer.encode(prompt)?.len();
        if prompt_len == 0 {
            return Err(ModelError::EmptyPrompt);
        }
        self.check_length(prompt_len)?;
        Ok(self.add(Answer { language, prompt_len, tokens: Vec::new(), scored: 0, end: 0.0 }))
    }

    fn open_chat(&mut self, messages: &[Message], language: Arc<dyn Tokenizer>) -> Result<ScoreId, ModelError> {
        joined(messages).map_or_else(|| Err(one_turn()), |text| self.open(&text, language))
    }

    fn fork(&mut self, parents: &[ScoreId]) -> Result<Vec<ScoreId>, ModelError> {
        let copies = parents.iter().map(|p| self.answer(*p).cloned()).collect::<Result<Vec<_>, _>>()?;
        Ok(copies.into_iter().map(|answer| self.add(answer)).collect())
    }

    fn extend(&mut self, rows: &[ScoreRow]) -> Result<Vec<Scored>, ModelError> {
        self.extend_calls += 1;
        let spoiled = Fault::strike(self.script.fault, self.extend_calls)?;
        Self::check_rows(rows)?;
        let done = rows.iter().map(|row| self.extended(row)).collect::<Result<Vec<_>, _>>()?;
        let mut scored = Vec::with_capacity(rows.len());
        for (row, (answer, mut scores)) in rows.iter().zip(done) {
            self.rows.insert(row.id, answer);
            if spoiled {
                scores.tokens.fill(f32::NAN);
                scores.end = f32::NAN;
            }
            scored.push(scores);
        }
        Ok(scored)
    }

    fn release(&mut self, rows: &[ScoreId]) {
        for id in rows {
            self.rows.remove(id);
        }
    }

    fn live_rows(&self) -> usize {
        self.rows.len()
    }
}
