//! Panics of the tokenizers library as errors. It unwraps what a file says, and files come from strangers.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Does the work; a panic in it is an error with the panic's text.
///
/// # Errors
/// Those of the work, and its panics. What the work changed must not be used after a panic.
pub(crate) fn guarded<T>(work: impl FnOnce() -> tokenizers::Result<T>) -> tokenizers::Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
        Err(format!("the tokenizers library panicked: {}", text.unwrap_or("without a text")).into())
    })
}
