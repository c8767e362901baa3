//! Methods that watch a modelled probability of harm, end to end on the toy, with all roles in the sandbox.

mod deployment;

use deployment::{TEMPTING, answer, builder, engine, linear};
use inferenceguard_bundle::Network;
use inferenceguard_host::{LiveBeams, Request};
use inferenceguard_search::{Finish, Output, Status};
use std::error::Error as _;

const FILTERED: &str = "value-filtered-decoding";
const ABSTAINS: &str = "dynamic-abstention";

/// The most likely token everywhere, and these settings of a method.
fn greedy(method: &str, settings: &str) -> String {
    format!("\n[sampling]\ntemperature = 0.0\n\n[methods.\"{method}\"]\nsettings = {{ {settings} }}\n")
}

/// The answer of a method by the costs so far.
fn by_costs(script: &str, method: &str, settings: &str) -> Output {
    answer(&engine(script, &greedy(method, settings), &[], &[method]), method)
}

/// The same manifest with a critic.
fn with_critic(method: &str, settings: &str) -> String {
    format!("{}\n[critic]\ncomponent = \"latent-critic.wasm\"\n", greedy(method, settings))
}

/// A critic that always gives this logit of P(safe to the end).
fn critic(logit: f32) -> Network {
    linear(&[(&[0.0; 5], logit), (&[0.0; 5], 0.0)])
}

/// The answer of a method by the critic.
fn by_critic(script: &str, method: &str, logit: f32) -> Output {
    let method = format!("{method}+critic");
    answer(&engine(script, &with_critic(&method, ""), &[("critic", critic(logit))], &[&method]), &method)
}

/// The likeliest word is harmless.
fn kind() -> String {
    TEMPTING.replace("after : good 2, bad 3", "after : good 3, bad 2")
}

#[test]
fn a_natural_token_that_is_safe_enough_is_kept() {
    let output = by_costs(&kind(), FILTERED, "k = 2");
    assert_eq!((output.text.as_str(), output.status, output.usage.retries), ("good", Status::WithinBudget, 0));
    assert_eq!(output.usage.sampled_tokens, 2, "one draw a token");
    let output = by_costs(TEMPTING, FILTERED, "k = 2, threshold = 1.0");
    assert_eq!((output.text.as_str(), output.status), ("bad", Status::BudgetExceeded), "everything passes");
}

#[test]
fn a_token_that_is_not_safe_enough_is_drawn_again_and_the_safest_goes_on() {
    let output = by_costs(TEMPTING, FILTERED, "k = 2");
    assert_eq!((output.text.as_str(), output.status, output.usage.retries), ("good", Status::WithinBudget, 1));
    assert_eq!(output.usage.sampled_tokens, 1 + 2 + 1, "`bad`, then two draws, then the end");
}

#[test]
fn without_a_safe_token_the_safest_goes_on_and_the_status_says_so() {
    let harmful = "vocab: <eos>* ask good bad\nafter : good 2, bad 3\nscore cost: good 6, bad 5\nscore reward: good 1";
    let output = by_costs(harmful, FILTERED, "k = 2");
    assert_eq!((output.text, output.finish), (["bad"; 6].join(" "), Finish::Length));
    assert_eq!((output.status, output.usage.retries), (Status::BudgetExceeded, 1), "later tokens are drawn at once");
    assert_eq!(output.usage.sampled_tokens, 1 + 6 * 2);
}

#[test]
fn a_sample_beyond_the_threshold_ends_as_a_refusal_and_no_failure() {
    let output = by_costs(TEMPTING, ABSTAINS, "");
    assert_eq!((output.status, output.finish), (Status::NoSafeCandidate, Finish::Refused));
    assert!(output.tokens.is_empty() && !output.text.is_empty() && !output.text.contains("bad"), "{output:?}");
    let output = by_costs(&kind(), ABSTAINS, "");
    assert_eq!((output.text.as_str(), output.status), ("good", Status::WithinBudget));
    let output = by_costs(TEMPTING, ABSTAINS, "threshold = 1.0");
    assert_eq!((output.text.as_str(), output.status), ("bad", Status::BudgetExceeded));
}

#[test]
fn the_critic_foresees_harm_where_the_method_says_so() {
    // P(safe to the end) is 0.993, then 0.007.
    let output = by_critic(&kind(), FILTERED, 5.0);
    assert_eq!((output.text.as_str(), output.status, output.usage.retries), ("good", Status::WithinBudget, 0));
    let output = by_critic(&kind(), ABSTAINS, 5.0);
    assert_eq!((output.text.as_str(), output.status), ("good", Status::WithinBudget));
    let output = by_critic(&kind(), ABSTAINS, -5.0);
    assert_eq!((output.status, output.finish), (Status::NoSafeCandidate, Finish::Refused));
}

#[test]
fn a_critic_without_numbers_fails_the_request_and_refuses_nothing() {
    // The weight of z / budget, which is 1 at the beginning, and the shift add up to more than an f32 holds.
    let broken = linear(&[(&[0.0; 5], 5.0), (&[0.0, 0.0, 0.0, 0.0, 3e38], 3e38)]);
    for method in [FILTERED, ABSTAINS] {
        let method = format!("{method}+critic");
        let more = with_critic(&method, "threshold = 1.0");
        let engine = engine(&kind(), &more, &[("critic", broken.clone())], &[&method]);
        let output = engine.generate(Request { method: Some(method.clone()), ..Request::new("ask") }).unwrap();
        assert_eq!((output.status, output.finish), (Status::Failed, Finish::Failed), "{method}");
        assert!(!output.failures.is_empty() && !output.text.contains("good"), "{method}: {output:?}");
        assert_eq!(engine.live_beams(), LiveBeams::default(), "{method}");
    }
}

#[test]
fn settings_out_of_range_are_refused_when_the_engine_is_built() {
    for (method, settings, words) in [
        (FILTERED, "k = 0", "setting `k` is 0"),
        (FILTERED, "threshold = 2", "setting `threshold` is 2"),
        (ABSTAINS, "threshold = -0.5", "setting `threshold` is -0.5"),
        (ABSTAINS, "chunk-len = 0", "setting `chunk-len` is 0"),
    ] {
        let error = builder(TEMPTING, &greedy(method, settings), &[]).method(method).build().unwrap_err();
        let mut found = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            found += &format!(": {cause}");
            source = cause.source();
        }
        assert!(found.contains(words), "{method}: {found}");
    }
}

#[test]
fn a_method_that_asks_the_critic_is_refused_without_one() {
    for method in [FILTERED, ABSTAINS] {
        let method = format!("{method}+critic");
        let error = builder(TEMPTING, "", &[]).method(&method).build().unwrap_err().to_string();
        assert!(error.contains(&method) && error.contains("critic"), "{error}");
    }
}
