//! Penalties by offset, as the plugin of the package `inferenceguard-vllm` takes them.
//!
//! A text of JSON: `{"mass": 0.9, "at": [[OFFSET, [TOKEN, ..], [PENALTY, ..]], ..]}`. At each offset the likeliest of the tokens is
//! lowered; of the probability that remains without it, the others hold at most `mass`, in this order.

use super::wire::Extra;
use inferenceguard_model::Token;
use serde::Serialize;

#[derive(Serialize)]
struct Wire {
    mass: f32,
    at: Vec<(usize, Vec<Token>, Vec<f32>)>,
}

/// The parameter for these penalties; nothing without penalties. Entry `o` is for offset `o`, and those before `from` are left
/// out: tokens that were chosen already.
pub(crate) fn extra(penalties: &[Vec<(Token, f32)>], from: usize, mass: f32, vocab: usize) -> Option<Extra> {
    let entries = penalties.iter().skip(from).enumerate();
    let at: Vec<_> = entries
        .map(|(offset, entry)| (offset, merged(entry, vocab)))
        .filter(|(_, merged)| !merged.is_empty())
        .map(|(offset, merged)| {
            let (tokens, penalties) = merged.into_iter().unzip();
            (offset, tokens, penalties)
        })
        .collect();
    let given = !at.is_empty();
    given.then(|| Extra { ig_pen: serde_json::to_string(&Wire { mass, at }).unwrap_or_default() })
}

/// Each token once, with the sum of its penalties; without tokens that the model does not have.
fn merged(entry: &[(Token, f32)], vocab: usize) -> Vec<(Token, f32)> {
    let mut merged: Vec<(Token, f32)> = Vec::with_capacity(entry.len());
    for (token, penalty) in entry.iter().filter(|(token, _)| (*token as usize) < vocab) {
        match merged.iter_mut().find(|(known, _)| known == token) {
            Some((_, sum)) => *sum += penalty,
            None => merged.push((*token, *penalty)),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn penalties_are_written_by_offset() {
        let all = vec![vec![(5, 1.0), (3, 2.0), (5, 0.5), (99, 7.0)], vec![], vec![(99, 1.0)], vec![(4, 5.0)]];
        let text = |from| extra(&all, from, 0.5, 10).map(|extra| extra.ig_pen);
        assert_eq!(text(0).unwrap(), r#"{"mass":0.5,"at":[[0,[5,3],[1.5,2.0]],[3,[4],[5.0]]]}"#);
        assert_eq!(text(1).unwrap(), r#"{"mass":0.5,"at":[[2,[4],[5.0]]]}"#);
        assert_eq!(text(4), None);
        assert!(extra(&[vec![(99, 1.0)], vec![]], 0, 1.0, 10).is_none());
    }
}
