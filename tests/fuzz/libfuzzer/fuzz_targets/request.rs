//! The target `request`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: inferenceguard_fuzz::prepare("request"), |bytes: &[u8]| inferenceguard_fuzz::request::run(bytes));
