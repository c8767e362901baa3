//! Added tokens in a text: where they stand, and the text cut at them.

use crate::marked::Marked;
use inferenceguard_model::Token;
use std::ops::Range;
use tokenizers::{NormalizedString, OffsetReferential, OffsetType, normalizer};

/// An added token in a text.
pub(crate) struct Found {
    token: Token,
    range: Range<usize>,
    /// Whether it was found after normalisation.
    pub(crate) normalized: bool,
}

/// Added tokens that the scaffold spells, and those of whitespace, in order.
pub(crate) fn added_in(tokenizer: &tokenizers::Tokenizer, text: &Marked) -> Vec<Found> {
    let known = tokenizer.get_added_vocabulary();
    let cut = known.extract_and_normalize(tokenizer.get_normalizer(), &text.masked());
    let splits = cut.get_splits(OffsetReferential::Original, OffsetType::Byte);
    let found = splits.into_iter().filter_map(|(_, (from, to), tokens)| {
        let token = tokens.as_ref()?.first()?.id;
        let normalized = known.get_added_tokens_decoder().get(&token).is_some_and(|added| added.normalized);
        Some(Found { token, range: from..to, normalized })
    });
    found.filter(|found| !text.has_words_in(&found.range)).collect()
}

/// A part cut into added tokens and what is between them.
pub(crate) fn split_at(
    part: NormalizedString,
    found: &[Found],
) -> tokenizers::Result<Vec<(NormalizedString, Option<Vec<tokenizers::Token>>)>> {
    let (from, to) = part.offsets_original();
    let first = found.partition_point(|found| found.range.start < from);
    let inside: Vec<&Found> = found[first..].iter().take_while(|found| found.range.end <= to).collect();
    if inside.is_empty() {
        return Ok(vec![(part, None)]);
    }
    let slice = |start: usize, end: usize| {
        let range = normalizer::Range::Original(start - from..end - from);
        part.slice(range).ok_or_else(|| tokenizers::Error::from("a token begins inside a character"))
    };
    let (mut parts, mut at) = (Vec::new(), from);
    for found in inside {
        if found.range.start > at {
            parts.push((slice(at, found.range.start)?, None));
        }
        let own = slice(found.range.start, found.range.end)?;
        let spelled = own.get().to_owned();
        let token = tokenizers::Token::new(found.token, spelled.clone(), (0, spelled.len()));
        parts.push((own, Some(vec![token])));
        at = found.range.end;
    }
    if at < to {
        parts.push((slice(at, to)?, None));
    }
    Ok(parts)
}
