//! A language model: here, or in an engine elsewhere.

use inferenceguard_candle::CandleModel;
use inferenceguard_host::EngineBuilder;
use inferenceguard_model::{BackEnd, Caller, Model, ModelInfo, Tokenizer};
use std::sync::Arc;

/// A language model that was opened.
pub enum Language {
    /// It runs here.
    Here(Box<CandleModel>),
    /// It runs in an engine elsewhere.
    Elsewhere(Arc<dyn BackEnd>),
}

impl Language {
    /// What it is.
    #[must_use]
    pub fn info(&self) -> &ModelInfo {
        match self {
            Self::Here(model) => model.info(),
            Self::Elsewhere(back_end) => back_end.info(),
        }
    }

    /// Its tokenizer.
    #[must_use]
    pub fn tokenizer(&self) -> Arc<dyn Tokenizer> {
        match self {
            Self::Here(model) => model.tokenizer(),
            Self::Elsewhere(back_end) => back_end.handle(&Caller::default()).tokenizer(),
        }
    }

    /// Gives it to an engine that is being built.
    #[must_use]
    pub fn given_to(self, builder: EngineBuilder) -> EngineBuilder {
        match self {
            Self::Here(model) => builder.model(model),
            Self::Elsewhere(back_end) => builder.back_end(back_end),
        }
    }
}
