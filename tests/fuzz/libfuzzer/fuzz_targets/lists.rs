//! The target `lists`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: inferenceguard_fuzz::prepare("lists"), |bytes: &[u8]| inferenceguard_fuzz::lists::run(bytes));
