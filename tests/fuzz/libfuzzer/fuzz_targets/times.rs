//! The target `times`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: inferenceguard_fuzz::prepare("times"), |bytes: &[u8]| inferenceguard_fuzz::times::run(bytes));
