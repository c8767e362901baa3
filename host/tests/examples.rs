//! The examples do what they say.

#[path = "../examples/component.rs"]
#[allow(dead_code, reason = "`main` is for the command line")]
mod component;
#[path = "../examples/custom_back_end.rs"]
mod custom_back_end;
#[path = "../examples/embed.rs"]
#[allow(dead_code, reason = "`main` is for the command line")]
mod embed;
#[path = "../examples/model.rs"]
#[allow(dead_code, reason = "`main` is for the command line")]
mod model;

use inferenceguard_host::Status;
use inferenceguard_testkit::{components::first_party, manifest, toy};
use std::path::Path;

#[test]
fn an_embedded_engine_answers_under_a_bundle() {
    let bundle = toy::bundle(manifest!(max_tokens: 12, chunk_len: 4, budget: 4, head: "", tail: ""));
    let output = embed::answer(&bundle, "good").unwrap();
    assert_eq!(output.status, Status::WithinBudget, "{output:?}");
    assert_eq!(output.bundle, bundle.identity());
}

#[test]
fn a_back_end_of_ones_own_answers() {
    custom_back_end::main().unwrap();
}

#[test]
fn a_component_charges_the_word_it_was_given() {
    let price = |text| component::price(&first_party()["keyword-cost"], "knife", text).unwrap();
    assert_eq!(price("a knife"), [2.0]);
    assert_eq!(price("a spoon"), [0.0]);
}

const WORDS: &str = r#"name = "words"
version = "1.0.0"
max_tokens = 8

[policy]
component = "inference-guard.wasm"

[tracker]
component = "safety-budget.wasm"

[costs.words]
component = "keyword-cost.wasm"
settings = { words = { "bomb*" = 1.0 } }

[[constraints]]
name = "words"
cost = "words"
budget = 0.5
gamma = 1.0
"#;

#[test]
fn a_model_from_disk_answers_under_a_bundle() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/llama1");
    let engine = model::engine(&folder, &toy::bundle(WORDS)).unwrap();
    let mut shown = String::new();
    let output = model::answer(&engine, "Hello", |text| shown.push_str(text)).unwrap();
    assert_eq!((output.status, &output.text), (Status::WithinBudget, &shown), "{output:?}");
    assert!(output.usage.completion_tokens <= 8, "{:?}", output.usage);
}
