//! The cost of guarding: times and ratios of one run on this machine, each beside its limit.
//!
//! `cargo bench -p inferenceguard-tests --bench speed` measures; `-- --test` runs everything once, to check that it
//! runs. A slow result fails nothing, because the machine may be busy.
#![expect(clippy::print_stdout, reason = "a bench prints what it measured")]

mod crossings;
mod crowd;
mod instances;
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

fn main() {
    let watch = stopwatch::Stopwatch { quick: std::env::args().any(|argument| argument == "--test") };
    crossings::measure(watch);
    instances::measure(watch);
    native::measure(watch);
    request::measure(watch);
    crowd::measure(watch);
    served::measure(watch);
}
