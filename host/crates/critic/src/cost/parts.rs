//! Splits units into three parts: for learning, for early stopping and calibration, and for measuring. What answers one prompt stays
//! together.

use super::record::Unit;
use crate::{
    error::{CriticError, Result},
    split::{Shares, check, key},
};
use std::collections::BTreeMap;

/// The units of each part, as places in the list of units.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Parts {
    pub(super) train: Vec<usize>,
    pub(super) validation: Vec<usize>,
    pub(super) test: Vec<usize>,
}

impl Parts {
    /// Splits by the first words of the user, in the order of a seeded digest.
    pub(super) fn new(units: &[Unit], shares: &Shares) -> Result<Self> {
        check(shares)?;
        let mut groups: BTreeMap<(Vec<u8>, String), Vec<usize>> = BTreeMap::new();
        for (place, unit) in units.iter().enumerate() {
            let prompt = prompt_of(unit);
            groups.entry((key(&prompt, shares.seed), prompt)).or_default().push(place);
        }
        let found = groups.len();
        if found < 3 {
            return Err(CriticError::TooFew { what: "different prompts", found, expected: 3 });
        }
        let count = |share: f64| ((share * found as f64).round() as usize).clamp(1, found - 2);
        let validation = count(shares.validation);
        let test = count(shares.test).min(found - 1 - validation);
        let mut parts = Self::default();
        for (at, places) in groups.into_values().enumerate() {
            match at {
                at if at < validation => parts.validation.extend(places),
                at if at < validation + test => parts.test.extend(places),
                _ => parts.train.extend(places),
            }
        }
        [&mut parts.train, &mut parts.validation, &mut parts.test].into_iter().for_each(|part| part.sort_unstable());
        Ok(parts)
    }
}

/// What counts as the prompt: the first turn, without differences of case and space.
pub(super) fn prompt_of(unit: &Unit) -> String {
    let first = unit.answers().first().and_then(|answer| answer.turns.first());
    let words = first.map_or("", |turn| turn.content.as_str()).split_whitespace();
    words.collect::<Vec<_>>().join(" ").to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cost::record::parse;

    #[test]
    fn answers_to_one_prompt_stay_together_and_every_part_has_some() {
        let line = |prompt: usize, answer: usize| {
            let prompt = if answer == 1 { format!("P {prompt}") } else { format!(" p  {prompt}") };
            let line = serde_json::json!({ "prompt": prompt, "response": "a", "harmful": answer == 1 });
            parse(&line.to_string(), 1.0, "").unwrap().remove(0)
        };
        let units: Vec<Unit> = (0..40).flat_map(|prompt| (0..3).map(move |answer| line(prompt, answer))).collect();
        let shares = Shares { validation: 0.2, test: 0.25, seed: 3 };
        let parts = Parts::new(&units, &shares).unwrap();
        assert_eq!([parts.train.len(), parts.validation.len(), parts.test.len()], [66, 24, 30]);
        let prompts = |part: &[usize]| part.iter().map(|at| prompt_of(&units[*at])).collect::<Vec<_>>();
        let test = prompts(&parts.test);
        assert!(prompts(&parts.train).iter().chain(&prompts(&parts.validation)).all(|one| !test.contains(one)));
        assert!(matches!(Parts::new(&units[..6], &shares), Err(CriticError::TooFew { found: 2, .. })));
    }
}
