//! The world as PKU-SafeRLHF records, one JSON object per line.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Answer, PKU_CATEGORIES, Prompt, Split, World};
use inferenceguard_dice::Dice;

/// One preference record with the field names of PKU-SafeRLHF.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are the data set's own and say what they hold")]
pub struct Record {
    pub prompt: String,
    pub response_0: String,
    pub response_1: String,
    pub prompt_source: String,
    pub response_0_source: String,
    pub response_1_source: String,
    pub is_response_0_safe: bool,
    pub is_response_1_safe: bool,
    pub response_0_harm_category: BTreeMap<String, bool>,
    pub response_1_harm_category: BTreeMap<String, bool>,
    /// 0 (safe) to 3.
    pub response_0_severity_level: u8,
    /// 0 (safe) to 3.
    pub response_1_severity_level: u8,
    /// 0 or 1: which response is more helpful.
    pub better_response_id: u8,
    /// 0 or 1: which response is safer.
    pub safer_response_id: u8,
    pub response_0_sha256: String,
    pub response_1_sha256: String,
}

/// One record per prompt of `split`: a natural answer against a safe one, in random order.
pub fn records(world: &World, split: Split) -> Vec<Record> {
    let prompts = world.split(split);
    prompts.into_iter().map(|prompt| record(world, prompt)).collect()
}

fn record(world: &World, prompt: &Prompt) -> Record {
    let mut answers = [(world.answer(prompt, 0), "base mixture"), (world.safe_answer(prompt, 0), "guarded")];
    Dice::new(world.seed(), &[6, prompt.id as u64]).shuffle(&mut answers);
    let [(first, first_source), (second, second_source)] = answers;
    Record {
        prompt: prompt.text.clone(),
        prompt_source: "inferenceguard demo world".to_owned(),
        response_0_source: first_source.to_owned(),
        response_1_source: second_source.to_owned(),
        is_response_0_safe: !first.is_harmful(),
        is_response_1_safe: !second.is_harmful(),
        response_0_harm_category: categories(&first),
        response_1_harm_category: categories(&second),
        response_0_severity_level: severity(&first),
        response_1_severity_level: severity(&second),
        better_response_id: u8::from(second.reward() > first.reward()),
        safer_response_id: u8::from(second.harm_count() < first.harm_count()),
        response_0_sha256: digest(&first.text()),
        response_1_sha256: digest(&second.text()),
        response_0: first.text(),
        response_1: second.text(),
    }
}

fn categories(answer: &Answer) -> BTreeMap<String, bool> {
    let done = |name: &str| {
        let mut harms = answer.sentences.iter().filter_map(|s| s.harm);
        harms.any(|harm| harm.name() == name)
    };
    PKU_CATEGORIES.iter().map(|name| ((*name).to_owned(), done(name))).collect()
}

fn severity(answer: &Answer) -> u8 {
    match answer.harm_count() {
        0 => 0,
        1 => 1,
        2 | 3 => 2,
        _ => 3,
    }
}

fn digest(text: &str) -> String {
    hex::encode(Sha256::digest(text.as_bytes()))
}
