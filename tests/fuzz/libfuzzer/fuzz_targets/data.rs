//! The target `data`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: inferenceguard_fuzz::prepare("data"), |bytes: &[u8]| inferenceguard_fuzz::data::run(bytes));
