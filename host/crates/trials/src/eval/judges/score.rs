//! A judge that is a score model: the score of prompt and answer in one piece.

use crate::{
    TrialError,
    eval::{EvalOptions, under_test::ModelUnderTest},
};
use inferenceguard_catalog::{Loading, score_files, score_model};
use inferenceguard_eval::{EvalError, Grader, JudgeId, JudgeProblem, Keep, Question};
use inferenceguard_model::{Caller, ModelError, ScoreModel, ScoreRow, Token, Tokenizer};
use std::sync::Arc;

/// A score model, and the tokenizer that takes answers apart.
pub(super) struct ScoreJudge {
    id: JudgeId,
    model: Box<dyn ScoreModel>,
    tokenizer: Arc<dyn Tokenizer>,
    /// Ends every answer.
    eos: Option<Token>,
}

impl ScoreJudge {
    /// Opens the model of this name and place. No bundle says how: the judge is not part of a bundle.
    pub(super) fn open(
        options: &EvalOptions,
        (name, place): (&str, &str),
        threshold: f64,
        reader: &ModelUnderTest,
    ) -> Result<Self, TrialError> {
        let (loading, note) = (Loading::new(&options.choice.loading, None)?, options.choice.loading.note);
        let files = score_files(&[format!("{name}={place}")], false, note)?;
        let problem = "names no score model";
        let files = files.get(name).ok_or_else(|| TrialError::Judge { found: place.to_owned(), problem })?;
        let tokenizer = reader.language.handle(&Caller::default()).tokenizer();
        let model = score_model(files, &loading.score(name), &*tokenizer, note)?;
        let by = format!("{}, template {}", model.info().fingerprint, model.template().choice());
        let id = JudgeId { name: name.to_owned(), by, threshold };
        Ok(Self { id, model: Box::new(model), tokenizer, eos: reader.language.info().eos.first().copied() })
    }

    fn score(&mut self, question: &Question<'_>) -> Result<f64, ModelError> {
        let tokens = self.tokenizer.encode(question.response)?.into_iter().chain(self.eos).collect();
        let id = self.model.open(question.prompt, Arc::clone(&self.tokenizer))?;
        let scored = self.model.extend(&[ScoreRow { id, tokens, ended: true }]);
        self.model.release(&[id]);
        Ok(scored?.first().map_or(f64::NAN, |scored| scored.end.into()))
    }
}

impl Grader for ScoreJudge {
    fn id(&self) -> &JudgeId {
        &self.id
    }

    fn grade(&mut self, questions: &[Question<'_>], keep: &mut Keep<'_>) -> Result<(), EvalError> {
        for (at, question) in questions.iter().enumerate() {
            let score = self.score(question).map_err(|error| {
                let problem = JudgeProblem::Model { prompt: question.prompt.to_owned(), cause: error.to_string() };
                EvalError::Judge { judge: self.id.name.clone(), problem }
            })?;
            keep(at, score.into())?;
        }
        Ok(())
    }
}
