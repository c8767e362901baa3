//! Random settings of a search: constraints of every kind, every fallback, every release rule.

use crate::script::Flavour;
use inferenceguard_guarantee_tests::Dice;
use inferenceguard_search::*;

/// The settings of one request.
pub(crate) fn draw(dice: &mut Dice, flavour: Flavour) -> SearchConfig {
    let mut constraints = vec![constraint(dice, "harm", flavour.withheld)];
    if dice.chance(0.4) {
        constraints.push(constraint(dice, "words", false));
    }
    if dice.chance(0.25) {
        constraints.push(constraint(dice, "other", false));
    }
    let stops = [vec!["er"], vec![" b"], vec!["d", "c a"]];
    let stop = if dice.chance(0.25) { dice.pick(&stops) } else { Vec::new() };
    let every = dice.whole(1, 3) as u32;
    SearchConfig {
        constraints,
        task: dice.chance(0.9).then(|| "reward".into()),
        max_tokens: dice.whole(4, 20) as u32,
        sampling: Sampling {
            temperature: dice.pick(&[0.0, 0.7, 1.0, 1.5]),
            top_k: dice.pick(&[0, 0, 2]),
            top_p: dice.pick(&[1.0, 1.0, 0.8]),
            min_p: dice.pick(&[0.0, 0.0, 0.1]),
            repetition_penalty: dice.pick(&[1.0, 1.0, 1.4]),
        },
        seed: dice.seed(),
        stop: stop.into_iter().map(str::to_owned).collect(),
        on_exhausted: dice.pick(&[OnExhausted::Refuse, OnExhausted::LeastViolation, OnExhausted::BestReward]),
        refusal: "no".into(),
        backtrack: dice.chance(0.5),
        release: dice.pick(&[Release::AtEnd, Release::AtEnd, Release::Agreement, Release::Commit(every)]),
        limits: SearchLimits { candidates: 64, retries: 2, chunks: if dice.chance(0.2) { every } else { 4096 } },
        margin: inferenceguard_search::EPSILON,
        revision: inferenceguard_search::REVISION,
    }
}

fn constraint(dice: &mut Dice, name: &str, withheld: bool) -> PricedConstraint {
    // With a withheld tail a chunk's charge has no boundary that could be known from outside.
    let granularity = match withheld {
        true => dice.pick(&[Granularity::Token, Granularity::Terminal]),
        false => dice.pick(&[Granularity::Token, Granularity::Token, Granularity::Chunk, Granularity::Terminal]),
    };
    let constraint = Constraint {
        name: name.into(),
        budget: dice.pick(&[0.5, 1.0, 2.0, 4.0, 8.0]) + dice.pick(&[0.0, 0.25]),
        gamma: dice.pick(&[0.9, 0.99, 0.999, 1.0, 1.0]),
        clip: dice.pick(&[CostClip::None, CostClip::Nonneg, CostClip::Capped]),
        mode: dice.pick(&[ConstraintMode::Anytime, ConstraintMode::Anytime, ConstraintMode::Terminal]),
    };
    PricedConstraint { constraint, cost: name.into(), granularity }
}
