//! Models that score an answer.

use crate::{
    Message, ModelError, ModelParts, TemplateNames, Token, Tokenizer, language::one_turn, message::only_prompt,
};
use serde::{Deserialize, Serialize};
use std::{any::Any, sync::Arc};

/// A scored beam of one score model: a place in its KV cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ScoreId(pub u64);

/// What a score model is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScoreInfo {
    /// The name by which costs ask for it.
    pub name: String,
    /// A digest of everything that its scores depend on.
    pub fingerprint: String,
    /// Digests of its parts, as far as the back end gives them.
    pub parts: ModelParts,
    /// The most tokens it takes, prompt included.
    pub context: usize,
    /// Whether it reads the language model's tokens as they are. If not, it re-tokenises their text.
    pub same_tokenizer: bool,
}

/// New tokens of one scored beam.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScoreRow {
    /// The scored beam to extend.
    pub id: ScoreId,
    /// The language model's new tokens, end token included if the answer ended with one. May be empty.
    pub tokens: Vec<Token>,
    /// Whether the answer ends here. A re-tokenising model then scores the tail it had withheld.
    pub ended: bool,
}

/// Scores of one row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scored {
    /// One score per answer token that became scorable by this call: those withheld earlier, then the new ones, less
    /// the unstable tail (empty for models with the same tokenizer). The score at a token judges the prefix up to it.
    pub tokens: Vec<f32>,
    /// The score of prompt and answer so far, at its last scorable position.
    pub end: f32,
}

/// A prompt on its way into a score model. Dropping it frees what the back end keeps for it.
pub struct ScoreOpening {
    /// The conversation that the answer goes on from; its last turn is the user's.
    pub messages: Vec<Message>,
    /// Decodes the tokens of the answer.
    pub language: Arc<dyn Tokenizer>,
    /// As [`Reading::tenant`](crate::Reading::tenant).
    pub tenant: Option<String>,
    /// As [`Reading::reused`](crate::Reading::reused).
    pub reused: usize,
    /// What the back end keeps between two pieces.
    pub kept: Option<Box<dyn Any + Send>>,
}

impl ScoreOpening {
    /// A prompt of no tenant, of which nothing is read.
    #[must_use]
    pub fn new(messages: Vec<Message>, language: Arc<dyn Tokenizer>) -> Self {
        Self { messages, language, tenant: None, reused: 0, kept: None }
    }
}

impl std::fmt::Debug for ScoreOpening {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ScoreOpening({} messages)", self.messages.len())
    }
}

/// A model that scores prompt and answer, position by position, incrementally along beams.
pub trait ScoreModel: Send {
    /// What it is.
    fn info(&self) -> &ScoreInfo;

    /// Begins an answer to `prompt` (the user's text; the score model's own template is applied). `language` decodes
    /// the tokens that [`ScoreModel::extend`] will bring.
    ///
    /// # Errors
    /// When the prompt is empty or does not fit, or a failure below.
    fn open(&mut self, prompt: &str, language: Arc<dyn Tokenizer>) -> Result<ScoreId, ModelError>;

    /// Begins an answer to a conversation that ends with a turn of the user. Back ends without a chat template take one turn of
    /// the user and nothing else.
    ///
    /// # Errors
    /// As [`ScoreModel::open`]; [`ModelError::Conversation`] for turns that the template does not take.
    fn open_chat(&mut self, messages: &[Message], language: Arc<dyn Tokenizer>) -> Result<ScoreId, ModelError> {
        only_prompt(messages).map_or_else(|| Err(one_turn()), |prompt| self.open(prompt, language))
    }

    /// As [`ScoreModel::open_chat`], by pieces: reads about `most` tokens more of the prompt, and gives the scored beam once all are
    /// read. The numbers are those of [`ScoreModel::open_chat`], whatever the pieces. The default reads all at once.
    ///
    /// # Errors
    /// As [`ScoreModel::open_chat`].
    fn open_part(&mut self, opening: &mut ScoreOpening, most: usize) -> Result<Option<ScoreId>, ModelError> {
        let _ = most;
        self.open_chat(&opening.messages, Arc::clone(&opening.language)).map(Some)
    }

    /// Which template makes its prompts, as bundles name it; nothing, for back ends that have no choice.
    fn templates(&self) -> TemplateNames {
        TemplateNames::default()
    }

    /// One new scored beam for each entry of `parents`, equal to it.
    ///
    /// # Errors
    /// [`ModelError::UnknownBeam`] or a failure below.
    fn fork(&mut self, parents: &[ScoreId]) -> Result<Vec<ScoreId>, ModelError>;

    /// Appends tokens (no row twice) and scores them, in order.
    ///
    /// # Errors
    /// [`ModelError::ContextExceeded`], [`ModelError::UnknownToken`], [`ModelError::UnknownBeam`], [`ModelError::Unsupported`] or
    /// [`ModelError::Tokenizer`], which leave every row of the call as it was: a scheduler then asks for each request alone.
    /// [`ModelError::NotFinite`] or a failure below, after which the rows of the call are unusable.
    fn extend(&mut self, rows: &[ScoreRow]) -> Result<Vec<Scored>, ModelError>;

    /// Frees scored beams. Unknown ones are ignored.
    fn release(&mut self, rows: &[ScoreId]);

    /// How many scored beams are held, for tests of leaks.
    fn live_rows(&self) -> usize;

    /// As [`crate::Model::rounding`], for costs that read its scores.
    fn rounding(&self) -> f64 {
        0.0
    }
}
