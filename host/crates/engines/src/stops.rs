//! Stop texts: a row ends at the token that completes one of them.

use inferenceguard_model::{GrowingText, Token, Tokenizer, TokenizerError};

/// How many of a row's tokens there are up to the one that completes a stop text; all of them if none does. `text` is the answer
/// before the row.
pub(crate) fn kept(
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
        if stops.iter().any(|stop| completes(text.text(), before, stop)) {
            return Ok(i + 1);
        }
    }
    Ok(tokens.len())
}

/// Whether the stop text ends in what follows the first `before` bytes.
fn completes(text: &str, before: usize, stop: &str) -> bool {
    let from = (before + 1).saturating_sub(stop.len());
    let from = (0..=from).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    !stop.is_empty() && text[from..].contains(stop)
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
        let table: [(&[&str], &[Token], usize); 7] = [
            (&[], &[], 5),
            (&["cd"], &[], 2),
            (&["d e"], &[], 3),
            (&["gh", "bc"], &[], 2),
            (&["zz", ""], &[], 5),
            // Begun by the answer so far, and one that lies wholly in it.
            (&["h ab"], &[3, 4], 1),
            (&["ef"], &[3], 3),
        ];
        for (stops, before, expected) in table {
            let stops: Vec<String> = stops.iter().map(|stop| (*stop).to_owned()).collect();
            let text = GrowingText::default().with(&*tokenizer, before).unwrap();
            assert_eq!(kept(text, &*tokenizer, &row, &stops).unwrap(), expected, "{stops:?} after {before:?}");
        }
    }
}
