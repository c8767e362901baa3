//! Stop texts: a row ends at the token that completes one of them.

use inferenceguard_model::{GrowingText, Token, Tokenizer, TokenizerError, stop_at};

/// The number of a row's tokens up to the token that completes a stop text; all of them if no token does. `text` is the answer
/// before the row.
pub(crate) fn length_to_stop(
    mut text: GrowingText,
    tokenizer: &dyn Tokenizer,
    tokens: &[Token],
    stops: &[String],
) -> Result<usize, TokenizerError> {
    if stops.is_empty() {
        return Ok(tokens.len());
    }
    for (i, token) in tokens.iter().enumerate() {
        let before = text.text().len();
        text.push(tokenizer, *token)?;
        if stop_at(text.text(), before, stops).is_some() {
            return Ok(i + 1);
        }
    }
    Ok(tokens.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use inferenceguard_model::toy::ToyScript;

    #[test]
    fn a_row_ends_at_the_token_that_completes_a_stop_text() {
        let script = ToyScript::parse("vocab: <eos>* ab +cd ef +gh\nafter : ab 1").unwrap();
        let tokenizer = script.tokenizer();
        let row = [1, 2, 3, 4, 1];
        let table: [(&[&str], &[Token], usize); 6] = [
            (&[], &[], 5),
            (&["cd"], &[], 2),
            (&["d e"], &[], 3),
            (&["gh", "bc"], &[], 2),
            (&["zz"], &[], 5),
            // Begun by the answer so far.
            (&["h ab"], &[3, 4], 1),
        ];
        for (stops, before, expected) in table {
            let stops: Vec<String> = stops.iter().map(|stop| (*stop).to_owned()).collect();
            let text = GrowingText::default().with(&*tokenizer, before).unwrap();
            assert_eq!(
                length_to_stop(text, &*tokenizer, &row, &stops).unwrap(),
                expected,
                "{stops:?} after {before:?}"
            );
        }
    }
}
