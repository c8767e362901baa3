//! Why a question has no verdict, and what its client is answered.

use crate::error::ApiError;
use axum::http::StatusCode;
use inferenceguard_host::EngineError;
use inferenceguard_model::ModelError;

/// Why a question has no verdict.
pub(super) enum AskError {
    /// The text to judge cannot be read.
    Text(EngineError),
    Engine(EngineError),
    OtherBundle {
        wanted: String,
        active: String,
    },
}

impl AskError {
    pub(super) fn engine(&self) -> Option<&EngineError> {
        match self {
            Self::Text(error) | Self::Engine(error) => Some(error),
            Self::OtherBundle { .. } => None,
        }
    }
}

impl From<EngineError> for AskError {
    fn from(error: EngineError) -> Self {
        Self::Engine(error)
    }
}

impl From<AskError> for ApiError {
    fn from(error: AskError) -> Self {
        match error {
            AskError::Text(error) => Self::from(error).rename_param(&[("messages", "answer")]),
            AskError::Engine(error) if is_of_the_text(&error) => {
                Self::from(error).rename_param(&[("messages", "answer")])
            }
            AskError::Engine(error) => error.into(),
            AskError::OtherBundle { wanted, active } => {
                let message = format!("the bundle `{wanted}` does not decide here; `{active}` does");
                let error = Self::new(StatusCode::NOT_FOUND, "bundle_not_found", message);
                Self { param: Some("bundle".to_owned()), ..error }
            }
        }
    }
}

/// Whether the conversation would fit without the text to judge.
fn is_of_the_text(error: &EngineError) -> bool {
    match error {
        EngineError::DoesNotFit { prompt, context, .. } => prompt < context,
        EngineError::Model(ModelError::ContextExceeded { .. }) => true,
        _ => false,
    }
}
