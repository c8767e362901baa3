//! The examples do what they say.

#[path = "../examples/component.rs"]
#[allow(dead_code, reason = "`main` is for the command line")]
mod component;
#[path = "../examples/custom_back_end.rs"]
mod custom_back_end;
#[path = "../examples/embed.rs"]
#[allow(dead_code, reason = "`main` is for the command line")]
mod embed;

use inferenceguard_host::Status;
use inferenceguard_testkit::{components::first_party, manifest, toy};

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
