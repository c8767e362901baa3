//! The target `record`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: inferenceguard_fuzz::prepare("record"), |bytes: &[u8]| inferenceguard_fuzz::record::run(bytes));
