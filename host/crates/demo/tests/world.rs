//! The promises of the demo world.

use std::collections::HashSet;

use inferenceguard_demo::world::record::records;
use inferenceguard_demo::world::{INTENTS, Prompt, Split, TOPICS, World, prompts::chance_bin};

#[test]
fn it_is_large_enough() {
    let world = World::frozen();
    assert!(TOPICS.len() >= 40);
    let harms: HashSet<_> = INTENTS.iter().filter_map(|i| i.harm).collect();
    assert!(harms.len() >= 4);
    let texts: HashSet<&str> = world.prompts().iter().map(|p| p.text.as_str()).collect();
    assert_eq!(texts.len(), world.prompts().len(), "prompts must be distinct");
    assert!(texts.len() >= 2_000);
    assert!(world.split(Split::Test).len() >= 1_000);
}

#[test]
fn splits_share_no_topic_intent_combination() {
    let world = World::frozen();
    let combinations =
        |split| -> HashSet<(usize, usize)> { world.split(split).iter().map(|p| (p.topic, p.intent)).collect() };
    let train = combinations(Split::Train);
    for split in [Split::Validation, Split::Test] {
        assert!(combinations(split).is_disjoint(&train));
    }
    let topics: HashSet<usize> = train.iter().map(|c| c.0).collect();
    assert_eq!(topics.len(), TOPICS.len(), "every topic is seen in training");
}

#[test]
fn one_seed_one_world() {
    let (one, two) = (World::new(5), World::new(5));
    assert_eq!(one.prompts(), two.prompts());
    assert_ne!(World::new(6).prompts(), one.prompts());
    let prompt = &one.prompts()[7];
    assert_eq!(one.answer(prompt, 3), two.answer(prompt, 3));
    assert_ne!(one.answer(prompt, 3), one.answer(prompt, 4));
}

#[test]
fn every_prompt_has_a_safe_and_useful_answer_and_refusals_are_worth_little() {
    let world = World::frozen();
    for prompt in world.prompts() {
        let answer = world.safe_answer(prompt, 0);
        assert!(!answer.is_harmful());
        assert!(answer.reward() > 0.5, "{} for {}", answer.reward(), prompt.text);
        let refusal = (0..).map(|draw| world.varied_answer(prompt, draw));
        let refusal = refusal.take(2_000).find(|a| a.sentences.len() == 1);
        assert!(refusal.is_none_or(|a| a.reward() < -1.0));
    }
}

#[test]
fn harm_pays_and_some_comes_late() {
    let world = World::frozen();
    let answers: Vec<_> = world.prompts().iter().map(|p| world.answer(p, 1)).collect();
    let mean = |harmful: bool| {
        let rewards: Vec<f64> = answers.iter().filter(|a| a.is_harmful() == harmful).map(|a| a.reward()).collect();
        rewards.iter().sum::<f64>() / rewards.len() as f64
    };
    assert!(mean(true) > mean(false) + 0.5, "{} {}", mean(true), mean(false));
    let unsafe_count = answers.iter().filter(|a| a.is_harmful()).count();
    let late = answers.iter().filter(|a| a.is_late_harm()).count();
    let share = late as f64 / unsafe_count as f64;
    assert!((0.1..0.5).contains(&share), "late share {share}");
    let safe = 1.0 - unsafe_count as f64 / answers.len() as f64;
    assert!((0.25..0.38).contains(&safe), "safe share {safe}");
}

#[test]
fn a_tuned_assistant_is_safe_three_times_in_four() {
    let world = World::frozen();
    let harmful = world.prompts().iter().filter(|p| world.tuned_answer(p, 1).is_harmful()).count();
    let safe = 1.0 - harmful as f64 / world.prompts().len() as f64;
    assert!((0.72..0.78).contains(&safe), "safe share {safe}");
}

#[test]
fn safe_chances_spread_widely() {
    let world = World::frozen();
    let histogram = world.chance_histogram(true);
    let all: usize = histogram.iter().sum();
    let rare: usize = histogram[..chance_bin(1.0 / 128.0)].iter().sum();
    assert!(5 * rare >= all, "{rare} of {all} below 1/128");
    assert!(histogram.iter().all(|count| *count > 0), "{histogram:?}");
}

#[test]
fn the_generator_keeps_the_chance_it_states() {
    let world = World::frozen();
    let near = |low: f64, high: f64| -> Vec<&Prompt> {
        let in_range = |p: &&Prompt| (low..high).contains(&p.safe_chance);
        world.prompts().iter().filter(in_range).take(20).collect()
    };
    for (low, high) in [(0.05, 0.1), (0.3, 0.4), (0.8, 0.9)] {
        let prompts = near(low, high);
        let stated: f64 = prompts.iter().map(|p| p.safe_chance).sum::<f64>() / 20.0;
        let safe = prompts.iter().flat_map(|p| (0..200).map(|draw| world.answer(p, draw)));
        let share = safe.filter(|a| !a.is_harmful()).count() as f64 / 4_000.0;
        assert!((share - stated).abs() < 0.03, "{share} instead of {stated}");
    }
}

#[test]
fn records_read_back_and_offer_a_safe_response() {
    let world = World::frozen();
    let records = records(&world, Split::Test);
    assert_eq!(records.len(), world.split(Split::Test).len());
    for record in &records {
        assert!(record.is_response_0_safe || record.is_response_1_safe);
        assert_eq!(record.response_0_harm_category.len(), 19);
        let line = serde_json::to_string(record).expect("a record is plain JSON");
        let back: inferenceguard_demo::world::record::Record =
            serde_json::from_str(&line).expect("what was written reads back");
        assert_eq!(&back, record);
    }
}
