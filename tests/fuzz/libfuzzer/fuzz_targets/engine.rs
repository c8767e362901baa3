//! The target `engine`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: inferenceguard_fuzz::prepare("engine"), |bytes: &[u8]| inferenceguard_fuzz::engine::run(bytes));
