//! Bundles that say which models they were made for.

mod deployment;

use deployment::{MANIFEST, TEMPTING, builder, bundle_with, engine};
use inferenceguard_bundle::Bundle;
use inferenceguard_host::{EngineError, Models, Request};
use inferenceguard_testkit::components;

fn models() -> Models {
    engine(TEMPTING, "", &[], &["base"]).models().clone()
}

/// Names these models.
fn pins(models: &Models) -> String {
    let scores = models.scores.iter();
    let scores = scores.map(|(name, one)| format!("\n[scores.{name}]\nfingerprint = \"{}\"\n", one.fingerprint));
    format!("\n[model]\nfingerprint = \"{}\"\n{}", models.model.fingerprint, scores.collect::<String>())
}

fn bundle(more: &str) -> Bundle {
    bundle_with(&format!("{MANIFEST}{more}"), &[])
}

/// The toy models, with a cost model that finds nothing.
fn blind() -> String {
    TEMPTING.replace("score cost: bad 5", "score cost: bad 0")
}

#[test]
fn a_bundle_runs_with_the_models_that_it_names_and_with_no_others() {
    let named = pins(&models());
    builder(TEMPTING, &named, &[]).build().unwrap();
    let error = builder(&blind(), &named, &[]).build().unwrap_err();
    let EngineError::OtherModel { table, key, found, expected } = &error else { panic!("{error}") };
    assert_eq!(
        (table.as_str(), key.as_str(), expected),
        ("scores.cost", "fingerprint", &models().scores["cost"].fingerprint)
    );
    assert!(error.to_string().contains(found) && error.to_string().contains(expected), "{error}");
    // The other models are the same, and a bundle that does not name them takes any.
    builder(&blind(), "", &[]).build().unwrap();
    let other = TEMPTING.replace("bad 3, <eos> 1", "bad 4, <eos> 1");
    let error = builder(&other, &named, &[]).build().unwrap_err();
    assert!(matches!(&error, EngineError::OtherModel { table, .. } if table == "model"), "{error}");
}

#[test]
fn nothing_that_is_activated_later_runs_with_other_models_either() {
    let engine = engine(&blind(), "", &[], &["base"]);
    let made_for_another = bundle(&pins(&models()));
    for refused in [engine.activate(&made_for_another).map(drop), engine.prepare(&made_for_another).map(drop)] {
        assert!(matches!(refused, Err(EngineError::OtherModel { .. })), "{refused:?}");
    }
    assert_eq!(engine.generation().number, 1);
    engine.activate(&bundle(&pins(engine.models()))).unwrap();
}

#[test]
fn a_name_that_no_model_has_is_refused() {
    let error = builder(TEMPTING, "\n[scores.cots]\nfingerprint = \"x\"\n", &[]).build().unwrap_err();
    assert!(error.to_string().contains("`[scores.cots]`") && error.to_string().contains("cost, reward"), "{error}");
    let unknown = format!("{MANIFEST}\n[model.parts]\nweight = \"x\"\n");
    let error = Bundle::from_parts(&unknown, components::files()).unwrap_err().to_string();
    assert!(error.contains("model.parts") && error.contains("weights, tokenizer"), "{error}");
}

#[test]
fn answers_name_every_model() {
    let answer = |script: &str| engine(script, "", &[], &["base"]).generate(Request::new("ask")).unwrap();
    let (good, other) = (answer(TEMPTING), answer(&blind()));
    assert_eq!(good.models, models());
    assert_ne!(good.models.scores["cost"], other.models.scores["cost"]);
    assert_eq!(good.models.model, other.models.model);
    let json = serde_json::to_value(&good).unwrap();
    assert_eq!(json["model"]["fingerprint"], good.models.model.fingerprint);
    assert_eq!(json["scores"]["cost"]["fingerprint"], good.models.scores["cost"].fingerprint);
}
