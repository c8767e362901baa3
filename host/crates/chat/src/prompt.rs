//! The prompt of one request: as it is given, or from the standard input.

use crate::ChatError;
use std::io::{self, Read};

/// The prompt as it is given, or from the standard input for `-`.
///
/// # Errors
/// [`ChatError::EmptyPrompt`], [`ChatError::Input`].
pub fn prompt(given: &str) -> Result<String, ChatError> {
    let text = if given == "-" { read(io::stdin())? } else { given.to_owned() };
    if text.trim().is_empty() { Err(ChatError::EmptyPrompt) } else { Ok(text) }
}

fn read(mut input: impl Read) -> Result<String, ChatError> {
    let mut text = String::new();
    input.read_to_string(&mut text).map_err(ChatError::Input)?;
    // The line break that ends the input is not part of the prompt.
    Ok(text.trim_end_matches(['\n', '\r']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_is_a_text_that_is_not_empty() {
        assert_eq!(prompt(" a ").unwrap(), " a ");
        assert!(matches!(prompt(" \n"), Err(ChatError::EmptyPrompt)));
        assert_eq!(read("a\nb\r\n\n".as_bytes()).unwrap(), "a\nb");
        assert!(read(&b"\xff"[..]).unwrap_err().to_string().contains("UTF-8"));
    }
}
