//! The target `state`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: inferenceguard_fuzz::prepare("state"), |bytes: &[u8]| inferenceguard_fuzz::state::run(bytes));
