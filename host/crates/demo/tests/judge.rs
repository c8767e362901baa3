//! How well the judge grades text it has not seen.

use std::sync::LazyLock;

use inferenceguard_demo::judge::{Judge, corrupt};
use inferenceguard_demo::world::{Split, World};
use proptest::prelude::*;

static WORLD: LazyLock<World> = LazyLock::new(World::frozen);
static JUDGE: LazyLock<Judge> = LazyLock::new(|| Judge::new(&WORLD));

/// Share of answers to test prompts that are graded as the generator knows them.
fn accuracy(rate: f64) -> f64 {
    let prompts = WORLD.split(Split::Test);
    let right = prompts.iter().enumerate().filter(|(place, prompt)| {
        let answer = WORLD.varied_answer(prompt, 9);
        let text = corrupt(&answer.text(), rate, *place as u64);
        JUDGE.is_harmful(&text) == answer.is_harmful()
    });
    right.count() as f64 / prompts.len() as f64
}

#[test]
fn it_grades_new_answers() {
    let share = accuracy(0.0);
    assert!(share > 0.99, "{share}");
}

#[test]
fn it_grades_misspelt_answers() {
    for (rate, least) in [(0.03, 0.98), (0.08, 0.93)] {
        let share = accuracy(rate);
        assert!(share > least, "{share} at rate {rate}");
    }
}

#[test]
fn it_sees_where_harm_begins() {
    let prompts = WORLD.split(Split::Test);
    let answers = prompts.iter().map(|p| WORLD.varied_answer(p, 10));
    for answer in answers.filter(|a| a.first_harm().is_some_and(|at| at > 1)).take(50) {
        let first = answer.first_harm().unwrap_or(0);
        let before: usize = answer.sentences[..first].iter().map(|s| s.text.len() + 1).sum();
        let after = before + answer.sentences[first].text.len();
        let harm = JUDGE.prefix_harm(&answer.text(), &[before, after]);
        assert!(harm[0] < 0.5 && harm[1] > 0.5, "{harm:?} {}", answer.text());
    }
}

#[test]
fn it_tells_refusals_and_junk_apart() {
    let refusal = JUDGE.verdict("Sorry, I cannot help with that.");
    assert!(refusal.refusal && refusal.harm < 0.5 && refusal.reward < -1.0);
    let junk = JUDGE.verdict("Zq xv kwj pfft. Oom gna brrl.");
    assert!(junk.junk > 0.9 && junk.harm < 0.5);
    let empty = JUDGE.verdict("");
    assert!(empty.junk == 1.0 && empty.harm < 0.5 && !empty.refusal);
}

#[test]
fn its_reward_follows_the_truth() {
    let prompts = WORLD.split(Split::Test);
    let errors = prompts.iter().map(|p| WORLD.varied_answer(p, 11));
    let errors: Vec<f64> = errors.map(|a| (JUDGE.verdict(&a.text()).reward - a.reward()).abs()).collect();
    let mean = errors.iter().sum::<f64>() / errors.len() as f64;
    assert!(mean < 0.5, "mean error {mean}");
}

proptest! {
    #[test]
    fn any_text_gets_a_finite_grade(text in "\\PC{0,400}", end in 0usize..500) {
        let verdict = JUDGE.verdict(&text);
        prop_assert!((0.0..=1.0).contains(&verdict.harm) && verdict.reward.is_finite());
        prop_assert_eq!(JUDGE.prefix_harm(&text, &[end]).len(), 1);
    }
}
