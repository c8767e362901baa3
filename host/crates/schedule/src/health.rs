//! Whether a model can still be called.

use inferenceguard_model::ModelError;
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, OnceLock},
};

/// Why a model is never called again, if so. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Health(Arc<OnceLock<String>>);

impl Health {
    pub(crate) fn broken(&self) -> Option<&str> {
        self.0.get().map(String::as_str)
    }

    /// The first reason stays.
    pub(crate) fn fails(&self, why: &str) {
        let _ = self.0.set(why.to_owned());
    }

    /// Refuses calls of a model that broke.
    pub(crate) fn check(&self) -> Result<(), ModelError> {
        self.broken().map_or(Ok(()), |why| Err(lost(why)))
    }

    /// The error of a call that was never answered.
    pub(crate) fn no_answer(&self) -> ModelError {
        lost(self.broken().unwrap_or("it panicked in this call"))
    }

    /// Runs work of the model. Nothing, if it panics: then it is broken.
    pub(crate) fn guard<T>(&self, work: impl FnOnce() -> T) -> Option<T> {
        let done = catch_unwind(AssertUnwindSafe(work)).ok();
        if done.is_none() {
            self.fails("it panicked in an earlier call");
        }
        done
    }
}

fn lost(why: &str) -> ModelError {
    ModelError::Broken(why.to_owned())
}
