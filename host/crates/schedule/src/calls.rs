//! What handles send to the thread, and what it answers.

use inferenceguard_model::{
    BeamId, Cancel, Effort, GrowRow, GrownRow, Growth, ModelError, Native, ScoreId, ScoreModel, ScoreOpening, ScoreRow,
    Scored, Token,
};
use std::sync::mpsc::Sender;

/// The answer of a call, and what it took.
pub(crate) type Answer<T> = (Result<T, ModelError>, Effort);

/// Short work of the language model.
pub(crate) type Now = Box<dyn FnOnce(&mut Native) + Send>;

/// Short work of a score model.
pub(crate) type ScoreNow = Box<dyn FnOnce(&mut dyn ScoreModel) + Send>;

/// A call of a handle. If it is dropped, it has failed, and its caller does not wait any more.
pub(crate) enum Job {
    /// Short work of the language model, before the next step.
    Now(Now),
    /// Read a prompt.
    Open { prompt: Vec<Token>, tenant: Option<String>, cancel: Cancel, answer: Sender<Answer<BeamId>> },
    /// Append given tokens.
    Append { rows: Vec<(BeamId, Token)>, cancel: Cancel, answer: Sender<Answer<()>> },
    /// Grow rows.
    Grow { growth: Growth, rows: Vec<GrowRow>, cancel: Cancel, answer: Sender<Answer<Vec<GrownRow>>> },
    /// Work of the score model of this number.
    Score(usize, ScoreJob),
}

/// A call of a score handle.
pub(crate) enum ScoreJob {
    /// Short work.
    Now(ScoreNow),
    /// Read a prompt, by slices.
    Open { opening: ScoreOpening, cancel: Cancel, answer: Sender<Result<ScoreId, ModelError>> },
    /// Score answers, by slices.
    Extend { rows: Vec<ScoreRow>, cancel: Cancel, answer: Sender<Result<Vec<Scored>, ModelError>> },
}
