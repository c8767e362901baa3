//! The target `registry`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: inferenceguard_fuzz::prepare("registry"), |bytes: &[u8]| inferenceguard_fuzz::registry::run(bytes));
