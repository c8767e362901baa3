//! Splits units into three parts: for learning, for early stopping and calibration, and for measuring. What answers one prompt stays
//! together.

use super::labelled::Unit;
use crate::{
    error::Result,
    split::{Shares, Split},
};

/// Splits by the first words of the user, in the order of a seeded digest: places in the list of units.
pub(super) fn split(units: &[Unit], shares: &Shares) -> Result<Split> {
    Split::by_text(units.iter().map(prompt_of), shares, "different prompts")
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
    use crate::{cost::labelled::parse, error::CriticError};

    #[test]
    fn answers_to_one_prompt_stay_together_and_every_part_has_some() {
        let line = |prompt: usize, answer: usize| {
            let prompt = if answer == 1 { format!("P {prompt}") } else { format!(" p  {prompt}") };
            let line = serde_json::json!({ "prompt": prompt, "response": "a", "harmful": answer == 1 });
            parse(&line.to_string(), 1.0, "").unwrap().remove(0)
        };
        let units: Vec<Unit> = (0..40).flat_map(|prompt| (0..3).map(move |answer| line(prompt, answer))).collect();
        let shares = Shares { validation: 0.2, test: 0.25, seed: 3 };
        let parts = split(&units, &shares).unwrap();
        assert_eq!([parts.train.len(), parts.validation.len(), parts.test.len()], [66, 24, 30]);
        let prompts = |part: &[usize]| part.iter().map(|at| prompt_of(&units[*at])).collect::<Vec<_>>();
        let test = prompts(&parts.test);
        assert!(prompts(&parts.train).iter().chain(&prompts(&parts.validation)).all(|one| !test.contains(one)));
        assert!(matches!(split(&units[..6], &shares), Err(CriticError::TooFew { found: 2, .. })));
    }
}
