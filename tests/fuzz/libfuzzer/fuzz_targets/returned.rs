//! The target `returned`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: inferenceguard_fuzz::prepare("returned"), |bytes: &[u8]| inferenceguard_fuzz::returned::run(bytes));
