//! How an answer is sampled: the request says, then the bundle, then the model's authors; and the record holds what held.

mod deployment;

use deployment::{TEMPTING, builder};
use inferenceguard_host::Request;
use inferenceguard_model::{Model, SamplingSettings, toy::ToyScript};
use inferenceguard_search::Sampling;
use inferenceguard_testkit::hooked::Hooked;

/// A toy whose authors say how to sample from it.
fn authored(sampling: SamplingSettings) -> Box<dyn Model> {
    let toy = ToyScript::parse(TEMPTING).unwrap().model();
    Box::new(Hooked::new(toy, ()).described(|info| info.sampling = sampling))
}

fn held(bundle: &str, authors: SamplingSettings, request: SamplingSettings) -> Sampling {
    let builder = builder(TEMPTING, bundle, &[]).model(authored(authors));
    let engine = builder.method("base").build().unwrap();
    let output = engine.generate(Request { sampling: request, record: true, ..Request::new("ask") }).unwrap();
    output.recorded.unwrap().inputs.config.sampling
}

#[test]
fn each_setting_comes_from_the_first_that_says_it() {
    let none = SamplingSettings::default();
    let authors = SamplingSettings {
        temperature: Some(0.6),
        top_k: Some(3),
        top_p: Some(0.9),
        min_p: Some(0.05),
        repetition_penalty: Some(1.1),
    };
    assert_eq!(held("", none, none), Sampling::default());
    assert_eq!(held("", authors, none), authors.into());
    let bundle = "\n[sampling]\ntop_k = 2\nmin_p = 0.1\n";
    let expected = Sampling { top_k: 2, min_p: 0.1, ..authors.into() };
    assert_eq!(held(bundle, authors, none), expected);
    let request = SamplingSettings { temperature: Some(0.0), min_p: Some(0.2), ..none };
    assert_eq!(held(bundle, authors, request), Sampling { temperature: 0.0, min_p: 0.2, ..expected });
    // What a bundle or a request says cannot be unsaid by authors, not even with the plain value.
    let plain = "\n[sampling]\ntemperature = 1.0\ntop_k = 0\ntop_p = 1.0\nmin_p = 0.0\nrepetition_penalty = 1.0\n";
    assert_eq!(held(plain, authors, none), Sampling::default());
    assert_eq!(held("", authors, Sampling::default().into()), Sampling::default());
}

#[test]
fn a_bundle_that_comes_later_is_sampled_as_the_authors_say_too() {
    let authors = SamplingSettings { temperature: Some(0.3), ..SamplingSettings::default() };
    let engine = builder(TEMPTING, "\n[sampling]\ntop_k = 2\n", &[]).model(authored(authors));
    let engine = engine.method("base").build().unwrap();
    engine.activate(&deployment::bundle_with(deployment::MANIFEST, &[])).unwrap();
    let output = engine.generate(Request { record: true, ..Request::new("ask") }).unwrap();
    assert_eq!(output.recorded.unwrap().inputs.config.sampling, Sampling { temperature: 0.3, ..Sampling::default() });
}
