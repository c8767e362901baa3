//! The cases by which other implementations of penalties are tested, such as the one for vLLM, are what the reference
//! sampler does: `host/vllm/tests/penalties.json` holds rows of logits, requests, and the logits after them.

use inferenceguard_model::{Pick, RowSampler, SampleRequest, Token};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

fn committed() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../vllm/tests/penalties.json")
}

/// A row, and what is asked of it.
struct Case {
    name: String,
    logits: Vec<f32>,
    request: SampleRequest,
}

impl Case {
    fn new(name: &str, logits: &[f32], penalties: &[(Token, f32)], mass: f32) -> Self {
        let request = SampleRequest { penalties: penalties.to_vec(), penalty_mass: mass, ..plain() };
        Self { name: name.to_owned(), logits: logits.to_vec(), request }
    }

    fn repeating(mut self, factor: f32, tokens: &[Token]) -> Self {
        self.request = SampleRequest { repetition_penalty: factor, repeated: tokens.to_vec(), ..self.request };
        self
    }

    /// Logits of minus infinity are null: JSON has no word for them.
    fn json(&self) -> Value {
        let Self { name, logits, request } = self;
        let (tokens, penalties): (Vec<Token>, Vec<f32>) = request.penalties.iter().copied().unzip();
        let after = RowSampler::new(logits).expect("a usable row").penalised(request);
        json!({
            "name": name, "logits": logits, "tokens": tokens, "penalties": penalties, "mass": request.penalty_mass,
            "repetition_penalty": request.repetition_penalty, "repeated": request.repeated, "after": after,
        })
    }
}

fn plain() -> SampleRequest {
    SampleRequest::plain(Pick::Rank(0))
}

fn logits(probabilities: &[f32]) -> Vec<f32> {
    probabilities.iter().map(|p| p.ln() + 3.0).collect()
}

fn written() -> Vec<Case> {
    let row = logits(&[0.1, 0.4, 0.2, 0.3]);
    let three = [(1, 5.0), (3, 5.0), (0, 5.0)];
    let sure = logits(&[0.01, 0.95, 0.03, 0.01]);
    let tied = [1.0, 2.0, 0.5, 2.0, 2.0];
    let endless = [f32::NEG_INFINITY, 0.5, f32::NEG_INFINITY, 0.25];
    vec![
        Case::new("one token", &row, &[(2, 1.5)], 1.0),
        Case::new("one token whatever the mass", &row, &[(2, 1.5)], 0.0),
        Case::new("the likeliest only", &row, &three, 0.0),
        Case::new("the likeliest and the next that fits", &row, &three, 0.55),
        Case::new("all that were named", &row, &three, 0.75),
        Case::new("a token that does not fit is skipped", &row, &[(1, 5.0), (3, 5.0), (2, 5.0), (0, 5.0)], 0.2),
        Case::new("the order decides, not the probability", &row, &[(0, 5.0), (2, 5.0), (3, 5.0), (1, 5.0)], 0.55),
        Case::new("named twice, lowered twice", &row, &[(1, 0.5), (3, 1.0), (1, 0.25)], 0.9),
        Case::new("named twice, holds its mass once", &row, &[(1, 0.5), (2, 1.0), (2, 1.0)], 0.4),
        Case::new("a likeliest token that is nearly sure", &sure, &[(0, 9.0), (2, 9.0), (1, 9.0)], 0.9),
        Case::new("ties go to the smaller token", &tied, &[(4, 3.0), (3, 3.0), (1, 3.0)], 0.0),
        Case::new("ties, and one more fits", &tied, &[(4, 3.0), (3, 3.0), (1, 3.0)], 0.45),
        Case::new("outside the vocabulary", &row, &[(4, 5.0), (4_000_000, 5.0), (3, 5.0)], 0.0),
        Case::new("nothing inside the vocabulary", &row, &[(9, 5.0)], 1.0),
        Case::new("a penalty below 0 raises", &row, &[(0, -2.0), (1, 0.0)], 0.9),
        Case::new("logits of minus infinity", &endless, &[(0, 1.0), (1, 1.0), (2, 1.0)], 0.5),
        Case::new("only minus infinity is named", &endless, &[(2, 1.0), (0, 1.0)], 0.5),
    ]
}

fn repeating() -> Vec<Case> {
    let row = [2.0, -1.0, 0.5, 0.0, 1.75];
    let named = [(0, 1.5), (1, 0.5), (4, 3.0)];
    vec![
        Case::new("repeated: on both sides of 0", &row, &named, 0.9).repeating(1.5, &[0, 1, 3]),
        Case::new("repeated: over 0 and below by the penalty", &row, &[(0, 9.0), (1, -9.0)], 0.9)
            .repeating(2.0, &[0, 1]),
        Case::new("repeated: only others are repeated", &row, &named, 0.9).repeating(1.3, &[2, 3]),
        // By the penalised logits 4 were the likeliest, by the model's own it is 0.
        Case::new("repeated: the likeliest is the model's own", &row, &named, 0.0).repeating(2.0, &[0]),
        Case::new("repeated: less than 1 raises", &row, &named, 0.5).repeating(0.5, &[1, 2, 4]),
        Case::new("repeated: nothing is penalised", &row, &[], 0.9).repeating(1.5, &[0, 1, 3]),
    ]
}

/// Numbers of [0, 1) by a linear congruential generator: the same on every machine.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / (1 << 24) as f32
    }

    fn below(&mut self, n: u32) -> u32 {
        (self.next() * n as f32) as u32
    }
}

fn drawn(number: usize, numbers: &mut Numbers) -> Case {
    let vocabulary = 3 + numbers.below(40);
    let row: Vec<f32> = (0..vocabulary).map(|_| numbers.next() * 12.0 - 6.0).collect();
    let named = 1 + numbers.below(12);
    let penalties: Vec<(Token, f32)> =
        (0..named).map(|_| (numbers.below(vocabulary + 2), numbers.next() * 6.0)).collect();
    let case = Case::new(&format!("drawn {number}"), &row, &penalties, numbers.next() * 0.98);
    let tokens: Vec<Token> = (0..vocabulary).filter(|_| numbers.next() < 0.3).collect();
    let factor = 0.8 + numbers.next();
    if number.is_multiple_of(2) { case } else { case.repeating(factor, &tokens) }
}

fn cases() -> Value {
    let mut numbers = Numbers(18);
    let drawn = (0..60).map(|number| drawn(number, &mut numbers));
    written().into_iter().chain(repeating()).chain(drawn).map(|case| case.json()).collect()
}

/// The case with its numbers as f32: what a reader of JSON rounds in the last place of f64 is none of these numbers.
fn single(case: &Value) -> Value {
    match case {
        Value::Number(number) => number.as_f64().map_or(Value::Null, |number| json!(number as f32)),
        Value::Array(all) => all.iter().map(single).collect(),
        Value::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), single(value))).collect(),
        other => other.clone(),
    }
}

#[test]
fn the_committed_cases_are_what_the_reference_sampler_does() {
    let text = std::fs::read_to_string(committed()).expect("the committed cases");
    let committed: Value = serde_json::from_str(&text).expect("JSON");
    let made = cases();
    let differing: Vec<String> = made
        .as_array()
        .into_iter()
        .flatten()
        .enumerate()
        .filter(|(i, case)| committed.get(*i).map(single) != Some(single(case)))
        .map(|(_, case)| case["name"].to_string())
        .collect();
    assert!(differing.is_empty(), "run the ignored test `write_the_cases` and look at what it changes: {differing:?}");
    assert_eq!(committed.as_array().map(Vec::len), made.as_array().map(Vec::len), "too many cases are committed");
}

#[test]
fn the_cases_tell_right_from_wrong() {
    let made = cases();
    let spared = |case: &&Value| {
        let tokens = case["tokens"].as_array().into_iter().flatten();
        tokens.filter_map(Value::as_u64).any(|t| {
            let before = case["logits"].get(t as usize);
            before.is_some() && before == case["after"].get(t as usize)
        })
    };
    let some = made.as_array().into_iter().flatten().filter(spared).count();
    assert!(some >= 12, "only {some} cases spare a token that is named");
}

#[test]
#[ignore = "writes host/vllm/tests/penalties.json"]
fn write_the_cases() {
    let lines: Vec<String> = cases().as_array().into_iter().flatten().map(Value::to_string).collect();
    std::fs::write(committed(), format!("[\n{}\n]\n", lines.join(",\n"))).expect("written");
}
