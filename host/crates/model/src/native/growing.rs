//! One call of [`Generator::grow`](crate::Generator::grow) on its way, row by row.

use crate::{
    BeamId, Effort, GrowRow, GrowingText, Grown, GrownRow, Growth, ModelError, SampleRequest, Sampled, Token,
    Tokenizer, sample_request::check, stop_at,
};

/// A call that grows rows: each has its own offset, and ends by itself.
#[derive(Debug)]
pub struct Growing {
    pub(super) growth: Growth,
    pub(super) rows: Vec<Row>,
    pub(super) effort: Effort,
    /// The error of a step or projection of its rows: the whole call fails, also for rows that had ended.
    pub(super) lost: Option<ModelError>,
}

/// One row on its way.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) from: GrowRow,
    /// Its beam, from the first token on.
    pub(super) beam: Option<BeamId>,
    pub(super) grown: Grown,
    pub(super) state: State,
}

#[derive(Debug)]
pub(super) enum State {
    Live,
    Ended,
    Failed(ModelError),
}

impl Growing {
    /// Checks what all rows have in common.
    ///
    /// # Errors
    /// [`ModelError::Unsupported`] or [`ModelError::Shape`] for a call that no back end could answer.
    pub(super) fn new(growth: Growth, rows: Vec<GrowRow>) -> Result<Self, ModelError> {
        if growth.max_tokens == 0 {
            return Err(ModelError::Unsupported("grow rows by 0 tokens; ask for one at least".to_owned()));
        }
        if growth.stop.iter().any(String::is_empty) {
            return Err(ModelError::Unsupported("stop at an empty text".to_owned()));
        }
        let due = growth.max_tokens as usize;
        if let Some(row) = rows.iter().find(|row| row.picks.len() < due) {
            let (expected, found) = (format!("{due} per row"), row.picks.len().to_string());
            return Err(ModelError::Shape { what: "picks", expected, found });
        }
        let rows = rows.into_iter().map(|from| Row { from, beam: None, grown: Grown::default(), state: State::Live });
        Ok(Self { growth, rows: rows.collect(), effort: Effort::default(), lost: None })
    }

    /// How many rows still grow.
    #[must_use]
    pub fn live(&self) -> usize {
        self.rows.iter().filter(|row| row.is_live()).count()
    }

    /// What its rows took part in since this was last asked, times excepted.
    pub fn take_effort(&mut self) -> Effort {
        std::mem::take(&mut self.effort)
    }

    /// At most this many live rows, those with the fewest tokens first.
    pub(super) fn due(&self, most: usize) -> Vec<usize> {
        let mut live: Vec<usize> = (0..self.rows.len()).filter(|i| self.rows[*i].is_live()).collect();
        live.sort_by_key(|i| self.rows[*i].grown.tokens.len());
        live.truncate(most);
        live.sort_unstable();
        live
    }

    /// How the next token of a row is sampled, if that can be done at all.
    pub(super) fn request(&self, row: usize) -> Result<SampleRequest, ModelError> {
        let (row, sampling) = (&self.rows[row], &self.growth.sampling);
        let offset = row.grown.tokens.len();
        let request = SampleRequest {
            pick: row.from.picks[offset],
            repeated: row.from.repeated.clone(),
            penalties: self.growth.penalties.get(offset).cloned().unwrap_or_default(),
            prompt: sampling.prompt.clone(),
            ..*sampling
        };
        check(&request).map(|()| request)
    }

    /// A row takes the token that was drawn for it, or fails.
    pub(super) fn take(&mut self, row: usize, drawn: Result<Sampled, ModelError>, tokenizer: &dyn Tokenizer) {
        let (growth, row) = (&self.growth, &mut self.rows[row]);
        let drawn = match drawn {
            Ok(drawn) => drawn,
            Err(error) => return row.fail(error),
        };
        row.grown.tokens.push(drawn.token);
        row.grown.logprobs.push(drawn.logprob);
        if growth.sampling.repetition_penalty != 1.0 {
            repeat(&mut row.from.repeated, &growth.sampling.prompt, drawn.token);
        }
        let stopped = match stops(&mut row.from.text, drawn.token, &growth.stop, tokenizer) {
            Ok(stopped) => stopped,
            Err(error) => return row.fail(error),
        };
        if stopped || growth.end.contains(&drawn.token) || row.grown.tokens.len() >= growth.max_tokens as usize {
            row.state = State::Ended;
        }
    }

    /// The model failed at a step or a projection of some of the rows. The call fails, so that its outcome does not depend on
    /// which of its rows had this turn.
    pub(super) fn lose(&mut self, error: &ModelError) {
        for row in self.rows.iter_mut().filter(|row| row.is_live()) {
            row.fail(error.for_another());
        }
        self.lost.get_or_insert_with(|| error.for_another());
    }

    /// Beams that no answer names: all, or those of rows that failed.
    pub(super) fn beams(&mut self, of_failed: bool) -> Vec<BeamId> {
        let left = |row: &mut Row| match row.state {
            State::Failed(_) => row.beam.take(),
            _ if of_failed => None,
            _ => row.beam.take(),
        };
        self.rows.iter_mut().filter_map(left).collect()
    }

    /// What became of the rows. A row that still lives was cancelled.
    ///
    /// # Errors
    /// That of a step or projection; that of the first row, when no row could be grown.
    pub(super) fn answer(self) -> Result<Vec<GrownRow>, ModelError> {
        if let Some(error) = self.lost {
            return Err(error);
        }
        let rows: Vec<GrownRow> = self.rows.into_iter().map(Row::answer).collect();
        let none = rows.iter().all(Result::is_err);
        match rows.iter().find_map(|row| row.as_ref().err()) {
            Some(first) if none => Err(first.for_another()),
            _ => Ok(rows),
        }
    }
}

impl Row {
    pub(super) fn is_live(&self) -> bool {
        matches!(self.state, State::Live)
    }

    pub(super) fn fail(&mut self, error: ModelError) {
        self.state = State::Failed(error);
    }

    /// The token that its beam has not read yet, from the second one on.
    pub(super) fn unread(&self) -> Option<(BeamId, Token)> {
        Some((self.beam?, *self.grown.tokens.last()?))
    }

    fn answer(self) -> GrownRow {
        match (self.state, self.beam) {
            (State::Failed(error), _) => Err(error),
            (State::Ended, Some(beam)) => Ok((beam, self.grown)),
            _ => Err(ModelError::Cancelled),
        }
    }
}

/// Adds a token of the answer to those that count as repeated: in rising order, each once, none of the prompt.
fn repeat(repeated: &mut Vec<Token>, prompt: &[Token], token: Token) {
    if let (Err(_), Err(at)) = (prompt.binary_search(&token), repeated.binary_search(&token)) {
        repeated.insert(at, token);
    }
}

/// Appends a token to the text; whether that completes a stop text.
fn stops(text: &mut GrowingText, token: Token, stop: &[String], tokenizer: &dyn Tokenizer) -> Result<bool, ModelError> {
    if stop.is_empty() {
        return Ok(false);
    }
    let searched = text.text().len();
    text.push(tokenizer, token)?;
    Ok(stop_at(text.text(), searched, stop).is_some())
}
