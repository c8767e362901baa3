//! The target `training`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: inferenceguard_fuzz::prepare("training"), |bytes: &[u8]| inferenceguard_fuzz::training::run(bytes));
