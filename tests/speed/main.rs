//! The cost of guarding: times and ratios of one run on this machine, each beside its limit.
//!
//! `cargo bench -p inferenceguard-tests --bench speed` measures; `-- --test` runs everything once, to check that it
//! runs, and `-- controller` measures the part of this name. A slow result fails nothing, because the machine may be busy.
#![expect(clippy::print_stdout, reason = "a bench prints what it measured")]

mod controller;
mod crossings;
mod crowd;
mod instances;
mod instant;
mod native;
mod question;
mod request;
mod served;
mod stopwatch;

#[allow(dead_code, reason = "the tests use the rest")]
#[path = "../native_support/mod.rs"]
mod native_support;
#[path = "../sandbox_support/mod.rs"]
mod sandbox_support;

/// What can be measured, by name.
const PARTS: [(&str, fn(stopwatch::Stopwatch)); 7] = [
    ("crossings", crossings::measure),
    ("instances", instances::measure),
    ("native", native::measure),
    ("request", request::measure),
    ("crowd", crowd::measure),
    ("served", served::measure),
    ("controller", controller::measure),
];

fn main() {
    let (options, named): (Vec<String>, Vec<String>) =
        std::env::args().skip(1).partition(|argument| argument.starts_with('-'));
    let watch = stopwatch::Stopwatch { quick: options.iter().any(|option| option == "--test") };
    let unknown = named.iter().find(|name| PARTS.iter().all(|(part, _)| part != name));
    assert!(unknown.is_none(), "{unknown:?} is no part of this bench");
    let chosen = |part: &str| named.is_empty() || named.iter().any(|name| name == part);
    PARTS.iter().filter(|(part, _)| chosen(part)).for_each(|(_, measure)| measure(watch));
}
