//! The checks of back ends that grow chunks, on the back ends of engines over their fake servers.

use inferenceguard_engines::llamacpp::LlamaCpp;
use inferenceguard_fake_engines::{Fake, Kind, connect, local, remote};
use inferenceguard_model::{
    BackEnd,
    conformance::{Conformity, GeneratorOptions, generator},
};
use std::{collections::BTreeSet, sync::Arc};

/// Checks what `connect` gives, over one server for all checks.
fn check(kind: Kind, connect: fn(&Fake) -> Arc<dyn BackEnd>) -> Conformity {
    let fake = Fake::new(kind);
    generator(|| connect(&fake), &GeneratorOptions::default()).unwrap_or_else(|error| panic!("{error}"))
}

fn lacking(found: &Conformity) -> BTreeSet<&str> {
    found.skipped.iter().map(|skipped| skipped.lacks).collect()
}

#[test]
fn vllm_keeps_every_promise_that_it_makes() {
    let found = check(Kind { context: 128, ..Kind::default() }, |fake| Arc::new(connect(&[fake])));
    assert_eq!(lacking(&found), BTreeSet::from(["logits", "repeats", "steering", "token_latents"]), "{found:?}");
    assert!(found.checked.contains(&"the likeliest tokens come best first"), "{found:?}");
}

#[test]
fn llamacpp_keeps_every_promise_that_it_makes() {
    let connect = |fake: &Fake| Arc::new(LlamaCpp::connect(&remote(&[fake]), local()).unwrap()) as Arc<dyn BackEnd>;
    let found = check(Kind { context: 128, ..Kind::default() }, connect);
    assert_eq!(
        lacking(&found),
        BTreeSet::from(["forced", "logits", "penalties", "repeats", "steering", "token_latents"]),
        "{found:?}"
    );
    assert!(found.checked.contains(&"a cancelled caller gets no more"), "{found:?}");
}
