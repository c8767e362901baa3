//! The target `weights`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: inferenceguard_fuzz::prepare("weights"), |bytes: &[u8]| inferenceguard_fuzz::weights::run(bytes));
