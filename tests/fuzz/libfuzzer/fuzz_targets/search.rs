//! The target `search`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: inferenceguard_fuzz::prepare("search"), |bytes: &[u8]| inferenceguard_fuzz::search::run(bytes));
