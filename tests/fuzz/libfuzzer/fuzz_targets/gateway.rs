//! The target `gateway`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: inferenceguard_fuzz::prepare("gateway"), |bytes: &[u8]| inferenceguard_fuzz::gateway::run(bytes));
