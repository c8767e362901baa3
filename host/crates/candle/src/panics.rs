//! Panics of the tokenizers library as errors. It unwraps what a file says, and files come from strangers.

use inferenceguard_model::TokenizerError;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The library panicked. The text may quote the input.
#[derive(Debug, thiserror::Error)]
#[error("the tokenizers library panicked: {0}")]
struct Panicked(String);

/// Does the work; a panic in it is an error with the panic's text.
///
/// # Errors
/// Those of the work, and its panics. What the work changed must not be used after a panic.
pub(crate) fn catch_panics<T>(work: impl FnOnce() -> tokenizers::Result<T>) -> tokenizers::Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
        Err(Panicked(text.unwrap_or("without a text").to_owned()).into())
    })
}

/// The error of a conversion. A panic is not the fault of the text that was converted, and its message is left out, because it
/// may quote that text.
pub(crate) fn failed(error: tokenizers::Error) -> TokenizerError {
    if error.is::<Panicked>() { TokenizerError::Broken } else { TokenizerError::Refused(error.to_string()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_a_broken_tokenizer_and_quotes_nothing() {
        let text = "a private word";
        let error = catch_panics::<()>(|| panic!("inside 'ü' of `{text}`")).unwrap_err();
        assert!(error.to_string().contains(text), "an error of a file says all");
        let error = failed(error);
        assert!(matches!(error, TokenizerError::Broken) && !error.to_string().contains(text), "{error}");
    }

    #[test]
    fn an_error_of_the_library_is_about_the_text() {
        let error = failed(catch_panics::<()>(|| Err("no unknown token".into())).unwrap_err());
        assert!(matches!(&error, TokenizerError::Refused(text) if text == "no unknown token"), "{error}");
    }
}
