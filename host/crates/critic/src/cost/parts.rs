//! Splits units into three parts: for learning, for early stopping and calibration, and for measuring. What answers one prompt stays
//! together.

use super::unit::Unit;
use crate::{
    error::Result,
    split::{Shares, Split},
};
use std::collections::HashMap;

/// Splits by the first words of the user, in the order of a seeded digest: places in the list of units. Own answers are
/// split apart from the others, so that every part has its share of them; those to a prompt of the others go with it.
pub(super) fn split(units: &[Unit], shares: &Shares) -> Result<Split> {
    let (own, given): (Vec<usize>, Vec<usize>) = (0..units.len()).partition(|at| units[*at].is_own());
    let mut split = among(units, &given, shares, "different prompts")?;
    let parts = [&split.train, &split.validation, &split.test];
    let known: HashMap<String, usize> = (0..parts.len())
        .flat_map(|part| parts[part].iter().map(move |at| (*at, part)))
        .map(|(at, part)| (prompt_of(&units[at]), part))
        .collect();
    let (with_them, alone): (Vec<usize>, Vec<usize>) =
        own.into_iter().partition(|at| known.contains_key(&prompt_of(&units[*at])));
    let apart = if alone.is_empty() { Split::default() } else { among(units, &alone, shares, "harmless prompts")? };
    for (part, more) in [&mut split.train, &mut split.validation, &mut split.test].into_iter().zip([
        &apart.train,
        &apart.validation,
        &apart.test,
    ]) {
        part.extend(more);
    }
    for at in with_them {
        match known.get(&prompt_of(&units[at])) {
            Some(1) => split.validation.push(at),
            Some(2) => split.test.push(at),
            _ => split.train.push(at),
        }
    }
    for part in [&mut split.train, &mut split.validation, &mut split.test] {
        part.sort_unstable();
    }
    Ok(split)
}

/// Splits these units.
fn among(units: &[Unit], chosen: &[usize], shares: &Shares, what: &'static str) -> Result<Split> {
    let mut split = Split::by_text(chosen.iter().map(|at| prompt_of(&units[*at])), shares, what)?;
    for part in [&mut split.train, &mut split.validation, &mut split.test] {
        part.iter_mut().for_each(|at| *at = chosen[*at]);
    }
    Ok(split)
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
    use crate::{
        cost::{
            labelled::{Labels, parse},
            unit::Labelled,
        },
        error::CriticError,
    };

    #[test]
    fn answers_to_one_prompt_stay_together_and_every_part_has_some() {
        let line = |prompt: usize, answer: usize| {
            let prompt = if answer == 1 { format!("P {prompt}") } else { format!(" p  {prompt}") };
            let line = serde_json::json!({ "prompt": prompt, "response": "a", "harmful": answer == 1 });
            parse(&line.to_string(), 1.0, "", Labels::Harm).unwrap().remove(0)
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

    #[test]
    fn own_answers_have_their_share_of_every_part_and_go_with_a_prompt_of_the_data() {
        let line = |prompt: String, own: bool| {
            let line = serde_json::json!({ "prompt": prompt, "response": "a", "harmful": false });
            let unit = parse(&line.to_string(), 1.0, "", Labels::Harm).unwrap().remove(0);
            let Unit::Single(answer) = unit else { panic!("one answer") };
            Unit::Single(Labelled { own, ..answer })
        };
        let given = (0..40).map(|prompt| line(format!("p {prompt}"), false));
        let own = (0..20).map(|prompt| line(format!("q {prompt}"), true));
        let both = (0..10).map(|prompt| line(format!("P {prompt}"), true));
        let units: Vec<Unit> = given.chain(own).chain(both).collect();
        let shares = Shares { validation: 0.2, test: 0.25, seed: 3 };
        let alone = split(&units[..40], &shares).unwrap();
        let all = split(&units, &shares).unwrap();
        for (part, alone, share) in
            [(&all.train, &alone.train, 11), (&all.validation, &alone.validation, 4), (&all.test, &alone.test, 5)]
        {
            let given: Vec<usize> = part.iter().copied().filter(|at| *at < 40).collect();
            assert_eq!(&given, alone, "own answers move no other one");
            assert_eq!(part.iter().filter(|at| (40..60).contains(*at)).count(), share);
            let both: Vec<usize> = part.iter().copied().filter(|at| *at >= 60).map(|at| at - 60).collect();
            assert_eq!(both, alone.iter().copied().filter(|at| *at < 10).collect::<Vec<_>>());
            assert!(part.is_sorted());
        }
        let few: Vec<Unit> = units[..42].to_vec();
        let error = split(&few, &shares).unwrap_err();
        assert!(matches!(error, CriticError::TooFew { what: "harmless prompts", found: 2, .. }), "{error}");
    }
}
